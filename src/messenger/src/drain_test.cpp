// SPDX-License-Identifier: Apache-2.0
// A drain's phases: what is refused, what is waited for, how far it is, and what the end cut off.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/discovery/backends/static.hpp>

namespace velo::messenger::testing::drain_test {

/// Node 1 runs one gated call of node 0.
class Drain : public ::testing::Test {
 protected:
  explicit Drain(ClusterOptions options = ClusterOptions()) : cluster(3, std::move(options)) {
    EXPECT_TRUE(cluster[1].register_handler(gated("hold", gate)));
    EXPECT_TRUE(cluster[1].register_handler(echo()));
    running.emplace(cluster[0].unary("hold").raw_payload("slow").instance(cluster.id(1)).send());
    EXPECT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }

  Gate gate;
  Cluster cluster;
  std::optional<Op<Bytes>> running;
};

TEST_F(Drain, ItsStateTellsThePhaseAndWhatIsLeft) {
  DrainState state = cluster[1].drain_state();
  EXPECT_EQ(state.phase, DrainPhase::serving);
  EXPECT_EQ(state.running, 1u);
  EXPECT_EQ(state.connections, 1u);
  auto over = cluster[1].shutdown();
  cluster.sim.run_for(1s);
  state = cluster[1].drain_state();
  EXPECT_EQ(state.phase, DrainPhase::draining);
  EXPECT_EQ(state.running, 1u);
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  state = cluster[1].drain_state();
  EXPECT_EQ(state.phase, DrainPhase::closed);
  EXPECT_EQ(state.running, 0u);
  EXPECT_EQ(state.connections, 0u);
  EXPECT_EQ(state.requests_cut_off + state.calls_cut_off + state.bytes_cut_off, 0u);
}

TEST_F(Drain, TheEndSaysWhatItCutOff) {
  auto over = cluster[1].shutdown(ShutdownPolicy(1s));
  const auto ended = cluster.wait(std::move(over));
  ASSERT_EQ(outcome(ended), "base.deadline_exceeded");
  EXPECT_NE(ended.error().context().find("1 requests were still running"), std::string::npos)
      << ended.error().context();
  EXPECT_EQ(cluster[1].drain_state().requests_cut_off, 1u);
  gate.open();
}

TEST_F(Drain, OwnSendsAreAllowedUntilTheLastPhase) {
  ASSERT_TRUE(cluster[2].register_handler(echo()));
  auto over = cluster[1].shutdown();
  EXPECT_EQ(outcome(cluster.wait(cluster[1].unary("echo").instance(cluster.id(2)).send())), "ok");
  EXPECT_FALSE(over.done());
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  EXPECT_EQ(outcome(cluster.wait(cluster[1].unary("echo").instance(cluster.id(2)).send())),
            "messenger.shutting_down");
}

TEST_F(Drain, OwnCallsAreWaitedForWhenAsked) {
  Gate theirs;
  ASSERT_TRUE(cluster[2].register_handler(gated("hold", theirs)));
  auto own = cluster[1].unary("hold").instance(cluster.id(2)).send();
  ASSERT_TRUE(cluster.until([&] { return theirs.waiting == 1; }));
  gate.open();
  auto over = cluster[1].shutdown(ShutdownPolicy(10s, true));
  cluster.sim.run_for(1s);
  EXPECT_FALSE(over.done());
  EXPECT_EQ(cluster[1].drain_state().own_calls, 1u);
  theirs.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(own))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
}

TEST_F(Drain, OwnCallsAreCutOffOtherwise) {
  Gate theirs;
  ASSERT_TRUE(cluster[2].register_handler(gated("hold", theirs)));
  auto own = cluster[1].unary("hold").instance(cluster.id(2)).send();
  ASSERT_TRUE(cluster.until([&] { return theirs.waiting == 1; }));
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(cluster[1].shutdown())), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(own))), "messenger.shutting_down");
  EXPECT_EQ(cluster[1].drain_state().calls_cut_off, 1u);
  theirs.open();
}

TEST_F(Drain, OwnCallsThatNeverEndAreBoundedByThePatience) {
  Gate theirs;
  ASSERT_TRUE(cluster[2].register_handler(gated("hold", theirs)));
  auto own = cluster[1].unary("hold").instance(cluster.id(2)).send();
  ASSERT_TRUE(cluster.until([&] { return theirs.waiting == 1; }));
  gate.open();
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[1].shutdown(ShutdownPolicy(3s, true)))),
            "base.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 3s);
  EXPECT_EQ(outcome(cluster.wait(std::move(own))), "messenger.shutting_down");
  theirs.open();
}

