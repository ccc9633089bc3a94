// SPDX-License-Identifier: Apache-2.0
// Ranges of seeds come to the same, however many threads work on them.

#include <velo/sim/seeds.hpp>
#include <velo/sim/shrink.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace velo::sim::seeds_test {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A node that counts its ticks; the promise, broken by some plans, is that it never pauses.
class Ticking final : public Scenario {
 public:
  std::string_view name() const noexcept override { return "ticking"; }
  std::string_view description() const noexcept override { return "a node that never pauses"; }
  FaultPlan plan(std::uint64_t seed) const override {
    FaultPlanOptions options;
    options.faults = 4;
    options.span = seconds(1);
    options.duration_max = seconds(1);
    options.kinds = {FaultKind::wall_clock_jump, FaultKind::clock_drift, FaultKind::reset};
    FaultPlan plan = random_fault_plan(seed, options);
    if (seed % 10 == 7)
      plan.emplace_back(milliseconds(300), FaultKind::pause, 0, any_node, seconds(9));
    return plan;
  }
  ScenarioOutcome run(std::uint64_t seed, const FaultPlan& plan) const override {
    if (seed == 1'000) throw std::runtime_error("no such seed");
    Simulation sim(seed);
    SimNode& node = sim.add_node("ticking");
    Tick tick{node, 0};
    tick.start();
    sim.apply(plan);
    sim.run_for(seconds(1));
    ScenarioOutcome outcome;
    if (tick.count < 90) outcome.failure = "only " + std::to_string(tick.count) + " ticks";
    outcome.trace_hash = sim.trace_hash();
    outcome.events = sim.event_count();
    outcome.virtual_time = sim.now() - TimePoint();
    outcome.figures["ticks"] = tick.count;
    return outcome;
  }

 private:
  struct Tick {
    SimNode& node;
    std::uint64_t count;
    void start() {
      node.shard(0).start_timer(node.clock().now() + milliseconds(10),
                                Task0{[](void* self) {
                                        auto* tick = static_cast<Tick*>(self);
                                        ++tick->count;
                                        tick->start();
                                      },
                                      this});
    }
  };
};

void expect_equal(const SeedTotals& a, const SeedTotals& b) {
  EXPECT_EQ(a.runs, b.runs);
  EXPECT_EQ(a.failures, b.failures);
  EXPECT_EQ(a.combined_hash, b.combined_hash);
  EXPECT_EQ(a.events, b.events);
  EXPECT_EQ(a.virtual_time, b.virtual_time);
  EXPECT_EQ(a.figures, b.figures);
  ASSERT_EQ(a.lowest_failure.has_value(), b.lowest_failure.has_value());
  if (a.lowest_failure) {
    EXPECT_EQ(a.lowest_failure->seed, b.lowest_failure->seed);
  }
}

SeedTotals with_threads(std::size_t threads, const SeedRangeOptions& options = SeedRangeOptions()) {
  const Ticking scenario;
  SeedRange range(scenario, 1, 100, options);
  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i) workers.emplace_back([&range] { range.work(); });
  for (std::thread& worker : workers) worker.join();
  return range.totals();
}

TEST(SimSeeds, AddUpToTheSameOnAnyNumberOfThreads) {
  const SeedTotals alone = run_seeds(Ticking(), 1, 100);
  EXPECT_EQ(alone.runs, 100U);
  EXPECT_EQ(alone.failures, 10U);
  ASSERT_TRUE(alone.lowest_failure.has_value());
  EXPECT_EQ(alone.lowest_failure->seed, 7U);
  EXPECT_EQ(alone.lowest_failure->sentence, "only 29 ticks");
  EXPECT_EQ(alone.virtual_time, seconds(100));
  EXPECT_GT(alone.figures.at("ticks"), 9'000U);
  expect_equal(alone, with_threads(1));
  expect_equal(alone, with_threads(4));
  EXPECT_NE(alone.combined_hash, run_seeds(Ticking(), 2, 100).combined_hash);
}

TEST(SimSeeds, StopAtAFailureWithTheLowestOne) {
  SeedRangeOptions options;
  options.stop_at_failure = true;
  const SeedTotals alone = run_seeds(Ticking(), 1, 100, options);
  EXPECT_EQ(alone.runs, 7U);
  const SeedTotals several = with_threads(4, options);
  EXPECT_EQ(several.lowest_failure->seed, 7U);
  EXPECT_LT(several.runs, 100U);
}

TEST(SimSeeds, StopWhenTheyAreTold) {
  const Ticking scenario;
  SeedRange range(scenario, 1, 100);
  range.stop();
  range.work();
  EXPECT_EQ(range.totals().runs, 0U);
}

TEST(SimSeeds, AnExceptionIsAFailureOfItsRun) {
  const SeedTotals totals = run_seeds(Ticking(), 999, 3);
  EXPECT_EQ(totals.runs, 3U);
  EXPECT_EQ(totals.failures, 1U);
  EXPECT_EQ(totals.lowest_failure->seed, 1'000U);
  EXPECT_NE(totals.lowest_failure->sentence.find("no such seed"), std::string::npos);
}

TEST(SimSeeds, AFailureIsReplayedAndShrunkToTheFaultThatMatters) {
  const Ticking scenario;
  const SeedTotals totals = run_seeds(scenario, 1, 20);
  const std::uint64_t seed = totals.lowest_failure->seed;
  EXPECT_EQ(run_once(scenario, seed).trace_hash, totals.lowest_failure->trace_hash);
  const ShrinkResult shrunk = shrink_plan(scenario.plan(seed), [&](const FaultPlan& plan) {
    return !run_once(scenario, seed, &plan).ok();
  });
  ASSERT_EQ(shrunk.plan.size(), 1U);
  EXPECT_EQ(shrunk.plan[0].kind, FaultKind::pause);
  const auto parsed = parse_fault_plan(to_string(shrunk.plan));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_FALSE(run_once(scenario, seed, &*parsed).ok());
}

TEST(SimSeeds, ATraceListenerSeesWhatAScenarioDoesInside) {
  const Ticking scenario;
  std::vector<std::string> lines;
  ScenarioOutcome outcome;
  {
    const TraceListener listener([&lines](const Simulation& sim, const TraceRecord& record) {
      lines.push_back(sim.describe(record));
    });
    outcome = run_once(scenario, 1);
  }
  EXPECT_EQ(lines.size(), outcome.events);
  EXPECT_EQ(lines.front(), "0.000000000 ticking boot 0 0");
  EXPECT_EQ(run_once(scenario, 1).trace_hash, outcome.trace_hash);
  EXPECT_EQ(lines.size(), outcome.events) << "nobody listens any more";
}

}  // namespace velo::sim::seeds_test
