// SPDX-License-Identifier: Apache-2.0
// Where the samples of two sides lie, in buckets that grow by 1/32 of a doubling, and as a few rows
// for people.
// Not exact: percentiles come from the samples themselves (percentile_ns).
// Threading: values.
#pragma once

#include <velo/bench/measure.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace velo::bench {

class Histogram {
 public:
  static constexpr std::size_t buckets_per_doubling = 32;
  /// Above 4 s there is one bucket.
  static constexpr std::size_t buckets = 32 * buckets_per_doubling;

  void add(const Measurement& measurement);

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t in_bucket(std::size_t index) const noexcept { return counts_[index]; }
  /// The first bucket that is not empty; `buckets` of an empty histogram.
  std::size_t first() const noexcept;
  /// The first bucket above which at most `share` of all samples lie.
  std::size_t last_but(double share) const noexcept;

  static std::size_t bucket_of(double nanoseconds) noexcept;
  static double lower_bound_ns(std::size_t bucket) noexcept;

 private:
  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
};

struct HistogramRow {
  double from_ns = 0;
  std::optional<double> to_ns;  ///< not in the last row, which holds the slowest hundredth
  std::uint64_t floor = 0;
  std::uint64_t ours = 0;

  HistogramRow() = default;
};

/// The same rows for both, at most `rows_max` (at least 2) in all; none when both are empty.
std::vector<HistogramRow> histogram_rows(const Histogram& floor, const Histogram& ours,
                                         std::size_t rows_max);

}  // namespace velo::bench
