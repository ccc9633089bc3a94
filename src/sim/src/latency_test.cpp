// SPDX-License-Identifier: Apache-2.0
// Latency distributions keep to their tables.

#include <velo/sim/options.hpp>

#include "links.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace velo::sim::latency_test {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// 100,000 draws in ascending order.
std::vector<Duration> draws(const Latency& latency) {
  detail::SimRandom random(7);
  std::vector<Duration> all;
  for (int i = 0; i < 100'000; ++i) all.emplace_back(detail::sample(latency, random));
  std::sort(all.begin(), all.end());
  return all;
}

TEST(SimLatency, OfAFixedOneEveryDrawIsTheSame) {
  const auto all = draws(Latency::fixed(milliseconds(3)));
  EXPECT_EQ(all.front(), milliseconds(3));
  EXPECT_EQ(all.back(), milliseconds(3));
}

TEST(SimLatency, PercentilesAreMetAndEvenInBetween) {
  const auto all = draws(Latency::percentiles(
      microseconds(80),
      {{500'000, microseconds(100)}, {990'000, milliseconds(2)}, {1'000'000, milliseconds(40)}}));
  EXPECT_GE(all.front(), microseconds(80));
  EXPECT_LE(all.back(), milliseconds(40));
  const auto below = [&all](Duration limit) {
    return std::lower_bound(all.begin(), all.end(), limit) - all.begin();
  };
  EXPECT_NEAR(static_cast<double>(below(microseconds(90))), 25'000, 1'000);
  EXPECT_NEAR(static_cast<double>(below(microseconds(100))), 50'000, 1'000);
  EXPECT_NEAR(static_cast<double>(below(microseconds(1050))), 74'500, 1'000);
  EXPECT_NEAR(static_cast<double>(below(milliseconds(2))), 99'000, 200);
  EXPECT_NEAR(static_cast<double>(below(milliseconds(21))), 99'500, 150);
}

TEST(SimLatency, AHeavyTailHalvesItsProbabilityWhenItDoublesItsLength) {
  const auto all = draws(Latency(Duration::zero(), Duration(1023), Latency::Shape::heavy_tail));
  const auto from = [&all](std::int64_t limit) {
    return all.end() - std::lower_bound(all.begin(), all.end(), Duration(limit));
  };
  EXPECT_NEAR(static_cast<double>(from(1)), 50'000, 1'000);
  EXPECT_NEAR(static_cast<double>(from(15)), 6'250, 400);
  EXPECT_NEAR(static_cast<double>(from(511)), 195, 60);
  EXPECT_LE(all.back(), Duration(1023));
}

TEST(SimLatency, ATableThatIsNoDistributionIsADefect) {
  const auto make = [](std::vector<LatencyPoint> points) {
    (void)Latency::percentiles(microseconds(10), std::move(points));
  };
  EXPECT_DEATH(make({}), "points");
  EXPECT_DEATH(make({{500'000, microseconds(20)}}), "rank");
  EXPECT_DEATH(make({{500'000, microseconds(20)}, {1'000'000, microseconds(19)}}), "latency");
  EXPECT_DEATH(make({{1'000'000, microseconds(9)}}), "latency");
}

}  // namespace velo::sim::latency_test
