// SPDX-License-Identifier: Apache-2.0
// Several transports between two messengers: which is used, moving between them under load, and
// what a dying one costs.

#include "testing/paths.hpp"
#include "testing/cluster.hpp"

#include <map>
#include <string>
#include <vector>

namespace velo::messenger::testing::paths_test {

using transport::Locality;
using transport::Reach;

/// Two nodes with two media each: "near" and "far".
class Paths {
 public:
  explicit Paths(std::uint64_t seed = 1, ClusterOptions options = ClusterOptions())
      : near(std::make_shared<Medium>("near", Reach(Locality::shared_memory, true))),
        far(std::make_shared<Medium>("far", Reach(Locality::same_host, true))) {
    options.seed = seed;
    options.setup = [this, inner = options.setup](sim::SimNode& node, std::size_t index,
                                                  NodeSetup& setup) {
      if (inner) inner(node, index, setup);
      const auto over = [&](const std::shared_ptr<Medium>& medium) {
        return std::make_unique<MediumTransport>(transport::make_tcp(tcp_of(node)), medium);
      };
      setup.transport = over(far);
      setup.more_transports.push_back(over(near));
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
  /// Sends while the simulation goes on, until the predicate holds.
  template <class P>
  ::testing::AssertionResult load_until(P predicate, Duration limit = 30s) {
    const TimePoint end = cluster->sim.now() + limit;
    while (!predicate()) {
      for (int i = 0; i < 5; ++i) send_one();
      cluster->sim.run_for(200us);
      if (cluster->sim.now() > end) {
        return ::testing::AssertionFailure() << "not within the limit; chosen: " << chosen();
      }
    }
    return ::testing::AssertionSuccess();
  }
  /// Every send ended well, and each handler saw all of them once and in order.
  void expect_all_in_order() {
    for (auto& call : unary) {
      const auto reply = cluster->wait(std::move(call));
      ASSERT_TRUE(reply) << reply.error().to_string();
    }
    for (auto& call : sync) {
      const auto ended = cluster->wait(std::move(call));
      ASSERT_TRUE(ended) << ended.error().to_string();
    }
    for (auto& call : fire) {
      const auto ended = cluster->wait(std::move(call));
      ASSERT_TRUE(ended) << ended.error().to_string();
    }
    cluster->sim.run_until_quiet(1min);
    std::vector<int> all(static_cast<std::size_t>(sent));
    for (int i = 0; i < sent; ++i) all[static_cast<std::size_t>(i)] = i;
    for (const char* name : {"a", "b", "c"}) EXPECT_EQ(seen[name], all) << name;
  }

  std::shared_ptr<Medium> near;
  std::shared_ptr<Medium> far;
  std::map<std::string, std::vector<int>> seen;
  std::optional<Cluster> cluster;
  std::vector<Op<Bytes>> unary;
  std::vector<Op<void>> sync;
  std::vector<Op<void>> fire;
  int sent = 0;
};

TEST(Paths, TheNearestIsUsedWhateverTheBuildersOrder) {
  Paths paths;
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

INSTANTIATE_TEST_SUITE_P(Seeds, PathsOfSeeds, ::testing::Range<std::uint64_t>(1, 6));

}  // namespace velo::messenger::testing::paths_test
