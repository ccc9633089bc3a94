// SPDX-License-Identifier: Apache-2.0
// Call slots: what happens when all are taken, and who gets the next.

#include "testing/cluster.hpp"

namespace velo::messenger::testing::capacity_test {

constexpr std::size_t slots = 4;

static ClusterOptions few(std::size_t calls_max = slots) {
  ClusterOptions options;
  options.setup = [calls_max](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    if (index == 0) setup.calls_max = calls_max;
  };
  return options;
}

/// Node 0 has as many calls in flight as it may have.
class Full : public ::testing::Test {
 protected:
  Full() : cluster(2, few()) {
    EXPECT_TRUE(cluster[1].register_handler(gated("hold", gate)));
    EXPECT_TRUE(cluster[1].register_handler(echo()));
    for (std::size_t i = 0; i < slots; ++i) {
      held.push_back(cluster[0].unary("hold").instance(cluster.id(1)).send());
    }
    EXPECT_TRUE(cluster.until([&] { return gate.waiting == slots; }));
  }
  Op<Bytes> waiting_echo(Duration timeout = 30s) {
    return cluster[0]
        .unary("echo")
        .raw_payload("next")
        .instance(cluster.id(1))
        .timeout(timeout)
        .await_capacity()
        .send();
  }
  void finish() {
    gate.open();
    for (auto& call : held) EXPECT_EQ(outcome(cluster.wait(std::move(call))), "ok");
    held.clear();
  }

  Gate gate;
  Cluster cluster;
  std::vector<Op<Bytes>> held;
};

TEST_F(Full, OneCallMoreIsRefusedAtOnce) {
  auto fifth = cluster[0].unary("echo").instance(cluster.id(1)).send();
  EXPECT_TRUE(fifth.done());
  EXPECT_EQ(outcome(cluster.wait(std::move(fifth))), "messenger.too_many_calls");
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 1u);
  finish();
}

TEST_F(Full, OneThatWaitsGetsTheNextSlot) {
  auto next = waiting_echo();
  cluster.sim.run_for(1s);
  EXPECT_FALSE(next.done());
  held.pop_back();  // cancels, which frees its slot
  const auto reply = cluster.wait(std::move(next), 1s);
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "next");
  finish();
}

TEST_F(Full, AHundredThatWaitAllEndWell) {
  std::vector<Op<Bytes>> waiting;
  for (int i = 0; i < 100; ++i) waiting.push_back(waiting_echo());
  finish();
  for (auto& call : waiting) EXPECT_EQ(outcome(cluster.wait(std::move(call))), "ok");
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 100u + slots);
}

TEST_F(Full, WaitingEndsAtTheDeadline) {
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(waiting_echo(700ms))), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 700ms);
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 1u);
  finish();
}

TEST_F(Full, DroppingOneThatWaitsCancelsIt) {
  {
    auto dropped = waiting_echo();
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 1u);
  finish();
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], slots);
}

TEST_F(Full, DroppedOnesDoNotFillTheWaitingList) {
  auto first = waiting_echo();
  for (std::size_t i = 0; i < limits::waiting_sends_max; ++i) auto dropped = waiting_echo();
  auto last = waiting_echo();
  finish();
  EXPECT_EQ(outcome(cluster.wait(std::move(first))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(last))), "ok");
}

TEST_F(Full, AFullWaitingListRefuses) {
  std::vector<Op<Bytes>> waiting;
  for (std::size_t i = 0; i < limits::waiting_sends_max; ++i) waiting.push_back(waiting_echo());
  EXPECT_EQ(outcome(cluster.wait(waiting_echo())), "messenger.too_many_calls");
  waiting.clear();
  finish();
}

TEST_F(Full, AStopTokenEndsOneThatWaits) {
  std::stop_source source;
  auto call = cluster[0]
                  .unary("echo")
                  .instance(cluster.id(1))
                  .await_capacity()
                  .stop(source.get_token())
                  .send();
  source.request_stop();
  EXPECT_TRUE(call.done());
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.cancelled");
  finish();
}

