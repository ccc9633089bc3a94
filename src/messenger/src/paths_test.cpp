// SPDX-License-Identifier: Apache-2.0
// Several transports between two messengers: which is used, moving between them under load, and
// what a dying one costs.

#include "testing/path_pair.hpp"

#include <string>
#include <vector>

namespace velo::messenger::testing::paths_test {

TEST(Paths, TheNearestIsUsedWhateverTheBuildersOrder) {
  PathPairOptions options;
  options.ordered = false;
  PathPair paths(std::move(options));
  paths.send_one();
  paths.expect_all_in_order();
  const PathReport report = paths.report();
  EXPECT_EQ(report.chosen, "near");
  EXPECT_EQ(report.why.substr(0, 22), "chosen: shared memory,") << report.why;
  ASSERT_EQ(report.candidates.size(), 2u);
  EXPECT_TRUE(report.candidates[0].round_trip_ns);
  EXPECT_EQ(report.candidates[1].transport, "far");
  EXPECT_EQ(report.candidates[1].reason, "behind: same host");
  EXPECT_EQ(report.epoch, 1u);
}

TEST(Paths, WhatCannotBeConnectedToIsReportedAndTheNextOneIsUsed) {
  PathPair paths;
  paths.near->cut();
  paths.send_one();
  paths.expect_all_in_order();
  const PathReport report = paths.report();
  EXPECT_EQ(report.chosen, "far");
  ASSERT_EQ(report.candidates.size(), 2u);
  EXPECT_GT(report.candidates[0].failures + report.candidates[1].failures, 0u);
}

TEST(Paths, ABetterPathThatReturnsTakesOverUnderLoad) {
  PathPair paths;
  paths.near->cut();
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "far"; }));
  paths.near->mend();
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
  paths.expect_all_in_order();
  EXPECT_EQ(paths.report().upgrades, 1u);
  EXPECT_EQ(paths.report().failovers, 0u);
}

class PathsOfSeeds : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(PathsOfSeeds, AHundredChangesUnderLoadLoseRepeatAndReorderNothing) {
  PathPairOptions options;
  options.seed = GetParam();
  // A window that is often full, so that there is something to hold back.
  options.cluster.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) {
    setup.window_calls = 24;
  };
  PathPair paths(std::move(options));
  for (int i = 0; i < 100; ++i) {
    const std::string wanted = i % 2 == 0 ? "far" : "near";
    if (i == 0) {
      ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
    }
    ASSERT_TRUE(paths.client().prefer_path(paths.cluster->id(1), wanted));
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == wanted; })) << "change " << i;
  }
  EXPECT_EQ(paths.report().upgrades, 100u);
  paths.expect_all_in_order();
}

TEST_P(PathsOfSeeds, ABestPathThatDiesUnderLoadLosesRepeatsAndReordersNothing) {
  PathPairOptions options;
  options.seed = GetParam();
  PathPair paths(std::move(options));
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
  for (int i = 0; i < 20; ++i) {
    // Long enough for a connection that is worth to be dialled again at once.
    paths.cluster->sim.run_for(1100ms);
    for (int k = 0; k < 20; ++k) paths.send_one();
    paths.cluster->sim.run_for(i * 40us);
    paths.near->cut();
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "far"; })) << "death " << i;
    paths.near->mend();
    // Most of them need not wait, under load, until it is looked at again.
    if (i % 5 != 0) {
      ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), "near"));
    }
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; })) << "death " << i;
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), ""));
  }
  paths.expect_all_in_order();
  const PathReport report = paths.report();
  EXPECT_EQ(report.failovers, 20u);
  EXPECT_EQ(report.upgrades, 20u);
  EXPECT_GT(report.resumed, 0u);
}

