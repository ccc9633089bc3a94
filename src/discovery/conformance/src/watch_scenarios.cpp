// SPDX-License-Identifier: Apache-2.0
// Watching: a snapshot, then changes, and nothing after the end.

#include "scenarios.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

namespace velo::discovery::conformance {
namespace watch_scenarios_detail {

using Announced = std::unique_ptr<Registration>;
using View = std::map<InstanceId, PeerInfo>;

static Announced announce(Ground& ground, PeerDiscovery& discovery, const PeerInfo& peer) {
  auto announced = ground.wait(discovery.announce(peer));
  EXPECT_TRUE(announced) << announced.error().to_string();
  return announced ? std::move(*announced) : nullptr;
}

static View view_of(const std::vector<PeerInfo>& peers) {
  View view;
  for (const PeerInfo& peer : peers) view.emplace(peer.instance_id, peer);
  return view;
}

static bool comes_to(Ground& ground, const Record& record, const std::vector<PeerInfo>& peers) {
  const View expected = view_of(peers);
  return ground.wait_until([&] { return record.calls() > 0 && record.view() == expected; });
}

static void expect_orderly(const Record& record) {
  const auto changes = record.changes();
  ASSERT_FALSE(changes.empty());
  EXPECT_EQ(changes.front().kind, PeerChange::Kind::snapshot);
  EXPECT_EQ(record.snapshots(), 1U);
  EXPECT_FALSE(record.overlapped());
  for (const PeerChange& change : changes) {
    if (change.kind == PeerChange::Kind::added || change.kind == PeerChange::Kind::removed) {
      EXPECT_EQ(change.peers.size(), 1U);
    }
  }
}

static void watch_of_an_empty_cluster_starts_with_an_empty_snapshot(Ground& ground) {
  const auto reader = ground.join();
  const Record record;
  const auto watching = reader->watch(ground.world().shard(0), Record(record).watcher());
  ASSERT_TRUE(ground.wait_until([&] { return record.calls() > 0; }));
  expect_orderly(record);
  EXPECT_TRUE(record.changes().front().peers.empty());
}

static void watch_starts_with_a_snapshot_and_reports_changes(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  const PeerInfo first = make_peer(ground.world(), "first");
  PeerInfo second = make_peer(ground.world(), "second");
  Announced first_announced = announce(ground, *announcer, first);
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  ASSERT_TRUE(comes_to(ground, record, {first}));
  Announced second_announced = announce(ground, *announcer, second);
  ASSERT_TRUE(comes_to(ground, record, {first, second}));
  first_announced.reset();
  ASSERT_TRUE(comes_to(ground, record, {second}));
  second.address["tcp"] = Bytes::copy("elsewhere");
  second_announced = announce(ground, *announcer, second);
  ASSERT_TRUE(comes_to(ground, record, {second}));
  second_announced.reset();
  ASSERT_TRUE(comes_to(ground, record, {}));
  expect_orderly(record);
}

static void each_watcher_of_one_object_sees_everything(Ground& ground) {
  const auto discovery = ground.join();
  const PeerInfo first = make_peer(ground.world(), "first");
  const PeerInfo second = make_peer(ground.world(), "second");
  std::array<Record, 3> records;
  std::vector<std::unique_ptr<Registration>> watching;
  watching.push_back(discovery->watch(ground.world().shard(0), records[0].watcher()));
  const Announced first_announced = announce(ground, *discovery, first);
  watching.push_back(discovery->watch(ground.world().pool(), records[1].watcher()));
  const Announced second_announced = announce(ground, *discovery, second);
  watching.push_back(discovery->watch(ground.world().pool(), records[2].watcher()));
  for (const Record& record : records) {
    ASSERT_TRUE(comes_to(ground, record, {first, second}));
    expect_orderly(record);
  }
}

static void second_watch_starts_afresh(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  const PeerInfo first = make_peer(ground.world(), "first");
  const PeerInfo second = make_peer(ground.world(), "second");
  Announced announced = announce(ground, *announcer, first);
  {
    Record record;
    const auto watching = reader->watch(ground.world().shard(0), record.watcher());
    ASSERT_TRUE(comes_to(ground, record, {first}));
  }
  announced = announce(ground, *announcer, second);
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  ASSERT_TRUE(comes_to(ground, record, {second}));
  expect_orderly(record);
}

static void destroyed_watch_is_not_called(Ground& ground) {
  const auto discovery = ground.join();
  Executor& shard = ground.world().shard(0);
  Record stopped;
  Record going;
  auto watching = discovery->watch(shard, stopped.watcher());
  const auto other = discovery->watch(shard, going.watcher());
  ASSERT_TRUE(ground.wait_until([&] { return stopped.calls() > 0; }));
  std::atomic<std::size_t> calls_at_end{SIZE_MAX};
  post(shard, [&] {
    watching.reset();
    calls_at_end = stopped.calls();
  });
  ASSERT_TRUE(ground.wait_until([&] { return calls_at_end != SIZE_MAX; }));
  const PeerInfo peer = make_peer(ground.world(), "late");
  const Announced announced = announce(ground, *discovery, peer);
  ASSERT_TRUE(comes_to(ground, going, {peer}));
  EXPECT_EQ(stopped.calls(), calls_at_end);
}

static void watcher_may_end_its_own_watch(Ground& ground) {
  const auto discovery = ground.join();
  struct Life {
    std::unique_ptr<Registration> watching;
    std::atomic<int> calls{0};
    std::atomic<bool> ready{false};
  };
  const auto life = std::make_shared<Life>();
  // On the executor, so that the watcher does not run before it can find its registration.
  post(ground.world().shard(0), [&, life] {
    life->watching = discovery->watch(ground.world().shard(0), [life](const PeerChange&) {
      ++life->calls;
      life->watching.reset();
    });
    life->ready = true;
  });
  ASSERT_TRUE(ground.wait_until([&] { return life->ready && life->calls > 0; }));
  Record record;
  const auto watching = discovery->watch(ground.world().shard(0), record.watcher());
  const PeerInfo peer = make_peer(ground.world(), "late");
  const Announced announced = announce(ground, *discovery, peer);
  ASSERT_TRUE(comes_to(ground, record, {peer}));
  EXPECT_EQ(life->calls, 1);
}

static void churn_ends_in_the_true_view(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().pool(), record.watcher());
  std::vector<PeerInfo> peers;
  std::map<InstanceId, Announced> announced;
  peers.reserve(30);
  for (int i = 0; i < 30; ++i) peers.push_back(make_peer(ground.world(), std::to_string(i)));
  for (int step = 0; step < 300; ++step) {
    const PeerInfo& peer = peers[ground.world().random().below(peers.size())];
    if (announced.erase(peer.instance_id) == 0) {
      announced[peer.instance_id] = announce(ground, *announcer, peer);
    }
  }
  std::erase_if(peers, [&](const PeerInfo& peer) { return !announced.contains(peer.instance_id); });
  EXPECT_TRUE(comes_to(ground, record, peers));
  expect_orderly(record);
}

constexpr std::array scenarios{
    Scenario{"WatchOfAnEmptyClusterStartsWithAnEmptySnapshot",
             &watch_of_an_empty_cluster_starts_with_an_empty_snapshot},
    Scenario{"WatchStartsWithASnapshotAndReportsChanges",
             &watch_starts_with_a_snapshot_and_reports_changes},
    Scenario{"EachWatcherOfOneObjectSeesEverything", &each_watcher_of_one_object_sees_everything},
    Scenario{"SecondWatchStartsAfresh", &second_watch_starts_afresh},
    Scenario{"DestroyedWatchIsNotCalled", &destroyed_watch_is_not_called},
    Scenario{"WatcherMayEndItsOwnWatch", &watcher_may_end_its_own_watch},
    Scenario{"ChurnEndsInTheTrueView", &churn_ends_in_the_true_view},
};

}  // namespace watch_scenarios_detail

std::span<const Scenario> watch_scenarios() { return watch_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
