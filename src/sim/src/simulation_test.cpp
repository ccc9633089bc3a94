// SPDX-License-Identifier: Apache-2.0
// Time, timers, turns, executors and operations of a simulation.

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::sim::simulation_test {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Counter {
  int count = 0;
  Task0 task() {
    return Task0{[](void* self) { ++static_cast<Counter*>(self)->count; }, this};
  }
};

TEST(Simulation, VirtualTimePassesOnlyWhenDriven) {
  Simulation sim(1);
  SimNode& node = sim.add_node("a");
  EXPECT_EQ(sim.now(), TimePoint());
  sim.run_for(hours(3));
  EXPECT_EQ(sim.now(), TimePoint(hours(3)));
  EXPECT_EQ(node.clock().now(), sim.now());
  EXPECT_EQ(node.clock().wall_now().unix_nanoseconds,
            SimOptions().start_unix_nanoseconds + Duration(hours(3)).count());
}

TEST(Simulation, TimersFireInOrderAtTheirExactInstants) {
  Simulation sim(2);
  SimNode& node = sim.add_node("a");
  std::vector<std::int64_t> fired;
  struct One {
    SimNode& node;
    std::vector<std::int64_t>& out;
  } one{node, fired};
  const Task0 note{[](void* argument) {
                     auto* self = static_cast<One*>(argument);
                     self->out.push_back(self->node.shard(0).now().nanoseconds());
                   },
                   &one};
  for (const int at : {7'000'003, 5, 900, 12, 7'000'002}) {
    node.shard(0).start_timer(TimePoint(Duration(at)), note);
  }
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(fired, (std::vector<std::int64_t>{5, 12, 900, 7'000'002, 7'000'003}));
}

TEST(Simulation, ACancelledTimerNeverRunsAndAFiredOneCannotBeCancelled) {
  Simulation sim(3);
  Shard& shard = sim.add_node("a").shard(0);
  Counter kept;
  Counter cancelled;
  const auto first = shard.start_timer(TimePoint(milliseconds(1)), kept.task());
  const auto second = shard.start_timer(TimePoint(milliseconds(1)), cancelled.task());
  EXPECT_TRUE(shard.cancel_timer(second));
  EXPECT_FALSE(shard.cancel_timer(second));
  sim.run_for(seconds(1));
  EXPECT_FALSE(shard.cancel_timer(first));
  EXPECT_EQ(kept.count, 1);
  EXPECT_EQ(cancelled.count, 0);
}

TEST(Simulation, ATimerOfANeverDoesNotKeepTheSimulationBusy) {
  Simulation sim(4);
  Shard& shard = sim.add_node("a").shard(0);
  Counter never;
  const auto id = shard.start_timer(TimePoint::never(), never.task());
  EXPECT_TRUE(sim.run_until_idle(hours(1)));
  EXPECT_TRUE(shard.cancel_timer(id));
}

TEST(Simulation, PostedTasksKeepTheirOrderAndNeverRunInsidePost) {
  Simulation sim(5);
  SimNode& node = sim.add_node("a");
  std::vector<int> order;
  node.post([&] {
    EXPECT_EQ(Executor::current(), &node.shard(0));
    node.post([&] { order.push_back(3); });
    order.push_back(1);
  });
  node.post([&] { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(Executor::current(), nullptr);
}

TEST(Simulation, SeedsExploreTheOrdersOfDifferentExecutors) {
  bool a_first = false;
  bool b_first = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation sim(seed);
    SimNode& a = sim.add_node("a");
    SimNode& b = sim.add_node("b");
    std::string order;
    a.post([&] { order += 'a'; });
    b.post([&] { order += 'b'; });
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
    (order == "ab" ? a_first : b_first) = true;
  }
  EXPECT_TRUE(a_first);
  EXPECT_TRUE(b_first);
}

TEST(Simulation, ThePoolIsAnExecutorOfItsOwnAndReordersTasks) {
  bool reordered = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation sim(seed);
    SimNode& node = sim.add_node("a");
    std::vector<int> order;
    for (int i = 0; i < 5; ++i) {
      velo::post(node.pool(), [&, i] {
        EXPECT_EQ(Executor::current(), &node.pool());
        order.push_back(i);
      });
    }
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
    ASSERT_EQ(order.size(), 5U);
    reordered |= !std::is_sorted(order.begin(), order.end());
  }
  EXPECT_TRUE(reordered);
}

TEST(Simulation, TurnEndsRunOnceAfterTheTasksOfTheirTurn) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation sim(seed);
    SimNode& node = sim.add_node("a");
    struct State {
      SimNode& node;
      int tasks = 0;
      int tasks_seen_at_end = 0;
      int ends = 0;
    } state{node};
    for (int i = 0; i < 3; ++i) {
      node.post([&] {
        if (state.tasks++ != 0) return;
        state.node.shard(0).at_turn_end(Task0{[](void* argument) {
                                                auto* self = static_cast<State*>(argument);
                                                ++self->ends;
                                                self->tasks_seen_at_end = self->tasks;
                                              },
                                              &state});
      });
    }
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
    EXPECT_EQ(state.tasks, 3);
    EXPECT_EQ(state.ends, 1);
    EXPECT_GE(state.tasks_seen_at_end, 1);
  }
}

