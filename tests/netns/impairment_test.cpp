// SPDX-License-Identifier: Apache-2.0
// The emulated link keeps what it promises, and does the same for the same seed.

#include "impairment.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace velo::netns {
namespace impairment_test {

using std::chrono::milliseconds;

static TimePoint at(std::int64_t milliseconds_since_origin) {
  return TimePoint(milliseconds(milliseconds_since_origin));
}

static std::vector<std::int64_t> arrivals(const ImpairmentOptions& options, std::uint64_t seed) {
  Impairment link(options, seed);
  std::vector<std::int64_t> all;
  for (int i = 0; i < 10'000; ++i) {
    const Fate fate = link.decide(at(i), 1000);
    all.push_back(fate.copies == 0 ? -1 : fate.arrival.nanoseconds() * fate.copies);
  }
  return all;
}

TEST(Impairment, PerfectLinkPassesEverythingAtOnce) {
  Impairment link(ImpairmentOptions(), 1);
  const Fate fate = link.decide(at(5), 1500);
  EXPECT_EQ(fate.copies, 1);
  EXPECT_EQ(fate.arrival, at(5));
}

TEST(Impairment, DelayWobblesButKeepsTheOrder) {
  ImpairmentOptions options;
  options.delay = milliseconds(20);
  options.jitter = milliseconds(10);
  Impairment link(options, 1);
  TimePoint last;
  Duration shortest = Duration::max();
  Duration longest{0};
  for (int i = 0; i < 10'000; ++i) {
    const Fate fate = link.decide(at(i), 100);
    ASSERT_EQ(fate.copies, 1);
    ASSERT_GE(fate.arrival, last);
    last = fate.arrival;
    shortest = std::min(shortest, fate.arrival - at(i));
    longest = std::max(longest, fate.arrival - at(i));
  }
  EXPECT_GE(shortest, milliseconds(10));
  EXPECT_LE(longest, milliseconds(30));
  EXPECT_GT(longest - shortest, milliseconds(8));
}

TEST(Impairment, SharesComeOut) {
  ImpairmentOptions options;
  options.delay = milliseconds(20);
  options.loss = 100;
  options.duplicate = 50;
  options.reorder = 200;
  Impairment link(options, 7);
  int overtook = 0;
  TimePoint latest;
  for (int i = 0; i < 100'000; ++i) {
    const Fate fate = link.decide(at(i), 100);
    if (fate.copies == 0) continue;
    overtook += fate.arrival < latest ? 1 : 0;
    latest = std::max(latest, fate.arrival);
  }
  const ImpairmentCounts& counts = link.counts();
  EXPECT_EQ(counts.packets, 100'000U);
  EXPECT_NEAR(static_cast<double>(counts.lost), 10'000, 500);
  EXPECT_NEAR(static_cast<double>(counts.duplicated), 4'500, 400);
  EXPECT_NEAR(static_cast<double>(counts.reordered), 18'000, 600);
  EXPECT_GT(overtook, 15'000);
}

TEST(Impairment, RateSpacesPacketsAndItsQueueIsBounded) {
  ImpairmentOptions options;
  options.bits_per_second = 8'000'000;  // a thousand bytes take a millisecond
  options.queue_max = milliseconds(50);
  Impairment link(options, 1);
  for (int i = 1; i <= 51; ++i) {
    const Fate fate = link.decide(at(0), 1000);
    ASSERT_EQ(fate.copies, 1);
    EXPECT_EQ(fate.arrival, at(i));
  }
  EXPECT_EQ(link.decide(at(0), 1000).copies, 0);
  EXPECT_EQ(link.counts().overflowed, 1U);
  EXPECT_EQ(link.decide(at(100), 1000).arrival, at(101)) << "the queue has emptied";
}

TEST(Impairment, CutLosesEverythingUntilItHeals) {
  Impairment link(ImpairmentOptions(), 1);
  link.set_cut(true);
  EXPECT_EQ(link.decide(at(1), 100).copies, 0);
  link.set_cut(false);
  EXPECT_EQ(link.decide(at(2), 100).copies, 1);
  EXPECT_EQ(link.counts().cut, 1U);
}

TEST(Impairment, SameSeedDecidesTheSame) {
  ImpairmentOptions options;
  options.delay = milliseconds(5);
  options.jitter = milliseconds(5);
  options.loss = 100;
  options.duplicate = 100;
  options.reorder = 100;
  EXPECT_EQ(arrivals(options, 3), arrivals(options, 3));
  EXPECT_NE(arrivals(options, 3), arrivals(options, 4));
}

}  // namespace impairment_test
}  // namespace velo::netns
