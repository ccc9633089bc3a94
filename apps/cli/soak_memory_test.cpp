// SPDX-License-Identifier: Apache-2.0
// What is called growth.

#include "soak_memory.hpp"

#include <gtest/gtest.h>

namespace velo::cli {
namespace soak_memory_test {

/// It fills up in the warm-up; then it grows, and shakes.
static std::vector<MemorySample> samples_of(double mib_per_minute) {
  std::vector<MemorySample> samples;
  for (int second = 0; second <= 400; ++second) {
    const double warm = second < 100 ? second * 0.5 : 50;
    const double grown = second * mib_per_minute / 60;
    samples.push_back({static_cast<double>(second), 20 + warm + grown + second % 3});
  }
  return samples;
}

TEST(SoakMemory, GrowthIsTheLineThroughWhatFollowsTheWarmUp) {
  const MemoryTrend grows = trend_of("x", samples_of(3));
  EXPECT_EQ(grows.process, "x");
  EXPECT_EQ(grows.samples, 301U);
  EXPECT_NEAR(grows.mib_per_minute, 3, 0.05);
  EXPECT_LT(grows.error_mib_per_minute, 0.05);
  EXPECT_NEAR(grows.first_mib, 76, 0.5);
  EXPECT_NEAR(grows.last_mib, 91, 0.5);
  EXPECT_TRUE(grows.judged);
  EXPECT_FALSE(grows.ok);
  const MemoryTrend stays = trend_of("x", samples_of(0));
  EXPECT_NEAR(stays.mib_per_minute, 0, 0.05);
  EXPECT_TRUE(stays.judged && stays.ok);
}

TEST(SoakMemory, TheBoundIsOneMiBAMinute) {
  EXPECT_TRUE(trend_of("x", samples_of(0.9)).ok);
  EXPECT_FALSE(trend_of("x", samples_of(1.2)).ok);
}

TEST(SoakMemory, WhatGoesUpAndDownIsNoGrowth) {
  // 12 MiB for a minute near the end, as when a few workers hold large data and are frozen.
  std::vector<MemorySample> samples = samples_of(0);
  for (int second = 320; second < 380; ++second) {
    samples[static_cast<std::size_t>(second)].mib += 12;
  }
  const MemoryTrend shaken = trend_of("x", samples);
  EXPECT_GT(shaken.mib_per_minute, 1);
  EXPECT_GT(shaken.error_mib_per_minute, 0.3);
  EXPECT_TRUE(shaken.judged && shaken.ok);
  // On top of it, growth is seen.
  for (MemorySample& each : samples) each.mib += each.seconds / 60 * 3;
  EXPECT_FALSE(trend_of("x", samples).ok);
}

TEST(SoakMemory, AShortSoakIsNotJudged) {
  std::vector<MemorySample> samples = samples_of(100);
  samples.resize(200);
  const MemoryTrend trend = trend_of("x", samples);
  EXPECT_FALSE(trend.judged);
  EXPECT_TRUE(trend.ok);
  EXPECT_GT(trend.mib_per_minute, 50);
  EXPECT_TRUE(trend_of("x", {}).ok);
}

}  // namespace soak_memory_test
}  // namespace velo::cli
