// SPDX-License-Identifier: Apache-2.0
// Running a Scenario under many seeds, on as many threads as the caller brings, and adding up what
// the runs came to. Starts no thread itself.
// Threading: work(), stop() and totals() of a SeedRange from any thread; the Scenario outlives it.
#pragma once

#include <velo/sim/scenario.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace velo::sim {

/// scenario.run() with this plan, or without one with scenario.plan(seed); but an exception that
/// leaves the scenario is a failure of the run.
ScenarioOutcome run_once(const Scenario& scenario, std::uint64_t seed,
                         const FaultPlan* plan = nullptr);

struct SeedFailure {
  std::uint64_t seed = 0;
  std::string sentence;
  std::uint64_t trace_hash = 0;
};

/// Equal for equal ranges, however many threads worked and in whatever order seeds ended.
struct SeedTotals {
  std::uint64_t runs = 0;
  std::uint64_t failures = 0;
  std::optional<SeedFailure> lowest_failure;
  std::uint64_t combined_hash = 0;  ///< of the trace hashes of all runs, with their seeds
  std::uint64_t events = 0;
  Duration virtual_time{0};
  std::map<std::string, std::uint64_t> figures;  ///< sums
};

struct SeedRangeOptions {
  /// Seeds above a failing one are not begun any more. The lowest failure is the same as without,
  /// other totals then depend on how many threads there are.
  bool stop_at_failure = false;
  SeedRangeOptions() = default;
};

class SeedRange {
 public:
  /// Seeds first, first + 1, ..., first + count - 1 (modulo 2^64).
  SeedRange(const Scenario& scenario, std::uint64_t first, std::uint64_t count,
            const SeedRangeOptions& options = SeedRangeOptions());
  SeedRange(const SeedRange&) = delete;
  SeedRange& operator=(const SeedRange&) = delete;
  ~SeedRange() = default;

  /// Runs seed after seed, each under its own plan, in ascending order, until none is left.
  void work();
  /// Runs that have begun are finished, no other begins.
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
  /// Of what has ended so far.
  SeedTotals totals() const;

 private:
  void ended(std::uint64_t offset, const ScenarioOutcome& outcome);

  const Scenario& scenario_;
  const std::uint64_t first_;
  const std::uint64_t count_;
  const SeedRangeOptions options_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  SeedTotals totals_;
};

/// All of it on the calling thread.
SeedTotals run_seeds(const Scenario& scenario, std::uint64_t first, std::uint64_t count,
                     const SeedRangeOptions& options = SeedRangeOptions());

}  // namespace velo::sim
