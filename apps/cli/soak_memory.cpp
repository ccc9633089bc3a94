// SPDX-License-Identifier: Apache-2.0
// Samples from /proc, and a line through the means of their stretches.

#include "soak_memory.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
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

namespace soak_memory_detail {

struct Line {
  double at_zero = 0;
  double slope = 0;
  double slope_error = 0;  ///< standard error, as the points scatter
};

/// By least squares.
static Line line_through(std::span<const MemorySample> points) {
  const auto count = static_cast<double>(points.size());
  double mean_x = 0;
  double mean_y = 0;
  for (const MemorySample& each : points) {
    mean_x += each.seconds / count;
    mean_y += each.mib / count;
  }
  double xx = 0;
  double xy = 0;
  double yy = 0;
  for (const MemorySample& each : points) {
    const double x = each.seconds - mean_x;
    const double y = each.mib - mean_y;
    xx += x * x;
    xy += x * y;
    yy += y * y;
  }
  Line line;
  line.slope = xx > 0 ? xy / xx : 0;
  line.at_zero = mean_y - line.slope * mean_x;
  const double scatter = std::max(0.0, yy - line.slope * xy);
  if (points.size() > 2 && xx > 0) line.slope_error = std::sqrt(scatter / (count - 2) / xx);
  return line;
}

/// The means of so many stretches of the same length.
static std::vector<MemorySample> means(std::span<const MemorySample> samples, double length,
                                       std::size_t stretches) {
  std::vector<MemorySample> sums(stretches);
  std::vector<double> counts(stretches, 0);
  for (const MemorySample& each : samples) {
    const auto at =
        static_cast<std::size_t>(each.seconds / length * static_cast<double>(stretches));
    const std::size_t stretch = std::min(at, stretches - 1);
    sums[stretch].seconds += each.seconds;
    sums[stretch].mib += each.mib;
    counts[stretch] += 1;
  }
  std::vector<MemorySample> all;
  for (std::size_t i = 0; i < stretches; ++i) {
    if (counts[i] > 0) all.push_back({sums[i].seconds / counts[i], sums[i].mib / counts[i]});
  }
  return all;
}

}  // namespace soak_memory_detail

MemoryTrend trend_of(std::string process, std::span<const MemorySample> samples) {
  MemoryTrend trend;
  trend.process = std::move(process);
  if (samples.empty()) return trend;
  for (const MemorySample& each : samples) trend.peak_mib = std::max(trend.peak_mib, each.mib);
  const double first = samples.front().seconds;
  const double warm = first + (samples.back().seconds - first) / 4;
  std::vector<MemorySample> rest;
  for (const MemorySample& each : samples) {
    if (each.seconds >= warm) rest.push_back({each.seconds - warm, each.mib});
  }
  const double length = samples.back().seconds - warm;
  const auto stretches = static_cast<std::size_t>(length / soak_stretch_seconds);
  std::vector<MemorySample> points;
  if (stretches >= soak_stretches_min) {
    points = soak_memory_detail::means(rest, length, stretches);
  }
  trend.judged = points.size() >= soak_stretches_min;
  const auto line = soak_memory_detail::line_through(trend.judged ? points : rest);
  trend.samples = rest.size();
  trend.first_mib = line.at_zero;
  trend.last_mib = line.at_zero + line.slope * length;
  trend.mib_per_minute = line.slope * 60;
  if (trend.judged) trend.error_mib_per_minute = line.slope_error * 60;
  trend.ok =
      !trend.judged || trend.mib_per_minute - 2 * trend.error_mib_per_minute <= soak_growth_max;
  return trend;
}

}  // namespace velo::cli
