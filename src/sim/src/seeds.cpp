// SPDX-License-Identifier: Apache-2.0
// Handing out seeds, and adding up.

#include <velo/sim/seeds.hpp>

#include "rng.hpp"

#include <exception>

namespace velo::sim {

ScenarioOutcome run_once(const Scenario& scenario, std::uint64_t seed, const FaultPlan* plan) {
  try {
    return scenario.run(seed, plan != nullptr ? *plan : scenario.plan(seed));
  } catch (const std::exception& thrown) {
    ScenarioOutcome outcome;
    outcome.failure = std::string("an exception left the scenario: ") + thrown.what();
    return outcome;
  }
}

SeedRange::SeedRange(const Scenario& scenario, std::uint64_t first, std::uint64_t count,
                     const SeedRangeOptions& options)
    : scenario_(scenario), first_(first), count_(count), options_(options) {}

void SeedRange::work() {
  while (!stopped_.load(std::memory_order_relaxed)) {
    // Not fetch_add: with a count of 2^64 - 1 it would come around.
    std::uint64_t offset = next_.load(std::memory_order_relaxed);
    do {
      if (offset >= count_) return;
    } while (!next_.compare_exchange_weak(offset, offset + 1, std::memory_order_relaxed));
    const std::uint64_t seed = first_ + offset;
    ended(offset, run_once(scenario_, seed));
  }
}

void SeedRange::ended(std::uint64_t offset, const ScenarioOutcome& outcome) {
  const std::uint64_t seed = first_ + offset;
  const std::lock_guard lock(mutex_);
  ++totals_.runs;
  totals_.events += outcome.events;
  totals_.virtual_time += outcome.virtual_time;
  // A sum, so that the order in which runs end does not matter.
  totals_.combined_hash += detail::derive(outcome.trace_hash, seed);
  for (const auto& [name, figure] : outcome.figures) totals_.figures[name] += figure;
  if (outcome.ok()) return;
  ++totals_.failures;
  if (!totals_.lowest_failure || offset < totals_.lowest_failure->seed - first_) {
    totals_.lowest_failure = SeedFailure{seed, outcome.failure, outcome.trace_hash};
  }
  if (options_.stop_at_failure) stop();
}

SeedTotals SeedRange::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

SeedTotals run_seeds(const Scenario& scenario, std::uint64_t first, std::uint64_t count,
                     const SeedRangeOptions& options) {
  SeedRange range(scenario, first, count, options);
  range.work();
  return range.totals();
}

}  // namespace velo::sim
