// SPDX-License-Identifier: Apache-2.0
// Scenario: a simulated system with promises that are checked while it runs. Its fault plan is a
// value apart from the run, so that a failing seed can be replayed with a smaller plan and shrunk.
// Not the running of many seeds (see run_seeds) and not shrinking itself (see shrink).
// Threading: a Scenario is immutable; plan() and run() may be called from several threads at once.
#pragma once

#include <velo/base/time.hpp>
#include <velo/sim/faults.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace velo::sim {

/// What one run came to.
struct ScenarioOutcome {
  /// Empty: every promise held. Otherwise the first one that was broken, in a sentence.
  std::string failure;
  /// Simulation::trace_hash() at the end: equal for equal seed and plan, in any process.
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  Duration virtual_time{0};
  /// What the run did, for people: calls, faults that hit something, ends by kind. Never compared.
  std::map<std::string, std::uint64_t> figures;

  bool ok() const noexcept { return failure.empty(); }
};

class Scenario {
 public:
  Scenario() = default;
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;
  virtual ~Scenario() = default;

  /// Lower case words with dashes: "calls-under-partition".
  virtual std::string_view name() const noexcept = 0;
  /// One sentence: what is simulated and what is promised.
  virtual std::string_view description() const noexcept = 0;
  /// The faults of this seed; usually random_fault_plan() with the scenario's options.
  virtual FaultPlan plan(std::uint64_t seed) const = 0;
  /// Runs to the end, or to the first broken promise. `plan` is what plan(seed) gave, or less.
  virtual ScenarioOutcome run(std::uint64_t seed, const FaultPlan& plan) const = 0;
};

}  // namespace velo::sim
