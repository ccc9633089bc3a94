// SPDX-License-Identifier: Apache-2.0
// The pauses between dials, as values.

#include "backoff.hpp"

#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace velo::messenger::backoff_test {

constexpr std::uint64_t most = UINT64_MAX;

TEST(Backoff, TheLongestPauseDoublesUpToItsLimit) {
  Backoff backoff;
  Duration expected = limits::redial_pause_first;
  while (expected < limits::redial_pause_longest) {
    EXPECT_EQ(backoff.longest_next(), expected);
    EXPECT_EQ(backoff.failed(most), expected);
    expected *= 2;
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(backoff.failed(most), limits::redial_pause_longest);
}

TEST(Backoff, ThePauseIsDrawnBetweenNothingAndTheLongest) {
  Backoff backoff;
  EXPECT_EQ(backoff.failed(0), Duration::zero());
  const Duration longest = backoff.longest_next();
  EXPECT_EQ(backoff.failed(std::uint64_t{1} << 63U), longest / 2);
  for (std::uint64_t random = 0; random < 64; ++random) {
    const Duration bound = backoff.longest_next();
    const Duration pause = backoff.failed(random * 0x0404040404040404U);
    EXPECT_GE(pause, Duration::zero());
    EXPECT_LE(pause, bound);
  }
}

TEST(Backoff, ResettingStartsFromTheBeginning) {
  Backoff backoff;
  for (int i = 0; i < 20; ++i) (void)backoff.failed(most);
  EXPECT_EQ(backoff.failures(), 20u);
  backoff.reset();
  EXPECT_EQ(backoff.failures(), 0u);
  EXPECT_EQ(backoff.failed(most), limits::redial_pause_first);
}

TEST(Backoff, AHundredThousandFailuresOverflowNothing) {
  Backoff backoff;
  for (int i = 0; i < 100'000; ++i) {
    const Duration pause = backoff.failed(most);
    ASSERT_GT(pause, Duration::zero());
    ASSERT_LE(pause, limits::redial_pause_longest);
  }
}

}  // namespace velo::messenger::backoff_test
