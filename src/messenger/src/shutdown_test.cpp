// SPDX-License-Identifier: Apache-2.0
// How a messenger ends: drained, out of patience, or at once.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::shutdown_test {

/// Finds nobody, and never says so.
class SilentDiscovery final : public discovery::PeerDiscovery {
 public:
  explicit SilentDiscovery(Executor& callbacks) : callbacks_(callbacks) {}
  std::string_view name() const noexcept override { return "silent"; }
  Op<std::unique_ptr<discovery::Registration>> announce(const PeerInfo& /*self*/) override {
    return Op<std::unique_ptr<discovery::Registration>>::ready(
        callbacks_, std::unique_ptr<discovery::Registration>());
  }
  Op<PeerInfo> discover_by_instance_id(const InstanceId& /*id*/) override { return ask(); }
  Op<PeerInfo> discover_by_worker_id(WorkerId /*id*/) override { return ask(); }
  Op<std::vector<PeerInfo>> list() override {
    return Op<std::vector<PeerInfo>>::ready(callbacks_, std::vector<PeerInfo>());
  }
  std::unique_ptr<discovery::Registration> watch(Executor& /*executor*/,
                                                 discovery::PeerWatcher /*watcher*/) override {
    return nullptr;
  }

  std::vector<Promise<PeerInfo>> asked;

 private:
  Op<PeerInfo> ask() {
    asked.emplace_back(callbacks_);
    return asked.back().op();
  }

  Executor& callbacks_;
};

/// Node 1 runs one gated call of node 0.
class Draining : public ::testing::Test {
 protected:
  Draining() : cluster(3) {
    EXPECT_TRUE(cluster[1].register_handler(gated("hold", gate)));
    EXPECT_TRUE(cluster[1].register_handler(echo()));
    EXPECT_TRUE(cluster[1].register_handler(
        Handler::am_handler("note", [this](Context&) { ++notes; }).inline_().build()));
    running.emplace(cluster[0].unary("hold").raw_payload("slow").instance(cluster.id(1)).send());
    EXPECT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }

  Gate gate;
  Cluster cluster;
  int notes = 0;
  std::optional<Op<Bytes>> running;
};

TEST_F(Draining, NewRequestsAreRefusedAsShuttingDown) {
  auto over = cluster[1].shutdown();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())),
            "messenger.shutting_down");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_sync("note").instance(cluster.id(1)).send())),
            "messenger.shutting_down");
  EXPECT_FALSE(over.done());
  EXPECT_EQ(cluster[1].books().received.rejected, 2u);
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  EXPECT_EQ(notes, 0);
}

TEST_F(Draining, ANewConnectionIsRefusedAsWell) {
  auto over = cluster[1].shutdown();
  const auto refused = cluster.wait(cluster[2].unary("echo").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(refused), "messenger.shutting_down");
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
}

TEST_F(Draining, RunningHandlersFinishAndTheirRepliesArrive) {
  auto over = cluster[1].shutdown();
  cluster.sim.run_for(5s);
  EXPECT_FALSE(over.done());
  EXPECT_FALSE(running->done());
  gate.open();
  const auto reply = cluster.wait(std::move(*running));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "slow");
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
}

TEST_F(Draining, WithoutPatienceItEndsAsLate) {
  const TimePoint before = cluster.sim.now();
  auto over = cluster[1].shutdown(ShutdownPolicy(2s));
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "base.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 2s);
  EXPECT_EQ(outcome(cluster.wait(std::move(*running))), "messenger.connection_lost");
  EXPECT_EQ(cluster[1].books().received.abandoned, 1u);
  gate.open();
}

TEST_F(Draining, ASecondShutdownIsRefused) {
  auto first = cluster[1].shutdown();
  EXPECT_EQ(outcome(cluster.wait(cluster[1].shutdown())), "base.shutting_down");
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(first))), "ok");
  EXPECT_EQ(outcome(cluster.wait(cluster[1].shutdown())), "base.shutting_down");
}

TEST_F(Draining, DestructionDuringTheDrainEndsIt) {
  auto over = cluster[1].shutdown(ShutdownPolicy(1min));
  cluster.sim.run_for(1s);
  cluster.messengers[1].reset();
  EXPECT_TRUE(cluster.sim.run_until([&] { return over.done(); }, 5s));
  EXPECT_EQ(outcome(cluster.wait(std::move(*running), 5s)), "messenger.connection_lost");
  gate.open();
}

TEST(Shutdown, AnIdleMessengerIsDrainedAtOnce) {
  Cluster cluster(1);
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].shutdown())), "ok");
  EXPECT_LT(cluster.sim.now() - before, 1s);
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(0)).send())),
            "messenger.shutting_down");
}

