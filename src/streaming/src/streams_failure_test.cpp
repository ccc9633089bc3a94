// SPDX-License-Identifier: Apache-2.0
// Streams when something breaks: cancellation, dead nodes, lost connections, the end of a node; and
// that every stream ends exactly once under random faults.

#include "testing/pair.hpp"

#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

namespace velo::streaming::testing::streams_failure_test {

TEST(StreamFailures, AConsumerThatCancelsStopsItsSenderAndNoOther) {
  // Streams in both directions and on a third node have the same slot numbers.
  StreamCluster cluster(3);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  auto back_anchor = cluster.anchor(1);
  auto back_sender = cluster.sender(0, back_anchor.handle());
  auto third_anchor = cluster.anchor(2);
  auto third_sender = cluster.sender(0, third_anchor.handle());
  auto fourth_anchor = cluster.anchor(0);
  auto fourth_sender = cluster.sender(2, fourth_anchor.handle());

  const std::stop_token token = sender.cancellation_token();
  anchor.cancel();
  ASSERT_TRUE(cluster.until([&] { return token.stop_requested(); }));
  EXPECT_TRUE(sender.try_send(1).error().is(Errc::channel_closed));
  EXPECT_EQ(outcome(cluster.wait(sender.finalize())), "streaming.channel_closed");
  EXPECT_EQ(cluster.next(anchor), "streaming.stream_over");

  cluster.sim.run_for(1min);
  ASSERT_TRUE(back_sender.try_send(2));
  ASSERT_TRUE(third_sender.try_send(3));
  ASSERT_TRUE(fourth_sender.try_send(4));
  EXPECT_EQ(cluster.next(back_anchor), "2");
  EXPECT_EQ(cluster.next(third_anchor), "3");
  EXPECT_EQ(cluster.next(fourth_anchor), "4");
  EXPECT_FALSE(back_sender.cancellation_token().stop_requested());
  EXPECT_FALSE(third_sender.cancellation_token().stop_requested());
  EXPECT_FALSE(fourth_sender.cancellation_token().stop_requested());
}

TEST(StreamFailures, ASendThatWaitsEndsWhenTheConsumerCancels) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 1;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  auto producing = start_producing(sender, 0, 10);
  cluster.sim.run_for(1s);
  EXPECT_FALSE(producing->over);
  anchor.cancel();
  ASSERT_TRUE(cluster.until([&] { return producing->over; }));
  EXPECT_EQ(outcome(producing->result), "streaming.channel_closed");
}

TEST(StreamFailures, AFinalizeIsNotWellWhenTheConsumerCancelsInsteadOfReading) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  auto finalized = sender.finalize();
  cluster.sim.run_for(1s);
  anchor.cancel();
  EXPECT_EQ(outcome(cluster.wait(std::move(finalized))), "streaming.channel_closed");
  EXPECT_TRUE(sender.cancellation_token().stop_requested());
}

TEST(StreamFailures, AnIdleStreamLivesByItsHeartbeats) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  cluster.sim.run_for(30min);
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.on(0).counts().epochs_lost, 0u);
}

TEST(StreamFailures, WithoutStreamsNothingIsSaid) {
  StreamCluster cluster(2);
  {
    auto anchor = cluster.anchor(0);
    auto sender = cluster.sender(1, anchor.handle());
    auto finalized = sender.finalize();
    EXPECT_EQ(cluster.next(anchor), "finalized");
    EXPECT_TRUE(cluster.wait(std::move(finalized)));
  }
  cluster.sim.run_for(1min);
  const auto before = cluster.on(0).counts();
  cluster.sim.run_for(10min);
  EXPECT_EQ(cluster.on(0).counts().batches_out, before.batches_out);
  EXPECT_EQ(cluster.on(0).counts().batches_in, before.batches_in);
}

/// The nodes can no longer hear each other, and nobody is told.
TEST(StreamFailures, ADeadProducerIsNoticedWithinThreeHeartbeats) {
  StreamCluster cluster(2);
  cluster.outsiders = true;
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
  const TimePoint start = cluster.sim.now();
  cluster.sim.crash(cluster.sim.node(1), sim::CrashKind::power);
  EXPECT_EQ(cluster.next(anchor), "streaming.transport_error");
  EXPECT_LE(cluster.sim.now() - start, 3 * limits::heartbeat_default);
  EXPECT_EQ(cluster.next(anchor), "streaming.stream_over");
}

