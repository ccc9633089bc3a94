// SPDX-License-Identifier: Apache-2.0
// Who is known, how they become known, and how they are forgotten.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/discovery/backends/static.hpp>

#include <algorithm>

namespace velo::messenger::testing::peers_test {

static ClusterOptions strangers() {
  ClusterOptions options;
  options.introduced = false;
  return options;
}

static PeerInfo moved(const PeerInfo& peer, const PeerInfo& to) {
  PeerInfo info = peer;
  info.address = to.address;
  return info;
}

static bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Nodes that announce themselves in one discovery, and are not introduced otherwise.
struct Discovering {
  std::shared_ptr<discovery::StaticDiscovery> discovery;
  Cluster cluster;

  explicit Discovering(std::size_t count) : cluster(count, options()) {}
  ~Discovering() { cluster.outsiders = true; }

 private:
  ClusterOptions options() {
    ClusterOptions made = strangers();
    made.setup = [this](sim::SimNode& node, std::size_t, NodeSetup& setup) {
      if (!discovery) discovery = std::move(*discovery::StaticDiscovery::create(node.pool()));
      setup.discovery = discovery;
    };
    return made;
  }
};

TEST(Peers, RegisteringTheSameAgainIsFine) {
  Cluster cluster(2);
  EXPECT_EQ(outcome(cluster[0].register_peer(cluster[1].peer_info())), "ok");
  EXPECT_EQ(cluster[0].peers().size(), 1u);
}

TEST(Peers, AnotherAddressForAKnownPeerIsRefused) {
  Cluster cluster(3);
  const PeerInfo other = moved(cluster[1].peer_info(), cluster[2].peer_info());
  EXPECT_EQ(outcome(cluster[0].register_peer(other)), "base.already_exists");
  EXPECT_EQ(cluster[0].peers().size(), 2u);
}

TEST(Peers, AnAddressThatNoTransportReachesIsNoRoute) {
  Cluster cluster(2, strangers());
  PeerInfo info;
  info.instance_id = cluster.id(1);
  EXPECT_EQ(outcome(cluster[0].register_peer(info)), "messenger.no_route");
  info.address.emplace("pigeon", Bytes::copy("coop 7"));
  EXPECT_EQ(outcome(cluster[0].register_peer(info)), "messenger.no_route");
  EXPECT_TRUE(cluster[0].peers().empty());
}

TEST(Peers, ANilInstanceIsNoPeer) {
  Cluster cluster(2, strangers());
  PeerInfo info = cluster[1].peer_info();
  info.instance_id = InstanceId();
  EXPECT_EQ(outcome(cluster[0].register_peer(info)), "base.invalid_argument");
}

TEST(Peers, AWorkerIdIsATarget) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("w").worker(cluster[1].worker_id()).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "w");
}

TEST(Peers, AStrangerIsUnknownWithoutDiscovery) {
  Cluster cluster(2, strangers());
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())),
            "messenger.unknown_peer");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").worker(cluster[1].worker_id()).send())),
            "messenger.unknown_peer");
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 2u);
}

TEST(Peers, DiscoveryFindsAStrangerByInstance) {
  Discovering nodes(2);
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("i").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "i");
}

TEST(Peers, DiscoveryFindsAStrangerByWorker) {
  Discovering nodes(2);
  Cluster& cluster = nodes.cluster;
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("w").worker(cluster[1].worker_id()).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "w");
}

TEST(Peers, WhomDiscoveryDoesNotKnowIsUnknown) {
  Discovering nodes(1);
  Cluster& cluster = nodes.cluster;
  const InstanceId nobody = InstanceId::random(cluster.sim.random());
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(nobody).send())),
            "messenger.unknown_peer");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").worker(nobody.worker_id()).send())),
            "messenger.unknown_peer");
  EXPECT_TRUE(cluster[0].peers().empty());
}

TEST(Peers, WhoIsKnownByGreetingOnlyIsForgottenWithTheConnection) {
  Cluster cluster(2, strangers());
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  ASSERT_TRUE(cluster[1].register_peer(cluster[0].peer_info()));
  ASSERT_TRUE(cluster.wait(cluster[1].unary("echo").instance(cluster.id(0)).send()));
  EXPECT_EQ(cluster[0].peers().size(), 1u);
  cluster.messengers[1].reset();
  EXPECT_TRUE(cluster.until([&] { return cluster[0].peers().empty(); }));
}

TEST(Peers, TwoHundredShortLivedClientsLeaveNothingBehind) {
  ClusterOptions options = strangers();
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.listens = index == 0;
  };
  Cluster cluster(1, options);
  cluster.outsiders = true;
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  sim::SimNode& node = cluster.sim.add_node("clients");
  for (int i = 0; i < 200; ++i) {
    const auto client = cluster.build(node, 1);
    ASSERT_TRUE(client->register_peer(cluster[0].peer_info()));
    ASSERT_TRUE(cluster.wait(client->unary("echo").instance(cluster.id(0)).send()));
    EXPECT_TRUE(client->books().balanced());
  }
  EXPECT_TRUE(cluster.until([&] { return cluster[0].peers().empty(); }));
  EXPECT_EQ(cluster[0].books().received.succeeded, 200u);
}

TEST(Peers, UnregisteringEndsWhatIsInFlight) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  const TimePoint before = cluster.sim.now();
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.connection_lost");
  EXPECT_LT(cluster.sim.now() - before, 1s);
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("hold").instance(cluster.id(1)).send())),
            "messenger.unknown_peer");
  EXPECT_EQ(outcome(cluster[0].unregister_peer(cluster.id(1))), "messenger.unknown_peer");
  gate.open();
}

