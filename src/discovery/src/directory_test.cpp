// SPDX-License-Identifier: Apache-2.0
// A directory over sources that fail, disagree, or are slow. What it shares with backends is in the
// conformance suite.

#include <velo/discovery/directory.hpp>

#include <velo/base/log.hpp>
#include <velo/discovery/error.hpp>

#include <gtest/gtest.h>

#include "manual_executor.hpp"

namespace velo::discovery {
namespace directory_test {

using Kind = PeerChange::Kind;

static PeerInfo peer(std::uint8_t number, std::string_view tcp, std::string_view uds = {}) {
  PeerInfo info{InstanceId({number}), {{"tcp", Bytes::copy(tcp)}}};
  if (!uds.empty()) info.address.emplace("uds", Bytes::copy(uds));
  return info;
}

/// Answers from a list, or with one error, or (when slow) when told.
class FakeSource final : public PeerDiscovery {
 public:
  explicit FakeSource(Executor& callbacks) : callbacks_(callbacks) {}

  std::vector<PeerInfo> peers;
  std::optional<Error> failure;
  bool slow = false;
  int announced = 0;
  PeerFeed feed{PeerFeed::Start::unknown};
  std::vector<Promise<PeerInfo>> waiting;

  std::string_view name() const noexcept override { return "fake"; }
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& /*self*/) override {
    using Outcome = std::unique_ptr<Registration>;
    if (failure) return Op<Outcome>::ready(callbacks_, *failure);
    return Op<Outcome>::ready(callbacks_, Outcome(std::make_unique<Counted>(announced)));
  }
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override {
    return find([&](const PeerInfo& info) { return info.instance_id == id; });
  }
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override {
    return find([&](const PeerInfo& info) { return info.worker_id() == id; });
  }
  Op<std::vector<PeerInfo>> list() override {
    if (failure) return Op<std::vector<PeerInfo>>::ready(callbacks_, *failure);
    return Op<std::vector<PeerInfo>>::ready(callbacks_, peers);
  }
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override {
    return feed.watch(executor, std::move(watcher));
  }

 private:
  struct Counted final : Registration {
    explicit Counted(int& c) : count(c) { ++count; }
    ~Counted() override { --count; }
    int& count;
  };

  template <class Matches>
  Op<PeerInfo> find(Matches matches) {
    if (slow) {
      waiting.emplace_back(callbacks_);
      return waiting.back().op();
    }
    if (failure) return Op<PeerInfo>::ready(callbacks_, *failure);
    for (const PeerInfo& info : peers) {
      if (matches(info)) return Op<PeerInfo>::ready(callbacks_, info);
    }
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found));
  }

  Executor& callbacks_;
};

struct DirectoryTest : testing::Test {
  log::Capture log;
  ManualExecutor executor;
  std::shared_ptr<FakeSource> first = std::make_shared<FakeSource>(executor);
  std::shared_ptr<FakeSource> second = std::make_shared<FakeSource>(executor);
  Directory directory{executor, {first, second}};

  template <class T>
  Result<T> ended(Op<T> op) {
    executor.run();
    EXPECT_TRUE(op.done());
    return std::move(op).get();
  }
};

TEST_F(DirectoryTest, LookupTakesTheFirstSourceThatHasThePeer) {
  first->peers = {peer(1, "first")};
  second->peers = {peer(1, "second"), peer(2, "second")};
  EXPECT_EQ(*ended(directory.discover_by_instance_id(peer(1, "").instance_id)), peer(1, "first"));
  EXPECT_EQ(*ended(directory.discover_by_worker_id(peer(2, "").worker_id())), peer(2, "second"));
  const auto missing = ended(directory.discover_by_instance_id(peer(3, "").instance_id));
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().is(velo::Errc::not_found));
}

