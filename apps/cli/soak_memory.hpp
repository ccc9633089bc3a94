// SPDX-License-Identifier: Apache-2.0
// How much memory a process has, over time, and whether it grows.
// Threading: value types.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace velo::cli {

struct MemorySample {
  double seconds = 0;
  double mib = 0;
};

/// Resident memory; nothing when the process is gone.
std::optional<double> resident_mib(pid_t process);

struct MemoryTrend {
  std::string process;
  std::uint64_t samples = 0;  ///< after the warm-up
  double first_mib = 0;       ///< of the line through them
  double last_mib = 0;
  double peak_mib = 0;  ///< of all
  double mib_per_minute = 0;
  /// Over a shorter time caches that fill up, and what an allocator keeps, look like growth.
  bool judged = false;
  bool ok = true;
};

/// The first quarter is warm-up; a line through the rest by least squares. Judged from
/// `soak_judged_seconds` on: at most soak_growth_max MiB a minute.
constexpr double soak_judged_seconds = 240;
constexpr double soak_growth_max = 1.0;
MemoryTrend trend_of(std::string process, std::span<const MemorySample> samples);

}  // namespace velo::cli