TEST(Peers, UnregisteringEndsWhatWaitsForTheConnection) {
  Cluster cluster(2);
  auto call = cluster[0].unary("echo").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.unknown_peer");
}

TEST(Peers, UnregisteringAbandonsTheDial) {
  Cluster cluster(2);
  cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
  auto call = cluster[0].unary("echo").instance(cluster.id(1)).timeout(1min).send();
  cluster.sim.run_for(10ms);
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.unknown_peer");
  cluster.sim.run_for(1ms);
  cluster.sim.heal();
  cluster.sim.run_for(30s);
  EXPECT_EQ(cluster.sim.stats().connections_opened, 0u);
}

TEST(Peers, WhoIsUnregisteredDuringDiscoveryStaysUnknown) {
  Discovering nodes(2);
  Cluster& cluster = nodes.cluster;
  auto call = cluster[0].unary("echo").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.unknown_peer");
  cluster.sim.run_for(1s);
  EXPECT_TRUE(cluster[0].peers().empty());
}

TEST(Peers, AGreetingOverridesNoRegisteredAddress) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  RawPeer impostor(cluster);
  impostor.info.instance_id = cluster.id(1);
  RawEnd& end = impostor.dial(cluster[0]);
  end.greet(impostor.info, local_offer(1));
  ASSERT_TRUE(cluster.until([&] { return !end.frames.empty(); }));
  ASSERT_EQ(cluster[0].peers().size(), 1u);
  EXPECT_EQ(cluster[0].peers().front(), cluster[1].peer_info());
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("true").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "true");
}

TEST(Peers, ARegistrationOverridesWhatAGreetingClaimed) {
  Cluster cluster(2, strangers());
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  RawPeer impostor(cluster);
  impostor.info.instance_id = cluster.id(1);
  RawEnd& end = impostor.dial(cluster[0]);
  end.greet(impostor.info, local_offer(1));
  ASSERT_TRUE(cluster.until([&] { return !end.frames.empty(); }));
  EXPECT_EQ(outcome(cluster[0].register_peer(cluster[1].peer_info())), "ok");
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("true").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "true");
}

TEST(Peers, AvailableHandlersAreThoseToldAtTheGreeting) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo("first")));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("first").instance(cluster.id(1)).send()));
  ASSERT_TRUE(cluster[1].register_handler(echo("second")));
  const auto told = cluster.wait(cluster[0].available_handlers(cluster.id(1)));
  ASSERT_TRUE(told) << told.error().to_string();
  EXPECT_TRUE(contains(*told, "first"));
  EXPECT_FALSE(contains(*told, "second"));
}

TEST(Peers, RefreshedHandlersAreThoseOfNow) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo("first")));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("first").instance(cluster.id(1)).send()));
  ASSERT_TRUE(cluster[1].register_handler(echo("second")));
  const auto fresh = cluster.wait(cluster[0].refresh_handlers(cluster.id(1)));
  ASSERT_TRUE(fresh) << fresh.error().to_string();
  EXPECT_TRUE(contains(*fresh, "second"));
  const auto cached = cluster.wait(cluster[0].available_handlers(cluster.id(1)));
  ASSERT_TRUE(cached) << cached.error().to_string();
  EXPECT_TRUE(contains(*cached, "second"));
}

TEST(Peers, WaitForHandlerSeesItAppear) {
  Cluster cluster(2);
  auto wait = cluster[0].wait_for_handler(cluster.id(1), "late", 10s);
  cluster.sim.run_for(1s);
  EXPECT_FALSE(wait.done());
  ASSERT_TRUE(cluster[1].register_handler(echo("late")));
  EXPECT_EQ(outcome(cluster.wait(std::move(wait), 1s)), "ok");
}

TEST(Peers, WaitForHandlerAsksOnceMoreWhenTimeIsUp) {
  Cluster cluster(2);
  auto wait = cluster[0].wait_for_handler(cluster.id(1), "late", 300ms);
  cluster.sim.run_for(290ms);
  EXPECT_FALSE(wait.done());
  ASSERT_TRUE(cluster[1].register_handler(echo("late")));
  EXPECT_EQ(outcome(cluster.wait(std::move(wait), 1s)), "ok");
}

TEST(Peers, WaitForHandlerEndsAtItsTimeout) {
  Cluster cluster(2);
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].wait_for_handler(cluster.id(1), "never", 700ms))),
            "messenger.unknown_handler");
  EXPECT_GE(cluster.sim.now() - before, 700ms);
  EXPECT_LT(cluster.sim.now() - before, 750ms);
}

TEST(Peers, WaitForHandlerOfAFrozenPeerEndsAtItsTimeout) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster.wait(cluster[0].available_handlers(cluster.id(1))));
  cluster.sim.pause(cluster.sim.node(1));
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].wait_for_handler(cluster.id(1), "never", 700ms))),
            "messenger.unknown_handler");
  EXPECT_LT(cluster.sim.now() - before, 1s);
}

TEST(Peers, AClientOnlyNodeCallsAndIsAnsweredOnTheSameConnection) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.listens = index == 0;
  };
  Cluster cluster(2, options);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  const auto reply =
      cluster.wait(cluster[1].unary("echo").raw_payload("c").instance(cluster.id(0)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "c");
  EXPECT_EQ(cluster.sim.stats().connections_opened, 1u);
}

TEST(Peers, AClientOnlyNodeCannotBeCalled) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.listens = index == 0;
  };
  Cluster cluster(2, options);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[1].unary("echo").instance(cluster.id(0)).send()));
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())),
            "messenger.no_route");
}

}  // namespace velo::messenger::testing::peers_test
