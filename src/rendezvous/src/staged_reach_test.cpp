// SPDX-License-Identifier: Apache-2.0
// Between whom large payloads are staged, and by which connection they are read.

#include "testing.hpp"
#include "testing/path_pair.hpp"

#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::rendezvous::testing::staged_reach_test {

using messenger::testing::echo;

TEST(StagedPayloads, WithoutAResolverAtTheReaderTravelInTheirFrames) {
  StagedCluster cluster(2, 1);
  ASSERT_TRUE(cluster.nodes[1].register_handler(echo()));
  for (const std::size_t sender : {std::size_t{0}, std::size_t{1}}) {
    if (sender == 1) {
      ASSERT_TRUE(cluster.nodes[0].register_handler(echo()));
    }
    const auto reply = cluster.nodes.wait(cluster.nodes[sender]
                                              .unary("echo")
                                              .raw_payload(pattern(large))
                                              .instance(cluster.nodes.id(1 - sender))
                                              .send());
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->size(), large);
  }
  EXPECT_EQ(cluster.staged(), 0U);
}

/// Node 0 says that it can be reached, and where nobody finds it: a NAT or a firewall is between.
static void behind_a_nat(std::size_t index, NodeSetup& setup) {
  if (index != 0) return;
  transport::TcpOptions tcp;
  tcp.bind = Endpoint::tcp("0.0.0.0", 0);
  tcp.allow_plaintext_beyond_loopback = true;
  tcp.advertise = transport::InterfaceFilter::listed({{"eth0", "10.77.0.1", 1, 24}});
  setup.transport = transport::make_tcp(std::move(tcp));
}
/// The default: loopback only.
static void near_only(std::size_t index, NodeSetup& setup) {
  if (index != 0) return;
  transport::TcpOptions tcp;
  tcp.bind = Endpoint::tcp("127.0.0.1", 0);
  tcp.allow_plaintext_beyond_loopback = true;
  setup.transport = transport::make_tcp(std::move(tcp));
}
static void client_only(std::size_t index, NodeSetup& setup) { setup.listens = index != 0; }

// They were never answered, as their reader could not dial whom it had to read from.
TEST(StagedPayloads, OfASenderThatCannotBeDialledAreReadByItsOwnConnection) {
  for (const auto& setup : {behind_a_nat, near_only, client_only}) {
    StagedCluster cluster(2, SIZE_MAX, setup);
    ASSERT_TRUE(cluster.nodes[1].register_handler(echo()));
    std::size_t staged = 0;
    ASSERT_TRUE(cluster.nodes[1].register_handler(
        Handler::am_handler("take", [&](Context&) { staged = cluster.staged(); }).build()));
    for (const std::size_t bytes : {large, velo::limits::frame_bytes_max + 1}) {
      const Bytes contents = Bytes::copy(pattern(bytes));
      const TimePoint begin = cluster.nodes.sim.now();
      auto& sender = cluster.nodes[0];
      const auto reply = cluster.nodes.wait(
          sender.unary("echo").raw_payload(contents).instance(cluster.nodes.id(1)).send());
      ASSERT_TRUE(reply) << reply.error().to_string();
      EXPECT_EQ(*reply, contents);
      const auto taken = cluster.nodes.wait(
          sender.am_sync("take").raw_payload(contents).instance(cluster.nodes.id(1)).send());
      EXPECT_EQ(outcome(taken), "ok");
      EXPECT_EQ(staged, 1U);
      EXPECT_LT(cluster.nodes.sim.now() - begin, Duration(2s));
    }
    cluster.expect_nothing_left();
  }
}

TEST(StagedPayloads, OfASenderThatCannotBeDialledEndWithItsConnection) {
  StagedCluster cluster(2, SIZE_MAX, behind_a_nat);
  int ran = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(Handler::unary_handler("count", [&](Context&) {
                                                  ++ran;
                                                  return Bytes();
                                                }).build()));
  auto call = cluster.nodes[0]
                  .unary("count")
                  .raw_payload(pattern(8 * large))
                  .instance(cluster.nodes.id(1))
                  .send();
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[1].use().transfers == 1; }));
  cluster.nodes.sim.reset_connections(cluster.nodes.sim.node(0), cluster.nodes.sim.node(1));
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(call), 1s)), "messenger.connection_lost");
  EXPECT_EQ(ran, 0);
  cluster.expect_nothing_left();
  // The next one finds a connection again.
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.nodes[0]
                                           .unary("count")
                                           .raw_payload(pattern(large))
                                           .instance(cluster.nodes.id(1))
                                           .send())),
            "ok");
  EXPECT_EQ(ran, 1);
  cluster.expect_nothing_left();
}