TEST(Shutdown, LargeRepliesOfADrainAreWrittenToTheirEnd) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  const std::string large(3'000'000, 'x');
  auto call = cluster[0].unary("hold").raw_payload(large).instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto over = cluster[1].shutdown();
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  const auto reply = cluster.wait(std::move(call));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->size(), large.size());
}

TEST(Shutdown, DestroyingTheCallerEndsItsCalls) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(cluster[0].unary("hold").instance(cluster.id(1)).send());
  }
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 100; }));
  cluster.messengers[0].reset();
  for (auto& call : calls) {
    const auto ended = cluster.wait(std::move(call));
    EXPECT_EQ(outcome(ended), "messenger.shutting_down");
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().retry(), Retry::later) << "it was handled, perhaps";
  }
  EXPECT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 100; }));
  gate.open();
}

TEST(Shutdown, DestroyingThePeerEndsTheCallsToIt) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(cluster[0].unary("hold").instance(cluster.id(1)).send());
  }
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 100; }));
  const TimePoint before = cluster.sim.now();
  cluster.messengers[1].reset();
  for (auto& call : calls) {
    EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.connection_lost");
  }
  EXPECT_LT(cluster.sim.now() - before, 5s);
  EXPECT_EQ(cluster[0].books().unary[Fate::unknown], 100u);
  gate.open();
}

TEST(Shutdown, DestructionWhileDiallingEndsWhatWaits) {
  for (int steps = 0; steps < 40; ++steps) {
    Cluster cluster(2);
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    auto call = cluster[0].unary("echo").instance(cluster.id(1)).send();
    auto fire = cluster[0].am_send("echo").instance(cluster.id(1)).send();
    for (int i = 0; i < steps && !call.done(); ++i) cluster.sim.step();
    const bool answered = call.done();
    cluster.messengers[0].reset();
    const auto reply = cluster.wait(std::move(call));
    EXPECT_EQ(outcome(reply), answered ? "ok" : "messenger.shutting_down") << steps << " steps";
    (void)cluster.wait(std::move(fire), 10s);
  }
}

TEST(Shutdown, DestructionWhileAPeerDoesNotGreetEndsWhatWaits) {
  Cluster cluster(1);
  RawPeer silent(cluster);
  ASSERT_TRUE(cluster[0].register_peer(silent.info));
  auto call = cluster[0].unary("echo").instance(silent.info.instance_id).send();
  RawEnd& end = silent.wait_accepted();
  ASSERT_EQ(silent.next(end).request().name, "_hello");
  cluster.messengers[0].reset();
  EXPECT_EQ(outcome(cluster.wait(std::move(call), 1s)), "messenger.shutting_down");
  EXPECT_TRUE(cluster.until([&] { return end.over(); }));
}

TEST(Shutdown, DestructionWhileDiscoveryIsAskedEndsWhatWaits) {
  std::shared_ptr<SilentDiscovery> silent;
  ClusterOptions options;
  options.introduced = false;
  options.setup = [&silent](sim::SimNode& node, std::size_t, NodeSetup& setup) {
    if (!silent) silent = std::make_shared<SilentDiscovery>(node.pool());
    setup.discovery = silent;
  };
  Cluster cluster(2, options);
  auto call = cluster[0].unary("echo").instance(cluster.id(1)).send();
  cluster.sim.run_for(1s);
  ASSERT_EQ(silent->asked.size(), 1u);
  EXPECT_FALSE(call.done());
  const PeerInfo late = cluster[1].peer_info();
  cluster.messengers[0].reset();
  EXPECT_EQ(outcome(cluster.wait(std::move(call), 1s)), "messenger.shutting_down");
  silent->asked.front().set(late);
  cluster.sim.run_for(1s);
  silent->asked.clear();
}

TEST(Shutdown, DestructionEndsAWaitForAHandler) {
  Cluster cluster(2);
  auto wait = cluster[0].wait_for_handler(cluster.id(1), "never", 1min);
  cluster.sim.run_for(1s);
  cluster.messengers[0].reset();
  EXPECT_FALSE(cluster.wait(std::move(wait), 1s));
  EXPECT_EQ(cluster.sim.stats().connections_opened, 1u);
}

TEST(Shutdown, DestructionAbandonsTheHandlersThatRun) {
  Gate gate;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(0)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.messengers[0].reset();
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.shutting_down");
  gate.open();
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(gate.stopped, 1);
}

}  // namespace velo::messenger::testing::shutdown_test
