// SPDX-License-Identifier: Apache-2.0
// Reads the system's clocks.

#include "clock.hpp"

#include <ctime>

namespace velo::runtime {
namespace clock_detail {

static std::int64_t read(clockid_t id) noexcept {
  timespec t{};
  ::clock_gettime(id, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace clock_detail

TimePoint monotonic_now() noexcept {
  return TimePoint(Duration(clock_detail::read(CLOCK_MONOTONIC)));
}

WallTime SystemClock::wall_now() const noexcept { return {clock_detail::read(CLOCK_REALTIME)}; }

}  // namespace velo::runtime