TEST_F(Full, DroppingOneThatGotItsSlotCancelsTheCall) {
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).await_capacity().send();
  held.pop_back();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == slots + 1; }));
  {
    auto dropped = std::move(call);
  }
  EXPECT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 2; }));
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 2u);
  finish();
}

TEST_F(Full, FireThatWaitsIsOnlyForgottenWhenDropped) {
  int seen = 0;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("note", [&seen](Context&) { ++seen; }).inline_().build()));
  {
    auto forgotten = cluster[0].am_send("note").instance(cluster.id(1)).await_capacity().send();
  }
  finish();
  EXPECT_TRUE(cluster.until([&] { return seen == 1; }));
}

TEST_F(Full, DestructionEndsThoseThatWait) {
  auto next = waiting_echo();
  cluster.messengers[0].reset();
  EXPECT_EQ(outcome(cluster.wait(std::move(next))), "messenger.shutting_down");
  gate.open();
}

TEST_F(Full, ShutdownEndsThoseThatWait) {
  auto next = waiting_echo();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].shutdown())), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(next))), "messenger.shutting_down");
  EXPECT_EQ(cluster[0].books().unary[Fate::unknown], slots);
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 1u);
  gate.open();
}

TEST(Capacity, ASingleSlotIsEnoughToConnectAndCall) {
  Cluster cluster(2, few(1));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("one").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "one");
}

TEST(Capacity, ASlotServesTenThousandCalls) {
  Cluster cluster(2, few(1));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  for (int i = 0; i < 10'000; ++i) {
    const std::string text = std::to_string(i);
    const auto reply =
        cluster.wait(cluster[0].unary("echo").raw_payload(text).instance(cluster.id(1)).send());
    ASSERT_TRUE(reply) << i << ": " << reply.error().to_string();
    ASSERT_EQ(reply->text(), text);
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 10'000u);
}

TEST(Capacity, RepliesThatNobodyHasTakenDoNotKeepOthersWaiting) {
  Gate gate;
  Cluster cluster(2, few());
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  for (std::size_t i = 0; i < 3 * slots; ++i) {
    calls.push_back(cluster[0].unary("hold").instance(cluster.id(1)).await_capacity().send());
  }
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == slots; }));
  EXPECT_EQ(send_status(calls.front())->stage, SendStage::written);
  gate.open();
  // The first took the slots; they are looked at last.
  for (; !calls.empty(); calls.pop_back()) {
    EXPECT_EQ(outcome(cluster.wait(std::move(calls.back()))), "ok");
  }
  EXPECT_TRUE(cluster[0].books().balanced());
}

TEST(Capacity, AStopTokenEndsOneThatDidNotHaveToWait) {
  Gate gate;
  Cluster cluster(2, few());
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::stop_source source;
  auto call = cluster[0]
                  .unary("hold")
                  .instance(cluster.id(1))
                  .await_capacity()
                  .stop(source.get_token())
                  .send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  source.request_stop();
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.cancelled");
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 1u);
  gate.open();
}

TEST(Capacity, AnOperationMayBeReadAfterItsMessenger) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  auto call = cluster[0].unary("echo").raw_payload("kept").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return call.done(); }));
  cluster.messengers[0].reset();
  cluster.sim.run_until_quiet(1min);
  const auto reply = std::move(call).get();
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "kept");
}

TEST(Capacity, OperationsMayBeDroppedAfterTheirMessenger) {
  Gate gate;
  Cluster cluster(2, few(8));
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 16; ++i) {
    calls.push_back(cluster[0].unary("hold").instance(cluster.id(1)).await_capacity().send());
  }
  ASSERT_TRUE(cluster.until([&] { return gate.waiting >= 1; }));
  cluster.messengers[0].reset();
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(outcome(std::move(calls.front()).get()), "messenger.shutting_down");
  calls.clear();
  gate.open();
}

}  // namespace velo::messenger::testing::capacity_test
