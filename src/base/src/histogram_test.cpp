// SPDX-License-Identifier: Apache-2.0
// Tests of the log-linear buckets and of Histogram.

#include <velo/base/histogram.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace velo::histogram_test {

using Buckets = LogLinear<7>;

TEST(LogLinear, BucketsFollowEachOtherWithoutGapOrOverlap) {
  EXPECT_EQ(Buckets::lowest(0), 0U);
  for (std::size_t i = 0; i < Buckets::bucket_count; ++i) {
    ASSERT_EQ(Buckets::index(Buckets::lowest(i)), i);
    ASSERT_EQ(Buckets::index(Buckets::highest(i)), i);
    if (i > 0) {
      ASSERT_EQ(Buckets::lowest(i), Buckets::highest(i - 1) + 1);
    }
  }
  EXPECT_EQ(Buckets::highest(Buckets::bucket_count - 1), UINT64_MAX);
  EXPECT_EQ(Buckets::index(UINT64_MAX), Buckets::bucket_count - 1);
  EXPECT_EQ(LogLinear<2>::index(UINT64_MAX), LogLinear<2>::bucket_count - 1);
}

TEST(LogLinear, ABucketIsLessThanOnePercentWide) {
  for (std::size_t i = 1; i < Buckets::bucket_count; ++i) {
    const auto width = static_cast<double>(Buckets::highest(i) - Buckets::lowest(i));
    ASSERT_LT(width / static_cast<double>(Buckets::lowest(i)), 0.01) << i;
  }
}

TEST(Histogram, IsAllZeroWhenEmpty) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.min(), 0U);
  EXPECT_EQ(empty.max(), 0U);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.percentile(50), 0U);
  empty.for_each_bucket(
      [](auto, auto, auto) { ADD_FAILURE() << "a bucket of an empty histogram"; });
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 200; ++value) histogram.record(value);
  EXPECT_EQ(histogram.count(), 200U);
  EXPECT_EQ(histogram.min(), 1U);
  EXPECT_EQ(histogram.max(), 200U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 100.5);
  EXPECT_EQ(histogram.percentile(0), 1U);
  EXPECT_EQ(histogram.percentile(0.5), 1U);
  EXPECT_EQ(histogram.percentile(50), 100U);
  EXPECT_EQ(histogram.percentile(99), 198U);
  EXPECT_EQ(histogram.percentile(100), 200U);
}

TEST(Histogram, PercentilesAreWithinHalfAPercentOfTheSortedValues) {
  std::mt19937_64 random(7);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t bits = random();
    const std::uint64_t magnitude = random() % 50;
    values.push_back(bits >> (13 + magnitude));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
    const auto rank = static_cast<std::size_t>(std::lround(percent / 100 * 100'000));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, exact * 0.005)
        << percent;
  }
  EXPECT_EQ(histogram.percentile(0), values.front());
  EXPECT_EQ(histogram.percentile(100), values.back());
}

TEST(Histogram, PercentilesStayWithinMinAndMaxAndTakeAnyArgument) {
  Histogram histogram;
  histogram.record(1'000'003);
  for (const double percent : {-1.0, 0.0, 1e-9, 50.0, 99.999, 100.0, 1e9}) {
    EXPECT_EQ(histogram.percentile(percent), 1'000'003U) << percent;
  }
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.percentile(100), UINT64_MAX);
  EXPECT_EQ(histogram.percentile(99),
            Buckets::lowest(Buckets::bucket_count - 1) +
                (UINT64_MAX - Buckets::lowest(Buckets::bucket_count - 1)) / 2);
}

TEST(Histogram, NegativeDurationsCountAsZero) {
  Histogram histogram;
  histogram.record(std::chrono::nanoseconds(-5));
  histogram.record(std::chrono::microseconds(2));
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 2000U);
}

TEST(Histogram, MergingEqualsRecordingEverythingInOne) {
  std::mt19937_64 random(11);
  Histogram all;
  Histogram left;
  Histogram right;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = random() >> (i % 2 == 0 ? 50 : 30);
    all.record(value);
    (i % 2 == 0 ? left : right).record(value);
  }
  Histogram a = left;
  a.merge(right);
  Histogram b = right;
  b.merge(left);
  EXPECT_EQ(a, all);
  EXPECT_EQ(b, all);
  EXPECT_FALSE(left == right);
  a.merge(Histogram());
  EXPECT_EQ(a, all);
  Histogram c;
  c.merge(all);
  EXPECT_EQ(c, all);
  c.clear();
  EXPECT_EQ(c, Histogram());
}

TEST(Histogram, BucketsComeInOrderAndAddUp) {
  Histogram histogram;
  histogram.record(5, 3);
  histogram.record(1'000'000, 2);
  histogram.record(70);
  std::uint64_t total = 0;
  std::uint64_t previous = 0;
  histogram.for_each_bucket([&](std::uint64_t lowest, std::uint64_t highest, std::uint64_t count) {
    EXPECT_LE(lowest, highest);
    EXPECT_GE(lowest, previous);
    previous = highest;
    total += count;
  });
  EXPECT_EQ(total, 6U);
  EXPECT_EQ(histogram.count(), 6U);
  EXPECT_DOUBLE_EQ(histogram.sum(), 15 + 2'000'000 + 70);
}

}  // namespace velo::histogram_test