TEST_F(Drain, APeerThatVanishesIsNotWaitedFor) {
  auto over = cluster[1].shutdown(ShutdownPolicy(1min));
  cluster.sim.run_for(1s);
  const TimePoint before = cluster.sim.now();
  cluster.sim.crash(cluster.sim.node(0));
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  EXPECT_LT(cluster.sim.now() - before, 1s);
  cluster.messengers[0].reset();
  gate.open();
}

TEST_F(Drain, APeerThatVanishesWithoutAWordIsBoundedByThePatience) {
  auto over = cluster[1].shutdown(ShutdownPolicy(3s));
  cluster.sim.crash(cluster.sim.node(0), sim::CrashKind::power);
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "base.deadline_exceeded");
  EXPECT_LE(cluster.sim.now() - before, 3s + limits::flush_patience);
  cluster.messengers[0].reset();
  gate.open();
}

TEST(DrainOfOne, RequestsThatHaveArrivedUnreadAreAnswered) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
    // A paused node's socket fills while nobody reads it; its first act then is to drain.
    cluster.sim.pause(cluster.sim.node(1));
    std::vector<Op<Bytes>> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(cluster[0].unary("echo").instance(cluster.id(1)).send());
    }
    cluster.sim.run_for(1s);
    auto over = cluster[1].shutdown();
    cluster.sim.resume(cluster.sim.node(1));
    EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
    for (auto& call : calls) {
      const std::string ended = outcome(cluster.wait(std::move(call)));
      EXPECT_TRUE(ended == "messenger.shutting_down" || ended == "ok")
          << "seed " << seed << ": " << ended;
    }
  }
}

TEST(DrainOfOne, BytesThatAPeerDoesNotReadAreCountedAsCutOff) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[0].register_handler(
      Handler::unary_handler("large",
                             [](Context&) { return Bytes::copy(std::string(8'000'000, 'x')); })
          .inline_()
          .build()));
  ASSERT_TRUE(cluster.wait(cluster[1].available_handlers(cluster.id(0))));
  cluster.outsiders = true;
  auto call = cluster[1].unary("large").instance(cluster.id(0)).timeout(5s).send();
  cluster.sim.run_for(1us);
  cluster.sim.pause(cluster.sim.node(1));
  ASSERT_TRUE(cluster.until([&] { return cluster[0].drain_state().bytes_queued > 1'000'000; }));
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].shutdown())), "ok");
  EXPECT_LE(cluster.sim.now() - before, limits::flush_patience + 1s);
  EXPECT_GT(cluster[0].drain_state().bytes_cut_off, 1'000'000u);
  cluster.sim.resume(cluster.sim.node(1));
  EXPECT_FALSE(cluster.wait(std::move(call)));
}

TEST(DrainOfOne, RepliesThatWaitToBeDialledBackAreWaitedFor) {
  Gate gate;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(gated("hold", gate)));
  RawPeer legacy(cluster);
  RawEnd& asking = legacy.dial(cluster[0]);
  asking.greet(legacy.info, std::nullopt);
  EXPECT_EQ(legacy.next(legacy.wait_accepted(0)).request().name, "_hello");
  legacy.accepted[0]->close();
  cluster.sim.run_for(1s);
  asking.send(transport::FrameType::message,
              request_header(protocol::ResponseType::unary, legacy.id(7), "hold"), Bytes());
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto over = cluster[0].shutdown();
  gate.open();
  // The way back has to be dialled first.
  RawEnd& back = legacy.wait_accepted(1);
  EXPECT_EQ(legacy.next(back).request().name, "_hello");
  EXPECT_EQ(legacy.next(back).response().id, legacy.id(7));
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  EXPECT_EQ(cluster[0].drain_state().replies_waiting, 0u);
}

TEST(DrainOfOne, TheAnnouncementIsWithdrawnWhenItBegins) {
  Gate gate;
  std::shared_ptr<discovery::StaticDiscovery> directory;
  ClusterOptions options;
  options.introduced = false;
  options.setup = [&directory](sim::SimNode& node, std::size_t, NodeSetup& setup) {
    if (!directory) directory = std::move(*discovery::StaticDiscovery::create(node.pool()));
    setup.discovery = directory;
  };
  Cluster cluster(3, options);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto over = cluster[1].shutdown();
  EXPECT_EQ(outcome(cluster.wait(cluster[2].unary("hold").instance(cluster.id(1)).send())),
            "messenger.unknown_peer");
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "ok");
}

}  // namespace velo::messenger::testing::drain_test
