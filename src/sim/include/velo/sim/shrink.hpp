// SPDX-License-Identifier: Apache-2.0
// Making a fault plan that breaks something small: first fewer faults, then shorter and rounder
// ones. Not the running of scenarios: what "breaks" means is a function of the caller's.
// Threading: a pure function, but for what `fails` does.
#pragma once

#include <velo/sim/faults.hpp>
#include <velo/sim/limits.hpp>

#include <cstddef>
#include <functional>

namespace velo::sim {

struct ShrinkOptions {
  std::size_t runs_max = limits::shrink_runs_max;  ///< calls of `fails`
  ShrinkOptions() = default;
};

struct ShrinkResult {
  FaultPlan plan;         ///< fails, as the one given did
  std::size_t runs = 0;   ///< how often `fails` was asked
  bool finished = false;  ///< false: runs_max was reached, it may be possible to go on
};

/// `fails(failing)` is taken to be true; for the same plan `fails` must always say the same. When
/// `finished`, leaving out any one fault would end the failure. Faults keep their order.
ShrinkResult shrink_plan(const FaultPlan& failing,
                         const std::function<bool(const FaultPlan&)>& fails,
                         const ShrinkOptions& options = ShrinkOptions());

}  // namespace velo::sim
