// SPDX-License-Identifier: Apache-2.0
// The bounds of the simulation room, and what happens there. Those of one run that users may move
// are in options.hpp.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::sim::limits {

/// Faults of a plan that is read from text. Policy: a longer plan is refused.
constexpr std::size_t plan_faults_max = 100'000;
/// Length of a fault plan's text. Policy: a longer one is refused.
constexpr std::size_t plan_bytes_max = std::size_t{16} << 20;
/// Times and durations in a fault plan's text. Policy: a plan with longer ones is refused.
constexpr Duration fault_time_max = std::chrono::hours(24 * 365);

/// Delay that a fault adds. Policy: a longer one acts as this.
constexpr Duration delay_max = std::chrono::hours(1);
/// How far a fault moves a wall clock. Policy: further acts as this.
constexpr Duration wall_clock_offset_max = std::chrono::hours(24 * 365 * 50);
/// Drift of a clock, in parts per million. Policy: more acts as this.
constexpr std::int32_t clock_drift_ppm_max = 500'000;
/// Bandwidth that a fault leaves, in bytes per second. Policy: less acts as this.
constexpr std::int64_t bandwidth_min = 1'000;

/// Points of a latency table. Policy: more is a defect of the caller.
constexpr std::size_t latency_points_max = 64;

/// Runs that shrinking one plan may take, unless told otherwise. Policy: then it returns what it
/// has.
constexpr std::size_t shrink_runs_max = 2'000;

}  // namespace velo::sim::limits
