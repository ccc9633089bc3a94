// SPDX-License-Identifier: Apache-2.0
// Every call ends at its deadline, to the nanosecond of the simulated clock, wherever it is then.

#include "testing/cluster.hpp"

namespace velo::messenger::testing::deadlines_test {

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

/// Greets, so that later sends go out at once.
static void connect(Cluster& cluster) {
  ASSERT_TRUE(cluster.wait(cluster[0].refresh_handlers(cluster.id(1))));
}

/// The simulated time that the operation took; -1 ns when it did not end as expired.
template <class T>
static Duration time_to_expiry(Cluster& cluster, Op<T> op, Duration limit = 5min) {
  const TimePoint before = cluster.sim.now();
  const auto result = cluster.wait(std::move(op), limit);
  EXPECT_EQ(outcome(result), "messenger.deadline_exceeded");
  return result ? Duration(-1) : cluster.sim.now() - before;
}

struct Seen {
  TimePoint at;
  TimePoint deadline;
  Duration left{};
};

static Handler look(Seen& seen) {
  return Handler::am_handler("look",
                             [&seen](Context& context) {
                               seen.at = context.msg().world().clock().now();
                               seen.deadline = context.deadline();
                               seen.left = context.time_left();
                             })
      .inline_()
      .build();
}

TEST(Deadlines, TheHandlerSeesTheCallersDeadline) {
  Cluster cluster(2);
  Seen seen;
  ASSERT_TRUE(cluster[1].register_handler(look(seen)));
  connect(cluster);
  const TimePoint sent = cluster.sim.now();
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("look").timeout(2s).instance(cluster.id(1)).send()));
  // What the network took is the handler's gain: the wire carries the time left, not an instant.
  EXPECT_GE(seen.deadline, sent + (2s - 1us));
  EXPECT_LE(seen.deadline, cluster.sim.now() + 2s);
  EXPECT_EQ(seen.left, seen.deadline - seen.at);
  expect_balanced(cluster);
}

TEST(Deadlines, OneThatIsNotNamedIsThirtySeconds) {
  Gate gate;
  Cluster cluster(2);
  Seen seen;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  ASSERT_TRUE(cluster[1].register_handler(look(seen)));
  connect(cluster);
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("look").instance(cluster.id(1)).send()));
  EXPECT_GE(seen.left, 30s - 1us);
  EXPECT_LE(seen.left, 30s);
  EXPECT_EQ(time_to_expiry(cluster, cluster[0].unary("wait").instance(cluster.id(1)).send()), 30s);
  gate.open();
  expect_balanced(cluster);
}

TEST(Deadlines, TheCallerHearsAtExactlyTheTimeout) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  for (const Duration timeout : {Duration(1ns), Duration(1us), Duration(250ms), Duration(3min)}) {
    auto unary = cluster[0].unary("wait").timeout(timeout).instance(cluster.id(1)).send();
    EXPECT_EQ(time_to_expiry(cluster, std::move(unary)), timeout);
    auto sync = cluster[0].am_sync("wait").timeout(timeout).instance(cluster.id(1)).send();
    EXPECT_EQ(time_to_expiry(cluster, std::move(sync)), timeout);
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 4u);
  EXPECT_EQ(cluster[0].books().sync[Fate::expired], 4u);
  gate.open();
  expect_balanced(cluster);
}

TEST(Deadlines, CallsToOneselfExpireToo) {
  Gate gate;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(gated("wait", gate)));
  auto op = cluster[0].unary("wait").timeout(1s).instance(cluster.id(0)).send();
  EXPECT_EQ(time_to_expiry(cluster, std::move(op)), 1s);
  EXPECT_EQ(cluster[0].books().received.abandoned, 1u);
  gate.open();
  expect_balanced(cluster);
}

TEST(Deadlines, AZeroOrNegativeTimeoutExpiresAtOnce) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  connect(cluster);
  for (const Duration timeout : {Duration(0), Duration(-1s)}) {
    auto op = cluster[0].unary("echo").timeout(timeout).instance(cluster.id(1)).send();
    EXPECT_EQ(time_to_expiry(cluster, std::move(op)), Duration(0));
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 2u);
  expect_balanced(cluster);
}

TEST(Deadlines, OneOverADayIsADay) {
  Cluster cluster(2);
  Seen seen;
  ASSERT_TRUE(cluster[0].register_handler(look(seen)));
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("look").timeout(25h).instance(cluster.id(0)).send()));
  EXPECT_EQ(seen.left, Duration(24h));
  seen = Seen();
  ASSERT_TRUE(cluster.wait(
      cluster[0].am_sync("look").timeout(Duration::max()).instance(cluster.id(0)).send()));
  EXPECT_EQ(seen.left, Duration(24h));
  expect_balanced(cluster);
}

