// SPDX-License-Identifier: Apache-2.0
// How much memory a process has, over time, and whether it grows.
// Threading: value types.
#pragma once

#include <sys/types.h>

#include <cstddef>
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
  double error_mib_per_minute = 0;  ///< standard error of that, where it is judged
  /// Over a shorter time caches that fill up, and what an allocator keeps, look like growth.
  bool judged = false;
  bool ok = true;
};

/// The first quarter is warm-up. What is kept for a time (offers that nobody fetches: 30 s) makes
/// memory go up and down, and samples of the same half minute are no news of each other; so the
/// rest is cut into stretches of that length, and a line laid through their means by least squares.
/// Not ok when it surely rises by more than soak_growth_max MiB a minute: by that and twice its
/// standard error.
constexpr double soak_stretch_seconds = 30;
constexpr std::size_t soak_stretches_min = 6;  ///< a soak of four minutes
constexpr double soak_growth_max = 1.0;
MemoryTrend trend_of(std::string process, std::span<const MemorySample> samples);

}  // namespace velo::cli