TEST_F(DirectoryTest, FailingSourceIsPassedOverButAbsenceIsNotClaimed) {
  first->failure = velo::make_error(velo::Errc::io, "gone");
  second->peers = {peer(1, "second")};
  EXPECT_EQ(*ended(directory.discover_by_instance_id(peer(1, "").instance_id)), peer(1, "second"));
  const auto missing = ended(directory.discover_by_instance_id(peer(2, "").instance_id));
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().is(velo::Errc::io));
  EXPECT_EQ(ended(directory.list())->size(), 1U);
  second->failure = velo::make_error(velo::Errc::permission_denied);
  const auto listed = ended(directory.list());
  ASSERT_FALSE(listed);
  EXPECT_TRUE(listed.error().is(velo::Errc::io)) << "the first source's";
}

TEST_F(DirectoryTest, ListMergesTheSources) {
  first->peers = {peer(2, "first")};
  second->peers = {peer(1, "second"), peer(2, "second", "path")};
  EXPECT_EQ(*ended(directory.list()),
            (std::vector<PeerInfo>{peer(1, "second"), peer(2, "first", "path")}));
}

TEST_F(DirectoryTest, AnnouncesOnEverySourceAndSucceedsIfOneTakesIt) {
  auto both = ended(directory.announce(peer(1, "a")));
  ASSERT_TRUE(both);
  EXPECT_EQ(first->announced, 1);
  EXPECT_EQ(second->announced, 1);
  both->reset();
  EXPECT_EQ(first->announced + second->announced, 0);
  first->failure = velo::make_error(velo::Errc::io);
  auto one = ended(directory.announce(peer(1, "a")));
  ASSERT_TRUE(one);
  EXPECT_EQ(second->announced, 1);
  EXPECT_EQ(log.lines().size(), 1U);
  second->failure = velo::make_error(velo::Errc::overloaded);
  const auto none = ended(directory.announce(peer(1, "a")));
  ASSERT_FALSE(none);
  EXPECT_TRUE(none.error().is(velo::Errc::io));
}

TEST_F(DirectoryTest, CancelledLookupEndsAtOnceAndAsksNobodyElse) {
  first->slow = true;
  second->slow = true;
  auto op = directory.discover_by_instance_id(peer(1, "").instance_id);
  ASSERT_EQ(first->waiting.size(), 1U);
  op.cancel();
  EXPECT_TRUE(op.done());
  first->waiting[0].set(velo::make_error(velo::Errc::not_found));
  executor.run();
  EXPECT_TRUE(second->waiting.empty());
  const auto result = std::move(op).get();
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(velo::Errc::cancelled));
}

TEST_F(DirectoryTest, ViewFollowsTheSourcesAndIsShownWhenAllHaveReported) {
  std::vector<PeerChange> seen;
  const auto watching =
      directory.watch(executor, [&](const PeerChange& change) { seen.push_back(change); });
  first->feed.apply(0, PeerChange(Kind::resync, {peer(1, "first")}));
  executor.run();
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(*directory.find(peer(1, "").instance_id), peer(1, "first"));
  second->feed.apply(0, PeerChange(Kind::resync, {peer(1, "second", "path"), peer(2, "second")}));
  executor.run();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].kind, Kind::snapshot);
  const std::vector<PeerInfo> both{peer(1, "first", "path"), peer(2, "second")};
  EXPECT_EQ(seen[0].peers, both);
  EXPECT_EQ(directory.known(), both);
  first->feed.apply(0, PeerChange(Kind::removed, {peer(1, "")}));
  executor.run();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[1].kind, Kind::added);
  EXPECT_EQ(*directory.find(peer(1, "").worker_id()), peer(1, "second", "path"));
}

TEST(Directory, OverNoSourceKnowsNobodyAndTakesNobody) {
  ManualExecutor executor;
  Directory directory(executor, {});
  int snapshots = 0;
  const auto watching = directory.watch(executor, [&](const PeerChange&) { ++snapshots; });
  auto op = directory.announce(peer(1, "a"));
  executor.run();
  EXPECT_EQ(snapshots, 1);
  const auto announced = std::move(op).get();
  ASSERT_FALSE(announced);
  EXPECT_TRUE(announced.error().is(Errc::no_source));
  EXPECT_EQ(announced.error().to_string().substr(0, 19), "discovery.no_source");
}

}  // namespace directory_test
}  // namespace velo::discovery
