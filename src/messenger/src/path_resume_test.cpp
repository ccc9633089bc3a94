// SPDX-License-Identifier: Apache-2.0
// What a dead connection had begun, on the next one: cancelling it, fire-and-forget in lanes, and
// what nobody can say any more.

#include "lanes.hpp"
#include "testing/laned_transport.hpp"
#include "testing/path_pair.hpp"

#include <velo/base/metrics.hpp>

#include <string>
#include <vector>

namespace velo::messenger::testing::path_resume_test {

class PathResume : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(paths.server().register_handler(gated("hold", gate)));
    paths.send_one();
    ASSERT_TRUE(paths.cluster->until([&] { return paths.chosen() == "near"; }));
  }
  Op<Bytes> hold() {
    return paths.client().unary("hold").raw_payload("x").instance(paths.server_id()).send();
  }
  bool until_waiting(int count) {
    return paths.cluster->until([&] { return gate.waiting == count; });
  }
  std::uint64_t abandoned() { return paths.server().books().received.abandoned; }

  Gate gate;
  metrics::Registry registry;  ///< outlives the messengers
  PathPair paths;
};

TEST_F(PathResume, CancellingACallThatAnotherPathCarriesOnReachesItsHandler) {
  auto given_up = hold();
  auto awaited = hold();
  ASSERT_TRUE(until_waiting(2));
  paths.near->cut();
  ASSERT_TRUE(paths.cluster->until([&] { return paths.chosen() == "far"; }));
  paths.cluster->sim.run_for(10ms);
  ASSERT_EQ(abandoned(), 0U);
  const TimePoint before = paths.cluster->sim.now();
  {
    const auto dropped = std::move(given_up);
  }
  ASSERT_TRUE(paths.cluster->until([&] { return abandoned() == 1; }));
  EXPECT_LT(paths.cluster->sim.now() - before, 100ms) << "and not because time was up";
  gate.open();
  EXPECT_TRUE(paths.cluster->wait(std::move(awaited)));
  EXPECT_EQ(gate.stopped, 1);
  paths.expect_all_in_order();
}

TEST_F(PathResume, CancellingACallThatWasCarriedOnTwiceReachesItsHandler) {
  auto given_up = hold();
  ASSERT_TRUE(until_waiting(1));
  for (int i = 0; i < 2; ++i) {
    paths.near->break_all();
    paths.far->break_all();
    paths.cluster->sim.run_for(1s);
    paths.send_one();
    ASSERT_TRUE(paths.cluster->until([&] { return !paths.chosen().empty(); }));
  }
  ASSERT_EQ(abandoned(), 0U);
  const TimePoint before = paths.cluster->sim.now();
  {
    const auto dropped = std::move(given_up);
  }
  ASSERT_TRUE(paths.cluster->until([&] { return abandoned() == 1; }));
  EXPECT_LT(paths.cluster->sim.now() - before, 100ms);
  gate.open();
  paths.expect_all_in_order();
}

TEST_F(PathResume, WhoGivesUpWhileThereIsNoConnectionIsHeardOnTheNextOne) {
  auto given_up = hold();
  auto awaited = hold();
  ASSERT_TRUE(until_waiting(2));
  paths.near->cut();
  {
    const auto dropped = std::move(given_up);
  }
  ASSERT_EQ(abandoned(), 0U);
  const TimePoint before = paths.cluster->sim.now();
  ASSERT_TRUE(paths.cluster->until([&] { return abandoned() == 1; }));
  EXPECT_LT(paths.cluster->sim.now() - before, 100ms);
  gate.open();
  EXPECT_TRUE(paths.cluster->wait(std::move(awaited)));
  EXPECT_EQ(gate.stopped, 1);
  paths.expect_all_in_order();
}