TEST(Deadlines, ACallThatWaitsADayEndsAfterADay) {
  Gate gate;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(gated("wait", gate)));
  auto op = cluster[0].unary("wait").timeout(48h).instance(cluster.id(0)).send();
  EXPECT_EQ(time_to_expiry(cluster, std::move(op), 49h), Duration(24h));
  gate.open();
  expect_balanced(cluster);
}

TEST(Deadlines, StopTheTokenOfAHandlerThatStillRuns) {
  for (const std::size_t to : {std::size_t{0}, std::size_t{1}}) {
    std::optional<TimePoint> stopped;
    std::stop_token token;
    Cluster cluster(2);
    ASSERT_TRUE(cluster[to].register_handler(
        Handler::unary_handler_async("wait", [&](Context context) -> Task<Result<Bytes>> {
          token = context.stop_token();
          Promise<void> promise(context.msg().world().pool());
          auto op = promise.op();
          std::stop_callback on_stop(token, [&] {
            stopped = context.msg().world().clock().now();
            promise.set({});
          });
          const Result<void> passed = co_await op;
          co_return passed ? Result<Bytes>(Bytes()) : Result<Bytes>(passed.error());
        }).build()));
    const TimePoint before = cluster.sim.now();
    auto op = cluster[0].unary("wait").timeout(10s).instance(cluster.id(to)).send();
    ASSERT_TRUE(cluster.until([&] { return token.stop_possible(); }));
    EXPECT_FALSE(token.stop_requested());
    EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.deadline_exceeded");
    ASSERT_TRUE(cluster.until([&] { return stopped.has_value(); }));
    EXPECT_GE(*stopped - before, 10s);
    EXPECT_LT(*stopped - before, 11s);
    EXPECT_EQ(cluster[to].books().received.abandoned, 1u);
    expect_balanced(cluster);
  }
}

TEST(Deadlines, TheHandlersSideKeepsThemWhenTheCallerIsCutOff) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto op = cluster[0].unary("wait").timeout(1s).instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
  ASSERT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 1; }))
      << "no word of the caller's can have come";
  EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.deadline_exceeded");
  gate.open();
  cluster.sim.heal();
  EXPECT_TRUE(cluster.until([&] { return gate.stopped == 1; }));
  expect_balanced(cluster);
}

TEST(Deadlines, AThousandCallsToAPausedPeerEndEachAtItsOwn) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  connect(cluster);
  cluster.sim.pause(cluster.sim.node(1));
  const TimePoint before = cluster.sim.now();
  int ended = 0;
  for (int i = 0; i < 1'000; ++i) {
    // Neither rising nor falling, and all different.
    const Duration timeout = std::chrono::milliseconds(1 + i * 379 % 1'000);
    auto op = cluster[0].unary("echo").timeout(timeout).instance(cluster.id(1)).send();
    std::move(op).then(cluster[0].world().shard(0), [&, timeout](Result<Bytes> reply) {
      EXPECT_EQ(outcome(reply), "messenger.deadline_exceeded");
      EXPECT_EQ(cluster.sim.now() - before, timeout);
      ++ended;
    });
  }
  EXPECT_TRUE(cluster.until([&] { return ended == 1'000; }));
  EXPECT_EQ(cluster.sim.now() - before, 1'000ms);
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 1'000u);
  cluster.sim.resume(cluster.sim.node(1));
  expect_balanced(cluster);
}

TEST(Deadlines, ComeWhileThePeerIsStillBeingDialled) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
  const TimePoint before = cluster.sim.now();
  auto fire = cluster[0].am_send("echo").timeout(200ms).instance(cluster.id(1)).send();
  auto sync = cluster[0].am_sync("echo").timeout(300ms).instance(cluster.id(1)).send();
  auto unary = cluster[0].unary("echo").timeout(400ms).instance(cluster.id(1)).send();
  EXPECT_EQ(outcome(cluster.wait(std::move(fire))), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 200ms);
  EXPECT_EQ(outcome(cluster.wait(std::move(sync))), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 300ms);
  EXPECT_EQ(outcome(cluster.wait(std::move(unary))), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 400ms);
  cluster.sim.heal();
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(cluster[1].books().received.requests, 0u) << "what expired unsent is never sent";
  expect_balanced(cluster);
}

TEST(Deadlines, AReplyInTimeIsNoExpiry) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto op = cluster[0].unary("wait").raw_payload("x").timeout(10s).instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.sim.run_for(9s);
  gate.open();
  const auto reply = cluster.wait(std::move(op));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "x");
  cluster.sim.run_for(1min);
  EXPECT_EQ(gate.stopped, 0);
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 0u);
  expect_balanced(cluster);
}

}  // namespace velo::messenger::testing::deadlines_test
