// SPDX-License-Identifier: Apache-2.0
// Instants of a World's monotonic clock, and of its wall clock. Different types: they never mix.
// Threading: value types.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace velo {

using Duration = std::chrono::nanoseconds;

/// An instant of a World's monotonic clock, in nanoseconds since an arbitrary origin of that World.
class TimePoint {
 public:
  constexpr TimePoint() noexcept = default;
  constexpr explicit TimePoint(Duration since_origin) noexcept : since_origin_(since_origin) {}
  constexpr Duration since_origin() const noexcept { return since_origin_; }
  constexpr std::int64_t nanoseconds() const noexcept { return since_origin_.count(); }

  /// Later than every instant a clock returns.
  static constexpr TimePoint never() noexcept { return TimePoint(Duration::max()); }

  /// Saturates at never() instead of overflowing.
  friend constexpr TimePoint operator+(TimePoint t, Duration d) noexcept {
    if (d > Duration::zero() && t.since_origin_ > Duration::max() - d) return never();
    return TimePoint(t.since_origin_ + d);
  }
  friend constexpr Duration operator-(TimePoint a, TimePoint b) noexcept {
    return a.since_origin_ - b.since_origin_;
  }
  friend constexpr auto operator<=>(TimePoint, TimePoint) noexcept = default;

 private:
  Duration since_origin_{0};
};

/// Wall-clock time, in nanoseconds since 1970-01-01 UTC; may jump. For people and files, never for
/// timeouts.
struct WallTime {
  std::int64_t unix_nanoseconds = 0;

  friend constexpr auto operator<=>(WallTime, WallTime) noexcept = default;
};

}  // namespace velo
