// SPDX-License-Identifier: Apache-2.0
// A caller that gives up: by dropping or cancelling its Op, or by its stop token, at any time; and
// what the handler hears of it.

#include "testing/cluster.hpp"

#include <map>

namespace velo::messenger::testing::cancellation_test {

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

static Op<Bytes> call(Cluster& cluster, std::string_view payload, std::stop_token stop = {}) {
  return cluster[0]
      .unary("wait")
      .raw_payload(payload)
      .stop(std::move(stop))
      .instance(cluster.id(1))
      .send();
}

/// Node 1 has "wait", whose invocations leave their stop tokens here, by payload.
class Cancellation : public ::testing::Test {
 protected:
  Cancellation() : cluster(2) {
    auto added =
        cluster[1].register_handler(Handler::unary_handler_async("wait", [this](Context context) {
                                      tokens[std::string(as_text(context.payload()))] =
                                          context.stop_token();
                                      return wait_at(std::move(context), &gate);
                                    }).build());
    EXPECT_TRUE(added);
  }
  void TearDown() override {
    gate.open();
    cluster.sim.run_until_quiet(1min);
    expect_balanced(cluster);
  }
  bool arrived(const std::string& payload) {
    return cluster.until([&] { return tokens.contains(payload); });
  }
  bool stopped(const std::string& payload) {
    return cluster.until([&] { return tokens[payload].stop_requested(); });
  }

  Gate gate;
  std::map<std::string, std::stop_token> tokens;
  Cluster cluster;
};

TEST_F(Cancellation, ByDroppingTheOpReachesTheHandler) {
  {
    auto op = call(cluster, "a");
    ASSERT_TRUE(arrived("a"));
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 1u);
  EXPECT_TRUE(stopped("a"));
  EXPECT_EQ(cluster[1].books().received.abandoned, 1u);
}

TEST_F(Cancellation, ByTheOpEndsItAsCancelled) {
  auto op = call(cluster, "a");
  ASSERT_TRUE(arrived("a"));
  op.cancel();
  op.cancel();
  EXPECT_TRUE(op.done());
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.cancelled");
  EXPECT_TRUE(stopped("a"));
}

TEST_F(Cancellation, ByAStopTokenThatWasStoppedBeforeSendsNothing) {
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(outcome(cluster.wait(call(cluster, "a", source.get_token()))), "messenger.cancelled");
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(cluster[1].books().received.requests, 0u);
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 1u);
}

TEST_F(Cancellation, ByAStopTokenWhileWaitingReachesTheHandler) {
  std::stop_source source;
  auto op = call(cluster, "a", source.get_token());
  ASSERT_TRUE(arrived("a"));
  EXPECT_FALSE(op.done());
  source.request_stop();
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.cancelled");
  EXPECT_TRUE(stopped("a"));
}

TEST_F(Cancellation, ByAStopTokenAfterTheEndIsHarmless) {
  gate.open();
  std::stop_source source;
  auto op = call(cluster, "a", source.get_token());
  ASSERT_TRUE(cluster.until([&] { return op.done(); }));
  source.request_stop();
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  std::stop_source later;
  EXPECT_EQ(outcome(cluster.wait(call(cluster, "b", later.get_token()))), "ok");
  later.request_stop();
  EXPECT_EQ(outcome(cluster.wait(call(cluster, "c"))), "ok") << "in the very slot of the former";
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 3u);
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 0u);
}

TEST_F(Cancellation, OneStopTokenEndsAllItsCalls) {
  std::stop_source source;
  std::vector<Op<Bytes>> ops;
  for (const char* name : {"a", "b", "c"}) {
    ops.push_back(call(cluster, name, source.get_token()));
    ASSERT_TRUE(arrived(name));
  }
  source.request_stop();
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.cancelled");
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(stopped(name));
}

TEST_F(Cancellation, NeverReachesAnotherCall) {
  auto first = call(cluster, "a");
  auto second = call(cluster, "b");
  auto third = call(cluster, "c");
  ASSERT_TRUE(arrived("a") && arrived("b") && arrived("c"));
  second.cancel();
  EXPECT_TRUE(stopped("b"));
  auto reused = call(cluster, "d");
  ASSERT_TRUE(arrived("d"));
  cluster.sim.run_until_quiet(1s);
  EXPECT_FALSE(tokens["a"].stop_requested());
  EXPECT_FALSE(tokens["c"].stop_requested());
  EXPECT_FALSE(tokens["d"].stop_requested());
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(first))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(third))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(reused))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(second))), "messenger.cancelled");
}

