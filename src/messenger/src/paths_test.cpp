// SPDX-License-Identifier: Apache-2.0
// Several transports between two messengers: which is used, moving between them under load, and
// what a dying one costs.

#include "testing/paths.hpp"
#include "testing/cluster.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace velo::messenger::testing::paths_test {

using transport::Locality;
using transport::Reach;

/// Two nodes with two media each: "near" and "far".
class Paths {
 public:
  /// `ordered`: by the user, so that no measurement changes the order.
  explicit Paths(std::uint64_t seed = 1, ClusterOptions options = ClusterOptions(),
                 bool ordered = true)
      : near(std::make_shared<Medium>("near", Reach(Locality::shared_memory, true))),
        far(std::make_shared<Medium>("far", Reach(Locality::same_host, true))) {
    options.seed = seed;
    options.setup = [this, ordered, inner = options.setup](sim::SimNode& node, std::size_t index,
                                                           NodeSetup& setup) {
      if (inner) inner(node, index, setup);
      const auto over = [&](const std::shared_ptr<Medium>& medium) {
        return std::make_unique<MediumTransport>(transport::make_tcp(tcp_of(node)), medium);
      };
      setup.transport = over(far);
      setup.more_transports.push_back(over(near));
      if (ordered) {
        setup.configure = [](MessengerBuilder& builder) { builder.prefer({"near", "far"}); };
      }
    };
    cluster.emplace(2, std::move(options));
    Messenger& server = (*cluster)[1];
    for (const char* name : {"a", "b"}) {
      EXPECT_TRUE(server.register_handler(Handler::unary_handler(name,
                                                                 [this, name](Context& context) {
                                                                   seen[name].push_back(number_of(
                                                                       context.payload()));
                                                                   return context.payload_bytes();
                                                                 })
                                              .inline_()
                                              .build()));
    }
    EXPECT_TRUE(server.register_handler(
        Handler::am_handler(
            "c", [this](Context& context) { seen["c"].push_back(number_of(context.payload())); })
            .inline_()
            .build()));
  }

  static int number_of(ByteSpan payload) { return std::stoi(std::string(as_text(payload))); }
  static Bytes number(int value) { return Bytes::copy(std::to_string(value)); }

  Messenger& client() { return (*cluster)[0]; }
  PathReport report() { return client().explain_path(cluster->id(1)); }
  std::string chosen() { return report().chosen; }

  /// One of each kind.
  void send_one() {
    const InstanceId& to = cluster->id(1);
    unary.push_back(client().unary("a").raw_payload(number(sent)).instance(to).send());
    sync.push_back(client().am_sync("b").raw_payload(number(sent)).instance(to).send());
    fire.push_back(client().am_send("c").raw_payload(number(sent)).instance(to).send());
    ++sent;
  }
  /// Takes the ends of those that have ended, since each keeps its slot until then.
  template <class T>
  static void take_ended(std::deque<Op<T>>& calls) {
    while (!calls.empty() && calls.front().done()) {
      const auto ended = std::move(calls.front()).get();
      calls.pop_front();
      EXPECT_TRUE(ended) << ended.error().to_string();
    }
  }
  /// Sends while the simulation goes on, until the predicate holds.
  template <class P>
  ::testing::AssertionResult load_until(P predicate, Duration limit = 5s) {
    const TimePoint end = cluster->sim.now() + limit;
    while (!predicate()) {
      for (int i = 0; i < 5; ++i) send_one();
      cluster->sim.run_for(200us);
      take_ended(unary);
      take_ended(sync);
      take_ended(fire);
      if (cluster->sim.now() > end) {
        auto failure = ::testing::AssertionFailure() << "not in time; chosen: " << chosen();
        for (const PathCandidate& each : report().candidates) {
          failure << "\n" << each.transport << ": " << each.reason;
        }
        return failure;
      }
    }
    return ::testing::AssertionSuccess();
  }
  /// Every send ended well, and each handler saw all of them once and in order.
  void expect_all_in_order() {
    ASSERT_TRUE(cluster->until([&] {
      take_ended(unary);
      take_ended(sync);
      take_ended(fire);
      return unary.empty() && sync.empty() && fire.empty();
    }));
    cluster->sim.run_until_quiet(1min);
    std::vector<int> all(static_cast<std::size_t>(sent));
    for (int i = 0; i < sent; ++i) all[static_cast<std::size_t>(i)] = i;
    for (const char* name : {"a", "b", "c"}) EXPECT_EQ(seen[name], all) << name;
  }

  std::shared_ptr<Medium> near;
  std::shared_ptr<Medium> far;
  std::map<std::string, std::vector<int>> seen;
  std::optional<Cluster> cluster;
  std::deque<Op<Bytes>> unary;
  std::deque<Op<void>> sync;
  std::deque<Op<void>> fire;
  int sent = 0;
};

TEST(Paths, TheNearestIsUsedWhateverTheBuildersOrder) {
  Paths paths(1, ClusterOptions(), false);
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
  Paths paths;
  paths.near->cut();
  paths.send_one();
  paths.expect_all_in_order();
  const PathReport report = paths.report();
  EXPECT_EQ(report.chosen, "far");
  ASSERT_EQ(report.candidates.size(), 2u);
  EXPECT_GT(report.candidates[0].failures + report.candidates[1].failures, 0u);
}

TEST(Paths, ABetterPathThatReturnsTakesOverUnderLoad) {
  Paths paths;
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
  ClusterOptions options;
  // A window that is often full, so that there is something to hold back.
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) { setup.window_calls = 24; };
  Paths paths(GetParam(), std::move(options));
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
  Paths paths(GetParam());
  ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; }));
  for (int i = 0; i < 20; ++i) {
    // Long enough for a connection that is worth to be dialled again at once.
    paths.cluster->sim.run_for(1100ms);
    for (int k = 0; k < 20; ++k) paths.send_one();
    paths.cluster->sim.run_for(i * 40us);
    paths.near->cut();
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "far"; })) << "death " << i;
    paths.near->mend();
    ASSERT_TRUE(paths.load_until([&] { return paths.chosen() == "near"; })) << "death " << i;
  }
  paths.expect_all_in_order();
  const PathReport report = paths.report();
  EXPECT_EQ(report.failovers, 20u);
  EXPECT_EQ(report.upgrades, 20u);
  EXPECT_GT(report.resumed, 0u);
}

TEST_P(PathsOfSeeds, BothPathsThatKeepBreakingLoseRepeatAndReorderNothing) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) { setup.window_calls = 50; };
  Paths paths(GetParam(), std::move(options));
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
  Paths paths;
  ASSERT_TRUE((*paths.cluster)[1].register_handler(gated("hold", gate)));
  paths.send_one();
  ASSERT_TRUE(paths.cluster->until([&] { return paths.chosen() == "near"; }));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(paths.client()
                        .unary("hold")
                        .raw_payload(Paths::number(i))
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
    EXPECT_EQ(Paths::number_of(*reply), i);
  }
  EXPECT_EQ(gate.waiting, 50) << "nothing ran twice";
  EXPECT_EQ(gate.stopped, 0);
  paths.expect_all_in_order();
}

TEST(Paths, HandlersOfADeadConnectionAreStoppedWhenNobodyComesBack) {
  Gate gate;
  Paths paths;
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
  Paths paths;
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
  Paths paths;
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
