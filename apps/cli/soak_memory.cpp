// SPDX-License-Identifier: Apache-2.0
// Samples from /proc, and a line through them.

#include "soak_memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace velo::cli {

std::optional<double> resident_mib(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/statm", process));
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  if (!(file >> all >> resident) || resident == 0) return {};
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return static_cast<double>(resident) * page / (1024.0 * 1024.0);
}

MemoryTrend trend_of(std::string process, std::span<const MemorySample> samples) {
  MemoryTrend trend;
  trend.process = std::move(process);
  if (samples.empty()) return trend;
  for (const MemorySample& each : samples) trend.peak_mib = std::max(trend.peak_mib, each.mib);
  const double warm =
      samples.front().seconds + (samples.back().seconds - samples.front().seconds) / 4;
  double count = 0;
  double sum_x = 0;
  double sum_y = 0;
  double sum_xx = 0;
  double sum_xy = 0;
  for (const MemorySample& each : samples) {
    if (each.seconds < warm) continue;
    // From the warm-up on, so that squares stay small.
    const double x = each.seconds - warm;
    count += 1;
    sum_x += x;
    sum_y += each.mib;
    sum_xx += x * x;
    sum_xy += x * each.mib;
  }
  const double spread = count * sum_xx - sum_x * sum_x;
  const double slope = spread > 0 ? (count * sum_xy - sum_x * sum_y) / spread : 0;
  const double length = samples.back().seconds - warm;
  trend.samples = static_cast<std::uint64_t>(count);
  trend.first_mib = count > 0 ? (sum_y - slope * sum_x) / count : 0;
  trend.last_mib = trend.first_mib + slope * length;
  trend.mib_per_minute = slope * 60;
  trend.judged = length >= soak_judged_seconds * 3 / 4;
  trend.ok = !trend.judged || trend.mib_per_minute <= soak_growth_max;
  return trend;
}

}  // namespace velo::cli
