// SPDX-License-Identifier: Apache-2.0
// What watchers get, and when: snapshots, order, falling behind, exceptions, and the end of a
// watch.

#include <velo/discovery/peer_feed.hpp>

#include <velo/base/log.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "manual_executor.hpp"

namespace velo::discovery {
namespace peer_feed_test {

using Kind = PeerChange::Kind;

static PeerInfo peer(std::uint32_t number, std::string_view tcp = "a") {
  PeerInfo info{
      InstanceId({static_cast<std::uint8_t>(number >> 16U), static_cast<std::uint8_t>(number >> 8U),
                  static_cast<std::uint8_t>(number), 1}),
      {}};
  info.address.emplace("tcp", Bytes::copy(tcp));
  return info;
}

static PeerChange added(std::uint32_t number) { return PeerChange(Kind::added, {peer(number)}); }

struct Log {
  std::vector<PeerChange> changes;
  PeerWatcher watcher() {
    return [this](const PeerChange& change) { changes.push_back(change); };
  }
};

TEST(PeerFeed, SnapshotIsWhatIsKnownWhenTheWatchBegins) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  feed.apply(0, added(1));
  Log log;
  const auto watching = feed.watch(executor, log.watcher());
  EXPECT_TRUE(log.changes.empty()) << "a watcher runs on its executor only";
  feed.apply(0, added(2));
  executor.run();
  ASSERT_EQ(log.changes.size(), 2U);
  EXPECT_EQ(log.changes[0].kind, Kind::snapshot);
  EXPECT_EQ(log.changes[0].peers, std::vector<PeerInfo>{peer(1)});
  EXPECT_EQ(log.changes[1].kind, Kind::added);
  EXPECT_EQ(log.changes[1].peers, std::vector<PeerInfo>{peer(2)});
}

TEST(PeerFeed, SnapshotWaitsUntilEverySourceHasReported) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::unknown, 2);
  Log log;
  const auto watching = feed.watch(executor, log.watcher());
  feed.apply(0, PeerChange(Kind::snapshot, {peer(1)}));
  feed.apply(1, added(2));  // says nothing of who else source 1 has
  EXPECT_EQ(executor.run(), 0U);
  feed.apply(1, PeerChange(Kind::snapshot, {peer(2), peer(3)}));
  executor.run();
  ASSERT_EQ(log.changes.size(), 1U);
  EXPECT_EQ(log.changes[0].kind, Kind::snapshot);
  EXPECT_EQ(log.changes[0].peers.size(), 3U);
}

TEST(PeerFeed, UnknownAgainHoldsBackNewSnapshotsOnly) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  Log old_log;
  Log new_log;
  const auto old_watching = feed.watch(executor, old_log.watcher());
  feed.mark_unknown();
  const auto new_watching = feed.watch(executor, new_log.watcher());
  feed.apply(0, added(1));
  executor.run();
  EXPECT_EQ(old_log.changes.size(), 2U);
  EXPECT_TRUE(new_log.changes.empty());
  feed.apply(0, PeerChange(Kind::resync, {peer(1)}));
  executor.run();
  EXPECT_EQ(old_log.changes.size(), 2U) << "nothing changed for it";
  ASSERT_EQ(new_log.changes.size(), 1U);
  EXPECT_EQ(new_log.changes[0].kind, Kind::snapshot);
}

TEST(PeerFeed, WatcherThatFallsBehindGetsOneResync) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  Log log;
  const auto watching = feed.watch(executor, log.watcher());
  executor.run();
  const auto count = static_cast<std::uint32_t>(limits::watcher_pending_max + 10);
  for (std::uint32_t i = 0; i < count; ++i) feed.apply(0, added(i));
  executor.run();
  ASSERT_EQ(log.changes.size(), 1U + 1U + 9U);
  EXPECT_EQ(log.changes[1].kind, Kind::resync);
  EXPECT_EQ(log.changes[1].peers.size(), limits::watcher_pending_max + 1);
  EXPECT_EQ(log.changes.back().peers, std::vector<PeerInfo>{peer(count - 1)});
}

TEST(PeerFeed, WatcherThatFallsBehindBeforeItsSnapshotStillStartsWithOne) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  Log log;
  const auto watching = feed.watch(executor, log.watcher());
  for (std::uint32_t i = 0; i < limits::watcher_pending_max; ++i) feed.apply(0, added(i));
  executor.run();
  ASSERT_EQ(log.changes.size(), 1U);
  EXPECT_EQ(log.changes[0].kind, Kind::snapshot);
  EXPECT_EQ(log.changes[0].peers.size(), limits::watcher_pending_max);
}

TEST(PeerFeed, SaysWhetherAReportWasTaken) {
  PeerFeed feed(PeerFeed::Start::empty);
  EXPECT_TRUE(feed.apply(0, added(1)));
  EXPECT_FALSE(feed.apply(0, PeerChange(Kind::added, {PeerInfo{}})));
  EXPECT_FALSE(feed.apply(0, PeerChange(Kind::removed, {peer(2)})));
  EXPECT_TRUE(feed.apply(0, PeerChange(Kind::removed, {peer(1)})));
}