TEST_P(PathsOfSeeds, BothPathsThatKeepBreakingLoseRepeatAndReorderNothing) {
  PathPairOptions options;
  options.seed = GetParam();
  options.cluster.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) {
    setup.window_calls = 50;
  };
  PathPair paths(std::move(options));
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
  Random& random = paths.cluster->sim.random();
  for (int i = 0; i < 60; ++i) {
    const TimePoint until = paths.cluster->sim.now() + Duration(random.below(3'000'000));
    ASSERT_TRUE(paths.load_until([&] { return paths.cluster->sim.now() >= until; }));
    // Never both at once: then there would be no other path.
    (random.below(2) == 0 ? paths.near : paths.far)->break_all();
  }
  paths.expect_all_in_order();
}

TEST(Paths, AReplyThatDiedWithItsConnectionIsSentAgainByAnother) {
  Gate gate;
  PathPair paths;
  ASSERT_TRUE((*paths.cluster)[1].register_handler(gated("hold", gate)));
  paths.send_one();
  ASSERT_TRUE(paths.cluster->until([&] { return paths.chosen() == "near"; }));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(paths.client()
                        .unary("hold")
                        .raw_payload(PathPair::number(i))
                        .instance(paths.cluster->id(1))
                        .send());
  }
  ASSERT_TRUE(paths.cluster->until([&] { return gate.waiting == 50; }));
  gate.open();
  // The replies are under way when the connection dies.
  paths.cluster->sim.run_for(5us);
  paths.near->cut();
  for (int i = 0; i < 50; ++i) {
    const auto reply = paths.cluster->wait(std::move(calls[static_cast<std::size_t>(i)]));
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(PathPair::number_of(*reply), i);
  }
  EXPECT_EQ(gate.waiting, 50) << "nothing ran twice";
  EXPECT_EQ(gate.stopped, 0);
  paths.expect_all_in_order();
}

TEST(Paths, HandlersOfADeadConnectionAreStoppedWhenNobodyComesBack) {
  Gate gate;
  PathPair paths;
  ASSERT_TRUE((*paths.cluster)[1].register_handler(gated("hold", gate)));
  auto call = paths.client().unary("hold").instance(paths.cluster->id(1)).send();
  ASSERT_TRUE(paths.cluster->until([&] { return gate.waiting == 1; }));
  paths.near->cut();
  paths.far->cut();
  const auto reply = paths.cluster->wait(std::move(call));
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().is(Errc::connection_lost)) << reply.error().to_string();
  EXPECT_TRUE(may_have_been_handled(reply.error()));
  EXPECT_TRUE(
      paths.cluster->until([&] { return (*paths.cluster)[1].books().received.abandoned == 1; }));
  gate.open();
}

TEST(Paths, HealthIsToldOfEachTransportByATypedState) {
  PathPair paths;
  paths.send_one();
  paths.expect_all_in_order();
  paths.far->cut();
  const InstanceId& to = paths.cluster->id(1);
  const auto all = paths.cluster->wait(paths.client().check_health(to));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].transport, "far");
  EXPECT_EQ((*all)[0].state, PathHealthState::connection_failed) << (*all)[0].detail;
  EXPECT_EQ((*all)[1].state, PathHealthState::ok) << (*all)[1].detail;
  EXPECT_TRUE((*all)[1].in_use);
  EXPECT_GT((*all)[1].round_trip, Duration::zero());
  const auto none = paths.cluster->wait(paths.client().check_health(to, "pigeon"));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->state, PathHealthState::not_registered);
  paths.cluster->sim.isolate(paths.cluster->sim.node(1));
  paths.far->mend();
  const auto late = paths.cluster->wait(paths.client().check_health(to, "far", 1s));
  ASSERT_TRUE(late);
  EXPECT_EQ(late->state, PathHealthState::timed_out);
  paths.cluster->sim.heal();
}

TEST(Paths, ANodeTellsNobodyOfAnotherHostHowItReachesAPeer) {
  PathPair paths;
  paths.send_one();
  paths.expect_all_in_order();
  const InstanceId& client = paths.cluster->id(0);
  const auto told =
      paths.cluster->wait((*paths.cluster)[1].explain_path_of(client, paths.cluster->id(1)));
  ASSERT_FALSE(told);
  EXPECT_TRUE(told.error().is(Errc::permission_denied)) << told.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(Seeds, PathsOfSeeds, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace velo::messenger::testing::paths_test
