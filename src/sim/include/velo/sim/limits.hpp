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

/// Fault plans as text: more is refused.
constexpr std::size_t plan_faults_max = 100'000;
constexpr std::size_t plan_bytes_max = std::size_t{16} << 20;
constexpr Duration fault_time_max = std::chrono::hours(24 * 365);

/// Amounts of faults beyond these act as these.
constexpr Duration delay_max = std::chrono::hours(1);
constexpr Duration wall_clock_offset_max = std::chrono::hours(24 * 365 * 50);
constexpr std::int32_t clock_drift_ppm_max = 500'000;
constexpr std::int64_t bandwidth_min = 1'000;  ///< bytes per second

/// Points of a latency table; more is a defect of the caller.
constexpr std::size_t latency_points_max = 64;

/// Runs that shrinking one plan may take, unless told otherwise; then it returns what it has.
constexpr std::size_t shrink_runs_max = 2'000;

}  // namespace velo::sim::limits