TEST_F(PathResume, WhatBecameOfSendsIsTold) {
  ASSERT_TRUE(paths.client().publish_metrics(registry));
  for (int i = 0; i < 20; ++i) paths.send_one();
  paths.cluster->sim.run_for(100us);
  paths.near->cut();
  paths.expect_all_in_order();
  const std::string node = paths.cluster->id(0).to_string();
  const metrics::Snapshot now = registry.snapshot();
  const auto value = [&](const char* name) { return now.value(name, {{"node", node}}); };
  const PathBooks books = paths.client().books().paths;
  EXPECT_GT(books.resumed + books.deduplicated, 0U);
  EXPECT_EQ(value("velo_path_failovers_total"), 1);
  EXPECT_EQ(value("velo_path_upgrades_total"), 0);
  EXPECT_EQ(value("velo_path_probes_total"), books.probes);
  EXPECT_EQ(value("velo_path_resumed_total"), books.resumed);
  EXPECT_EQ(value("velo_path_deduplicated_total"), books.deduplicated);
  EXPECT_EQ(value("velo_path_lost_total"), 0);
}

TEST_F(PathResume, FireAndForgetOfWhichNobodyCanSayWhatBecameIsCounted) {
  std::vector<Op<void>> fires;
  for (int i = 0; i < 50; ++i) {
    fires.push_back(paths.client()
                        .am_send("c")
                        .raw_payload(PathPair::number(paths.sent + i))
                        .instance(paths.server_id())
                        .send());
  }
  // Written, and on their way when every way ends.
  paths.far->close_road();
  paths.near->cut();
  for (auto& fire : fires) {
    const auto ended = paths.cluster->wait(std::move(fire));
    if (!ended) {
      EXPECT_TRUE(ended.error().is(Errc::connection_lost)) << ended.error().to_string();
    }
  }
  paths.cluster->sim.run_until_quiet(1min);
  const auto arrived = paths.seen["c"].size();
  ASSERT_LT(arrived, 51U) << "some must be lost";
  EXPECT_GE(paths.client().books().paths.lost, 51 - arrived);
  paths.near->mend();
  paths.far->mend();
}

TEST_F(PathResume, FireAndForgetThatIsSentAgainHasNoMoreTimeThanItsSenderGave) {
  std::vector<Duration> left;
  ASSERT_TRUE(paths.server().register_handler(
      Handler::am_handler("late", [&](Context& context) { left.push_back(context.time_left()); })
          .inline_()
          .build()));
  ASSERT_TRUE(paths.cluster->wait(paths.client().wait_for_handler(paths.server_id(), "late", 1s)));
  for (int i = 0; i < 10; ++i) {
    auto fire = paths.client().am_send("late").timeout(2s).instance(paths.server_id()).send();
    if (i == 9) paths.near->cut();
    EXPECT_TRUE(paths.cluster->wait(std::move(fire)));
  }
  ASSERT_TRUE(paths.cluster->until([&] { return left.size() == 10; }));
  EXPECT_GT(paths.client().books().paths.resumed, 0U);
  for (const Duration each : left) {
    EXPECT_LE(each, 2s);
    EXPECT_GT(each, 1s);
  }
}

/// Near has lanes of which each may stand still.
class PathLanes : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  PathPairOptions options() {
    PathPairOptions options;
    options.seed = GetParam();
    options.near_transport = [this](const sim::SimNode& node) {
      return std::make_unique<LanedTransport>(transport::make_tcp(tcp_of(node)),
                                              roads[node.index()]);
    };
    return options;
  }

  Road roads[2];
  PathPair paths{options()};
};

TEST_P(PathLanes, WhatStandsStillInSomeLanesWhenTheirConnectionDiesGoesOnInOrder) {
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
  Random& random = paths.cluster->sim.random();
  for (int death = 0; death < 10; ++death) {
    Road& road = roads[0];
    for (const char* name : {"a", "b", "c", "any"}) {
      if (random.below(2) == 0) road.blocked.insert(lane_of(name));
    }
    const TimePoint until = paths.cluster->sim.now() + Duration(random.below(3'000'000));
    ASSERT_TRUE(paths.load_until([&] { return paths.cluster->sim.now() >= until; }));
    road.blocked.clear();
    paths.near->cut();
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "far"; })) << "death " << death;
    paths.near->mend();
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), "near"));
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; })) << "death " << death;
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), ""));
  }
  paths.expect_all_in_order();
  const PathBooks books = paths.client().books().paths;
  EXPECT_EQ(books.lost, 0U);
  EXPECT_GT(books.resumed, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PathLanes, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace velo::messenger::testing::path_resume_test