TEST(StreamFailures, ADeadConsumerFailsWhoSends) {
  StreamCluster cluster(2);
  cluster.outsiders = true;
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  auto producing = start_producing(sender, 0, 1'000'000);
  cluster.sim.run_for(1s);
  ASSERT_FALSE(producing->over);
  const TimePoint start = cluster.sim.now();
  cluster.sim.crash(cluster.sim.node(0), sim::CrashKind::power);
  ASSERT_TRUE(cluster.until([&] { return producing->over; }));
  EXPECT_EQ(outcome(producing->result), "streaming.channel_closed");
  EXPECT_TRUE(sender.cancellation_token().stop_requested());
  EXPECT_LE(cluster.sim.now() - start, 4 * limits::heartbeat_default);
}

TEST(StreamFailures, APartitionEndsBothSidesAndNewStreamsWorkAfterIt) {
  StreamCluster cluster(2);
  cluster.outsiders = true;
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  cluster.sim.run_for(1s);
  cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
  EXPECT_EQ(cluster.next(anchor), "streaming.transport_error");
  ASSERT_TRUE(cluster.until([&] { return sender.cancellation_token().stop_requested(); }));
  EXPECT_TRUE(sender.try_send(1).error().is(Errc::channel_closed));
  cluster.sim.heal();
  cluster.sim.run_for(1min);
  auto again = cluster.anchor(0);
  auto another = cluster.sender(1, again.handle());
  ASSERT_TRUE(another.try_send(2));
  EXPECT_EQ(cluster.next(again), "2");
}

TEST(StreamFailures, AResetConnectionLosesNothingInSilence) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    ClusterOptions options;
    options.seed = seed;
    StreamCluster cluster(2, std::move(options));
    cluster.outsiders = true;
    auto anchor = cluster.anchor(0);
    auto sender = cluster.sender(1, anchor.handle());
    auto producing = start_producing(sender, 0, 5'000);
    for (int i = 0; i < 100 + static_cast<int>(seed) * 7; ++i) {
      ASSERT_EQ(cluster.next(anchor), std::to_string(i));
    }
    cluster.sim.reset_connections(cluster.sim.node(0));
    // What arrives goes on in order, and then there is an end, or there was no loss at all.
    int expected = 100 + static_cast<int>(seed) * 7;
    std::string last = cluster.next(anchor);
    for (; last == std::to_string(expected) && expected < 4'999; ++expected) {
      last = cluster.next(anchor);
    }
    if (last != std::to_string(expected)) {
      EXPECT_EQ(last, "streaming.transport_error");
      ASSERT_TRUE(cluster.until([&] { return producing->over; }));
      EXPECT_FALSE(producing->result);
    }
    auto again = cluster.anchor(0);
    auto another = cluster.sender(1, again.handle());
    ASSERT_TRUE(another.try_send(2));
    EXPECT_EQ(cluster.next(again), "2");
  }
}