TEST(PeerFeed, ClosedFeedAndDestroyedWatchCallNobody) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  Log log;
  auto first = feed.watch(executor, log.watcher());
  const auto second = feed.watch(executor, log.watcher());
  EXPECT_EQ(feed.watchers(), 2U);
  first.reset();
  EXPECT_EQ(feed.watchers(), 1U);
  feed.close();
  const auto third = feed.watch(executor, log.watcher());
  feed.apply(0, added(1));
  executor.run();
  EXPECT_TRUE(log.changes.empty());
  EXPECT_EQ(feed.watchers(), 0U);
}

TEST(PeerFeed, RegistrationMayOutliveTheFeed) {
  ManualExecutor executor;
  Log log;
  std::unique_ptr<Registration> watching;
  {
    PeerFeed feed(PeerFeed::Start::empty);
    watching = feed.watch(executor, log.watcher());
  }
  executor.run();
  EXPECT_TRUE(log.changes.empty());
}

TEST(PeerFeed, ExceptionOfAWatcherIsLoggedAndTheWatchGoesOn) {
  const log::Capture capture;
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  int calls = 0;
  const auto watching = feed.watch(executor, [&calls](const PeerChange&) {
    if (++calls == 1) throw std::runtime_error("cannot");
  });
  feed.apply(0, added(1));
  executor.run();
  EXPECT_EQ(calls, 2);
  ASSERT_EQ(capture.lines().size(), 1U);
  EXPECT_NE(capture.lines()[0].find("cannot"), std::string::npos);
}

TEST(PeerFeed, EndOfAWatchFreesWhatTheWatcherHolds) {
  ManualExecutor executor;
  PeerFeed feed(PeerFeed::Start::empty);
  const auto held = std::make_shared<int>(0);
  auto watching = feed.watch(executor, [held](const PeerChange&) {});
  EXPECT_EQ(held.use_count(), 2);
  watching.reset();
  EXPECT_EQ(held.use_count(), 1);
  executor.run();
}

TEST(PeerFeed, EndOfAWatchWaitsForACallOnAnotherThreadOfItsExecutor) {
  runtime::RuntimeOptions options;
  options.workers = 3;
  auto world = runtime::RealWorld::create(options);
  ASSERT_TRUE(world);
  Executor& pool = (*world)->pool();
  for (int round = 0; round < 50; ++round) {
    PeerFeed feed(PeerFeed::Start::empty);
    std::atomic<bool> entered{false};
    std::atomic<bool> ending{false};
    std::atomic<bool> ended{false};
    std::atomic<bool> checked{false};
    auto watching = feed.watch(pool, [&](const PeerChange&) {
      entered = true;
      entered.notify_all();
      ending.wait(false);
      for (int i = 0; i < 1000 && !ended; ++i) std::this_thread::yield();
      EXPECT_FALSE(ended) << "the watch ended while its watcher was running";
    });
    entered.wait(false);
    post(pool, [&] {
      ending = true;
      ending.notify_all();
      watching.reset();
      ended = true;
      checked = true;
      checked.notify_all();
    });
    checked.wait(false);
  }
}

TEST(PeerFeed, AgreesWithWatchersUnderReportsFromManyThreads) {
  runtime::RuntimeOptions options;
  options.workers = 4;
  auto world = runtime::RealWorld::create(options);
  ASSERT_TRUE(world);
  Executor& pool = (*world)->pool();
  PeerFeed feed(PeerFeed::Start::empty);
  std::map<InstanceId, PeerInfo> view;  // only the watcher touches it, one call at a time
  std::atomic<std::size_t> shown{0};
  const auto watching = feed.watch(pool, [&](const PeerChange& change) {
    if (change.kind == Kind::snapshot || change.kind == Kind::resync) view.clear();
    for (const PeerInfo& about : change.peers) {
      if (change.kind == Kind::removed) {
        view.erase(about.instance_id);
      } else {
        view.insert_or_assign(about.instance_id, about);
      }
    }
    shown = view.size();
    shown.notify_all();
  });
  constexpr std::uint32_t per_task = 500;
  for (std::uint32_t task = 0; task < 4; ++task) {
    post(pool, [&feed, task] {
      for (std::uint32_t i = 0; i < per_task; ++i) {
        const std::uint32_t number = task * per_task + i;
        feed.apply(0, added(number));
        if (i % 2 == 0) feed.apply(0, PeerChange(Kind::removed, {peer(number)}));
      }
      feed.apply(0, added(0x10000 + task));
    });
  }
  const std::size_t expected = 4 * (per_task / 2) + 4;
  for (std::size_t now = shown; now != expected; now = shown) shown.wait(now);
  EXPECT_EQ(feed.list().size(), expected);
}

}  // namespace peer_feed_test
}  // namespace velo::discovery