TEST(Simulation, GetAnswersWouldDeadlockOnEveryThreadOfASimulation) {
  Simulation sim(6);
  SimNode& node = sim.add_node("a");
  Promise<int> from_driver(node.pool());
  const Result<int> outside = from_driver.op().get();
  ASSERT_FALSE(outside.has_value());
  EXPECT_TRUE(outside.error().is(Errc::would_deadlock));

  Promise<int> from_shard(node.pool());
  bool asked = false;
  node.post([&] {
    const Result<int> inside = from_shard.op().get();
    asked = !inside && inside.error().is(Errc::would_deadlock);
  });
  EXPECT_TRUE(sim.run_until([&] { return asked; }, seconds(1)));
}

TEST(Simulation, WaitDrivesUntilTheOperationEnds) {
  Simulation sim(7);
  SimNode& node = sim.add_node("a");
  auto promise = std::make_shared<Promise<int>>(node.pool());
  Op<int> op = promise->op();
  const Task0 answer{[](void* argument) { static_cast<Promise<int>*>(argument)->set(42); },
                     promise.get()};
  node.shard(0).start_timer(TimePoint(seconds(5)), answer);
  const Result<int> result = sim.wait(std::move(op), seconds(10));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 42);
  EXPECT_EQ(sim.now(), TimePoint(seconds(5)));

  Promise<int> silent(node.pool());
  const Result<int> late = sim.wait(silent.op(), seconds(1));
  ASSERT_FALSE(late.has_value());
  EXPECT_TRUE(late.error().is(Errc::deadline_exceeded));
}

Task<int> doubled(Promise<int>* promise) {
  auto op = promise->op();
  const Result<int> value = co_await op;
  co_return value.value_or(0) * 2;
}

TEST(Simulation, WaitDrivesATaskOnANode) {
  Simulation sim(8);
  SimNode& node = sim.add_node("a");
  Promise<int> promise(node.pool());
  node.post([&] { promise.set(21); });
  const Result<int> result = sim.wait(node, doubled(&promise), seconds(1));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 42);
}

struct Endless {
  Executor& executor;
  static void run(void* argument) {
    auto* self = static_cast<Endless*>(argument);
    self->executor.post(Task0{&run, self});
  }
};

TEST(Simulation, TasksThatPostThemselvesForEverEndTheRunAndAreReported) {
  SimOptions options;
  options.events_per_instant_max = 1000;
  Simulation sim(9, options);
  Endless endless{sim.add_node("a").shard(0)};
  Endless::run(&endless);
  EXPECT_FALSE(sim.run_until([] { return false; }, seconds(1)));
  EXPECT_TRUE(sim.stalled());
  EXPECT_EQ(sim.now(), TimePoint());
}

TEST(Simulation, TurnsCanCostTime) {
  SimOptions options;
  options.turn_cost = milliseconds(1);
  Simulation sim(10, options);
  Endless endless{sim.add_node("a").shard(0)};
  Endless::run(&endless);
  sim.run_for(milliseconds(100));
  EXPECT_GE(sim.event_count(), 100U);
  EXPECT_LE(sim.event_count(), 110U);
}

TEST(Simulation, ASkewedClockFiresTimersNoEarlierThanItsOwnTimeSays) {
  SimOptions options;
  options.clock_offset_max = seconds(100);
  options.clock_drift_ppm_max = 200;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation sim(seed, options);
    SimNode& node = sim.add_node("a");
    sim.apply({Fault(seconds(3), FaultKind::clock_drift, 0, any_node, seconds(2), -400'000)});
    const TimePoint due = node.clock().now() + seconds(10);
    struct State {
      SimNode& node;
      std::int64_t ran = 0;
    } state{node};
    node.shard(0).start_timer(due, Task0{[](void* argument) {
                                           auto* self = static_cast<State*>(argument);
                                           self->ran = self->node.clock().now().nanoseconds();
                                         },
                                         &state});
    EXPECT_TRUE(sim.run_until([&] { return state.ran != 0; }, seconds(20)));
    EXPECT_GE(state.ran, due.nanoseconds());
    EXPECT_LE(state.ran, due.nanoseconds() + 2);
  }
}

TEST(Simulation, TheTraceSinkSeesEveryEventAsALine) {
  Simulation sim(11);
  std::vector<std::string> lines;
  sim.on_trace([&](const TraceRecord& record) { lines.push_back(sim.describe(record)); });
  SimNode& node = sim.add_node("alpha");
  node.post([] {});
  sim.run_for(milliseconds(1));
  EXPECT_EQ(lines,
            (std::vector<std::string>{"0.000000000 alpha boot 0 0", "0.000000000 alpha task 0 0"}));
  EXPECT_EQ(sim.event_count(), 2U);
}

TEST(Simulation, TenThousandIdleNodesAreCheap) {
  Simulation sim(12);
  for (int i = 0; i < 10'000; ++i) sim.add_node("node" + std::to_string(i));
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  int ran = 0;
  sim.node(9'999).post([&] { ++ran; });
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(sim.find_node("node9999")->index(), 9'999U);
}

}  // namespace velo::sim::simulation_test
