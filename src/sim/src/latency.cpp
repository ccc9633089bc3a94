// SPDX-License-Identifier: Apache-2.0
// Drawing from latency tables; integers only, so that every compiler draws the same.

#include <velo/sim/options.hpp>

#include <velo/base/check.hpp>

#include "links.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace velo::sim {

Latency Latency::percentiles(Duration min, std::vector<LatencyPoint> points) {
  VELO_CHECK(!points.empty() && points.size() <= limits::latency_points_max);
  std::uint32_t rank = 0;
  Duration latency = min;
  for (const LatencyPoint& point : points) {
    VELO_CHECK(point.per_million > rank && point.at_most >= latency);
    rank = point.per_million;
    latency = point.at_most;
  }
  VELO_CHECK(rank == 1'000'000 && min >= Duration::zero());
  Latency made(min, latency, Shape::percentiles);
  made.points = std::move(points);
  return made;
}

}  // namespace velo::sim

namespace velo::sim::detail {

namespace latency_detail {

/// Cumulative positions between min (0) and max (1000); each interval is drawn equally often.
constexpr std::array<std::uint16_t, 17> long_tail_table{0,  2,  5,  8,   12,  17,  23,  30,  40,
                                                        52, 68, 90, 120, 165, 240, 480, 1000};

/// The part `numerator / denominator` of the span, rounded down.
static std::int64_t part(std::int64_t span, std::uint64_t numerator,
                         std::uint64_t denominator) noexcept {
  return static_cast<std::int64_t>(static_cast<unsigned __int128>(span) * numerator / denominator);
}

static std::int64_t long_tail(std::int64_t span, std::uint64_t draw) noexcept {
  const std::size_t interval = draw >> 60;
  const std::uint64_t fraction = (draw >> 12) & 0xffff;
  const std::uint64_t from = long_tail_table[interval];
  const std::uint64_t position = (from << 16) + (long_tail_table[interval + 1] - from) * fraction;
  return part(span, position, std::uint64_t{1000} << 16);
}

/// Ten intervals, each twice as long and half as likely as the one before.
static std::int64_t heavy_tail(std::int64_t span, std::uint64_t draw) noexcept {
  constexpr unsigned intervals = 10;
  const unsigned interval = std::min(static_cast<unsigned>(std::countl_zero(draw)), intervals - 1);
  const std::uint64_t fraction = draw & 0xffff;
  const std::uint64_t from = (std::uint64_t{1} << interval) - 1;
  const std::uint64_t position = (from << 16) + ((from + 1) * fraction);
  return part(span, position, ((std::uint64_t{1} << intervals) - 1) << 16);
}

static std::int64_t percentiles(const Latency& latency, std::uint64_t draw) noexcept {
  // A rank below a million, with twenty bits behind the point.
  const auto rank = static_cast<std::uint64_t>(
      (static_cast<unsigned __int128>(draw) * (std::uint64_t{1'000'000} << 20)) >> 64);
  std::uint64_t rank_before = 0;
  std::int64_t before = latency.min.count();
  for (const LatencyPoint& point : latency.points) {
    const std::uint64_t end = std::uint64_t{point.per_million} << 20;
    if (rank < end) {
      return before + part(point.at_most.count() - before, rank - rank_before, end - rank_before);
    }
    rank_before = end;
    before = point.at_most.count();
  }
  return before;
}

}  // namespace latency_detail

std::int64_t sample(const Latency& latency, SimRandom& random) noexcept {
  const std::int64_t low = std::max<std::int64_t>(latency.min.count(), 0);
  const std::int64_t span = latency.max.count() - low;
  if (span <= 0) return low;
  switch (latency.shape) {
    case Latency::Shape::uniform:
      return low + static_cast<std::int64_t>(random.pick(static_cast<std::uint64_t>(span) + 1));
    case Latency::Shape::long_tail: return low + latency_detail::long_tail(span, random.next());
    case Latency::Shape::heavy_tail: return low + latency_detail::heavy_tail(span, random.next());
    case Latency::Shape::percentiles: return latency_detail::percentiles(latency, random.next());
  }
  return low;
}

}  // namespace velo::sim::detail