TEST(StreamFailures, AStalledConsumerStallsOnlyItsOwnStream) {
  StreamCluster cluster(2);
  std::vector<StreamAnchor<int>> stalled;
  std::vector<StreamSender<int>> senders;
  std::vector<std::shared_ptr<Ended>> producing;
  senders.reserve(20);
  for (int i = 0; i < 20; ++i) {
    stalled.push_back(cluster.anchor(0));
    senders.push_back(cluster.sender(1, stalled.back().handle()));
    producing.push_back(start_producing(senders.back(), 0, 100'000));
  }
  cluster.sim.run_for(1s);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  auto lively = start_producing(sender, 0, 3'000);
  for (int i = 0; i < 3'000; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
  for (const auto& one : producing) {
    EXPECT_FALSE(one->over);
    EXPECT_EQ(one->sent, 256);
  }
  EXPECT_LE(cluster[0].memory().used, std::size_t{1} << 20);
}

TEST(StreamFailures, ADrainWaitsForStreamsAndTakesNoNewOnes) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  auto drained = cluster[1].shutdown(ShutdownPolicy(1min));
  cluster.sim.run_for(5s);
  EXPECT_FALSE(drained.done());
  EXPECT_EQ(cluster[1].drain_state().subsystems, 1u);
  EXPECT_FALSE(cluster.on(1).create_anchor<int>());
  EXPECT_EQ(outcome(cluster.wait(cluster.on(1).attach_anchor<int>(anchor.handle()))),
            "base.shutting_down");
  ASSERT_TRUE(sender.try_send(1));
  auto finalized = sender.finalize();
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.next(anchor), "finalized");
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
  EXPECT_TRUE(cluster.wait(std::move(drained)));
}

TEST(StreamFailures, TheEndOfANodeEndsItsStreamsOnBothSides) {
  StreamCluster cluster(2);
  cluster.outsiders = true;
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  auto back_anchor = cluster.anchor(1);
  auto back_sender = cluster.sender(0, back_anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  cluster.messengers[1].reset();
  EXPECT_EQ(cluster.next(back_anchor), "base.shutting_down");
  EXPECT_FALSE(sender.try_send(2));
  EXPECT_EQ(cluster.next(anchor), "1");
  const std::string end = cluster.next(anchor);
  EXPECT_TRUE(end == "streaming.sender_dropped" || end == "streaming.transport_error") << end;
  ASSERT_TRUE(cluster.until([&] { return back_sender.cancellation_token().stop_requested(); }));
  EXPECT_FALSE(cluster.on(1).create_anchor<int>());
}

TEST(StreamFailures, EverythingThatWasChargedIsGivenBack) {
  StreamCluster cluster(2);
  cluster.sim.run_for(1s);
  const std::size_t before[] = {cluster[0].memory().used, cluster[1].memory().used};
  {
    auto anchor = cluster.anchor(0);
    auto sender = cluster.sender(1, anchor.handle());
    auto producing = start_producing(sender, 0, 10'000);
    for (int i = 0; i < 1'000; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
    anchor.cancel();
    ASSERT_TRUE(cluster.until([&] { return producing->over; }));
  }
  cluster.sim.run_for(1min);
  EXPECT_EQ(cluster[0].memory().used, before[0]);
  EXPECT_EQ(cluster[1].memory().used, before[1]);
  const auto counts = cluster.on(1).counts();
  EXPECT_EQ(counts.streams_out, 0u);
  EXPECT_EQ(cluster.on(0).counts().streams_in, 0u);
}

struct Flow {
  Flow(StreamAnchor<int> a, StreamSender<int> s) : anchor(std::move(a)), sender(std::move(s)) {}

  StreamAnchor<int> anchor;
  StreamSender<int> sender;
  std::shared_ptr<Ended> producing;
  int next = 0;
  int ends = 0;
  bool finalizing = false;
};

static Task<Result<void>> consume(Flow* flow) {
  for (;;) {
    auto op = flow->anchor.next();
    const auto frame = co_await op;
    if (frame && frame->is_item()) {
      EXPECT_EQ(frame->item(), flow->next);
      ++flow->next;
      continue;
    }
    ++flow->ends;
    co_return Result<void>();
  }
}

TEST(StreamFailures, UnderRandomFaultsEveryStreamKeepsItsOrderAndEndsOnce) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    ClusterOptions options;
    options.seed = seed;
    StreamCluster cluster(3, std::move(options));
    cluster.outsiders = true;
    std::vector<std::unique_ptr<Flow>> flows;
    for (std::size_t i = 0; i < 12; ++i) {
      const std::size_t to = i % 3;
      const std::size_t from = (i + 1 + i / 6) % 3;
      auto anchor = cluster.anchor(to);
      auto sender = cluster.sender(from, anchor.handle());
      flows.push_back(std::make_unique<Flow>(std::move(anchor), std::move(sender)));
      Flow& flow = *flows.back();
      flow.producing = start_producing(flow.sender, 0, 400);
      start(consume(&flow), [](const Result<Result<void>>&) {});
    }
    sim::FaultPlanOptions faults;
    faults.nodes = 3;
    faults.kinds = {sim::FaultKind::partition, sim::FaultKind::reset, sim::FaultKind::delay};
    cluster.sim.apply(sim::random_fault_plan(seed, faults));
    const bool over = cluster.until([&] {
      bool all = true;
      for (const auto& flow : flows) {
        if (flow->producing->over && !std::exchange(flow->finalizing, true)) {
          (void)flow->sender.finalize();
        }
        all = all && flow->ends == 1;
      }
      return all;
    });
    EXPECT_TRUE(over);
    cluster.sim.heal();
    cluster.sim.run_for(2min);
    for (const auto& flow : flows) {
      EXPECT_EQ(flow->ends, 1);
      EXPECT_TRUE(flow->producing->over);
      if (flow->producing->result && flow->next != 400) {
        // What was sent and did not arrive ended in an error at the consumer: never in silence.
        EXPECT_LT(flow->next, 400);
      }
    }
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(cluster.on(i).counts().streams_in + cluster.on(i).counts().streams_out, 0u);
    }
  }
}

}  // namespace velo::streaming::testing::streams_failure_test