TEST_F(Cancellation, OfAFinishedCallIsHarmless) {
  gate.open();
  auto op = call(cluster, "a");
  ASSERT_TRUE(cluster.until([&] { return op.done(); }));
  op.cancel();
  const auto reply = cluster.wait(std::move(op));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "a");
  {
    auto dropped = call(cluster, "b");
    ASSERT_TRUE(cluster.until([&] { return dropped.done(); }));
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 2u);
  EXPECT_FALSE(tokens["b"].stop_requested());
}

TEST_F(Cancellation, BeforeThePeerIsDialledSendsNothing) {
  {
    auto op = call(cluster, "a");
  }
  auto op = call(cluster, "b");
  op.cancel();
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.cancelled");
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(cluster[1].books().received.requests, 0u);
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 2u);
}

TEST_F(Cancellation, OfASyncReachesTheHandlerToo) {
  {
    auto op = cluster[0].am_sync("wait").raw_payload("a").instance(cluster.id(1)).send();
    ASSERT_TRUE(arrived("a"));
  }
  EXPECT_TRUE(stopped("a"));
  EXPECT_EQ(cluster[0].books().sync[Fate::cancelled], 1u);
}

TEST_F(Cancellation, OfAFireOnlyForgetsIt) {
  {
    auto op = cluster[0].am_send("wait").raw_payload("a").instance(cluster.id(1)).send();
  }
  auto op = cluster[0].am_send("wait").raw_payload("b").instance(cluster.id(1)).send();
  op.cancel();
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  ASSERT_TRUE(arrived("a") && arrived("b"));
  cluster.sim.run_until_quiet(1s);
  EXPECT_FALSE(tokens["a"].stop_requested());
  EXPECT_FALSE(tokens["b"].stop_requested());
  EXPECT_EQ(cluster[0].books().fire[Fate::written], 2u);
  EXPECT_EQ(cluster[0].books().fire[Fate::cancelled], 0u);
}

TEST_F(Cancellation, ByTheCallersDisappearanceStopsTheHandler) {
  auto op = call(cluster, "a");
  ASSERT_TRUE(arrived("a"));
  cluster.sim.reset_connections(cluster.sim.node(0));
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.connection_lost");
  EXPECT_TRUE(stopped("a"));
}

TEST_F(Cancellation, RacingTheReplyEndsTheCallOnce) {
  for (int steps = 0; steps < 40; ++steps) {
    gate.open();
    auto op = call(cluster, "race");
    for (int i = 0; i < steps; ++i) cluster.sim.step();
    op.cancel();
    const std::string ended = outcome(cluster.wait(std::move(op)));
    EXPECT_TRUE(ended == "ok" || ended == "messenger.cancelled") << steps << ": " << ended;
    cluster.sim.run_until_quiet(1min);
    EXPECT_TRUE(cluster[0].books().unary.balanced());
  }
  const PatternBooks books = cluster[0].books().unary;
  EXPECT_GT(books[Fate::handled], 0u);
  EXPECT_GT(books[Fate::cancelled], 0u);
  EXPECT_EQ(books[Fate::handled] + books[Fate::cancelled], 40u);
}

TEST(CancellationOfKinds, ReachesASpawnedFunctionThatHasNotStartedYet) {
  // In simulation a function never waits, so it sees a stop only as one that came before it ran.
  Cluster cluster(1);
  std::optional<bool> stopped;
  ASSERT_TRUE(cluster[0].register_handler(Handler::am_handler("look", [&stopped](Context& context) {
                                            stopped = context.stop_token().stop_requested();
                                          }).build()));
  {
    auto op = cluster[0].am_sync("look").instance(cluster.id(0)).send();
  }
  ASSERT_TRUE(cluster.until([&] { return stopped.has_value(); }));
  EXPECT_TRUE(*stopped);
  EXPECT_EQ(cluster[0].books().received.abandoned, 1u);
  expect_balanced(cluster);
}

TEST(CancellationOfKinds, ReachesAnInlineTask) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler_async(
          "wait", [&gate](Context context) { return wait_at(std::move(context), &gate); })
          .inline_()
          .build()));
  {
    auto op = cluster[0].unary("wait").instance(cluster.id(1)).send();
    ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }
  ASSERT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 1; }));
  gate.open();
  EXPECT_TRUE(cluster.until([&] { return gate.stopped == 1; }));
  expect_balanced(cluster);
}

}  // namespace velo::messenger::testing::cancellation_test