/// An address that nobody finds, for the first node.
static std::unique_ptr<transport::Transport> hidden_first(const sim::SimNode& node) {
  transport::TcpOptions tcp = messenger::testing::tcp_of(node);
  if (node.name() == "node0") {
    tcp.advertise = transport::InterfaceFilter::listed({{"eth0", "10.77.0.1", 1, 24}});
  }
  return transport::make_tcp(std::move(tcp));
}

// The connection that brought the request is gone, and the sender goes on by another one.
TEST(StagedPayloads, OfASenderThatCannotBeDialledAreReadByTheConnectionThatCarriesTheCallOn) {
  std::vector<Rendezvous> data;
  messenger::testing::PathPairOptions options;
  options.near_transport = hidden_first;
  options.far_transport = hidden_first;
  options.cluster.setup = [&](sim::SimNode&, std::size_t, NodeSetup& setup) {
    data.push_back(Rendezvous::unattached());
    setup.configure = [resolver = data.back().resolver()](MessengerBuilder& builder) {
      builder.payloads(resolver);
    };
  };
  messenger::testing::PathPair paths(std::move(options));
  ASSERT_TRUE(data[0].attach_to(paths.client()));
  ASSERT_TRUE(data[1].attach_to(paths.server()));
  ASSERT_TRUE(paths.server().register_handler(echo()));
  paths.send_one();
  ASSERT_TRUE(paths.cluster->until([&] { return paths.chosen() == "near"; }));

  const Bytes contents = Bytes::copy(pattern(8 * large));
  const TimePoint begin = paths.cluster->sim.now();
  auto call = paths.client().unary("echo").raw_payload(contents).instance(paths.server_id()).send();
  ASSERT_TRUE(paths.cluster->until([&] { return data[0].use().leases == 1; }));
  paths.near->cut();
  const auto reply = paths.cluster->wait(std::move(call));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_TRUE(*reply == contents);
  EXPECT_EQ(paths.chosen(), "far");
  EXPECT_LT(paths.cluster->sim.now() - begin, Duration(3s));
  paths.expect_all_in_order();
  // A lease that was granted and whose grant was lost lapses.
  EXPECT_TRUE(paths.cluster->until([&] {
    return std::ranges::all_of(data, [](const Rendezvous& each) {
      return each.use().entries + each.use().leases + each.use().transfers == 0;
    });
  }));
}

TEST(StagedPayloads, AreSentToThePublicVeloAsItSendsThemAndRepliesNever) {
  StagedCluster cluster(2, SIZE_MAX,
                        [](std::size_t index, NodeSetup& setup) { setup.legacy = index == 1; });
  std::size_t staged = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::unary_handler("echo", [&](Context& context) {
        staged = std::max(staged, cluster.data[0].use().entries + cluster.data[0].use().leases);
        return context.payload_bytes();
      }).build()));
  ASSERT_TRUE(cluster.nodes[0].register_handler(echo()));
  for (const std::size_t sender : {std::size_t{0}, std::size_t{1}}) {
    const auto reply = cluster.nodes.wait(cluster.nodes[sender]
                                              .unary("echo")
                                              .raw_payload(pattern(large))
                                              .instance(cluster.nodes.id(1 - sender))
                                              .send());
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->size(), large);
  }
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, TypedBodiesAreStagedAsTheReaderReadsThem) {
  StagedCluster cluster(2, SIZE_MAX,
                        [](std::size_t index, NodeSetup& setup) { setup.legacy = index == 1; });
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::typed_unary("length", [](TypedContext<std::string>& context) {
        return static_cast<std::uint64_t>(context.input.size());
      }).build()));
  const auto length = cluster.nodes.wait(cluster.nodes[0]
                                             .typed_unary<std::uint64_t>("length")
                                             .payload(std::string(large, 'x'))
                                             .instance(cluster.nodes.id(1))
                                             .send());
  ASSERT_TRUE(length) << length.error().to_string();
  EXPECT_EQ(*length, large);
  cluster.expect_nothing_left();
}

}  // namespace velo::rendezvous::testing::staged_reach_test
