// SPDX-License-Identifier: Apache-2.0
// What the histogram of two sides promises.

#include <velo/bench/histogram.hpp>

#include <gtest/gtest.h>

namespace velo::histogram_test {

using bench::Histogram;
using bench::HistogramRow;

static Histogram of(std::vector<std::uint32_t> samples, std::uint32_t calls_per_sample = 1) {
  bench::Measurement measurement;
  measurement.samples_ns = std::move(samples);
  measurement.calls_per_sample = calls_per_sample;
  Histogram histogram;
  histogram.add(measurement);
  return histogram;
}

TEST(BenchHistogram, ABucketHoldsWhatLiesBetweenItsBoundAndTheNext) {
  for (const double value : {0.0, 1.0, 7.5, 250.0, 9'000.0, 1e9}) {
    const std::size_t bucket = Histogram::bucket_of(value);
    EXPECT_LE(Histogram::lower_bound_ns(bucket), value);
    EXPECT_GT(Histogram::lower_bound_ns(bucket + 1), value);
  }
  EXPECT_EQ(Histogram::bucket_of(1e12), Histogram::buckets - 1);
}

TEST(BenchHistogram, RowsHoldEverySampleOfBothSidesOnce) {
  std::vector<std::uint32_t> fast;
  std::vector<std::uint32_t> slow;
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    fast.push_back(8'000 + i);
    slow.push_back(20'000 + 3 * i);
  }
  slow.push_back(4'000'000'000);
  const auto rows = bench::histogram_rows(of(fast), of(slow), 12);
  ASSERT_LE(rows.size(), 12u);
  std::uint64_t floor = 0;
  std::uint64_t ours = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    floor += rows[i].floor;
    ours += rows[i].ours;
    if (i + 1 < rows.size()) {
      ASSERT_TRUE(rows[i].to_ns);
      EXPECT_DOUBLE_EQ(*rows[i].to_ns, rows[i + 1].from_ns);
    }
  }
  EXPECT_EQ(floor, 5'000u);
  EXPECT_EQ(ours, 5'001u);
  EXPECT_FALSE(rows.back().to_ns) << "one outlier does not stretch the rows";
  EXPECT_GE(rows.back().ours, 1u);
  EXPECT_LE(rows.back().ours, 51u);
}

TEST(BenchHistogram, ASampleOfManyCallsCountsWithTheMeanOfOne) {
  const Histogram histogram = of({1'000}, 100);
  EXPECT_EQ(histogram.first(), Histogram::bucket_of(10.0));
}

TEST(BenchHistogram, NothingGivesNoRows) {
  EXPECT_TRUE(bench::histogram_rows(Histogram(), Histogram(), 12).empty());
  const auto rows = bench::histogram_rows(of({5}), Histogram(), 2);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.front().floor, 1u);
}

}  // namespace velo::histogram_test
