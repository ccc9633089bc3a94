// SPDX-License-Identifier: Apache-2.0
// Histogram: counts of values (usually nanoseconds) in log-linear buckets of less than 1 % width,
// over all of uint64. For benches and the command line; not for hot paths shared by threads (see
// metrics::Latency, which is coarser).
// Threading: a value type without locks; give each thread its own and merge().
#pragma once

#include <velo/base/time.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace velo {

/// The numbering of log-linear buckets: 2^bits per power of two, values below 2^(bits + 1) exact.
template <unsigned bits>
struct LogLinear {
  static constexpr std::size_t index(std::uint64_t value) noexcept {
    const unsigned width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > bits + 1 ? width - (bits + 1) : 0;
    return (std::size_t{shift} << bits) + static_cast<std::size_t>(value >> shift);
  }
  /// The lowest value of a bucket.
  static constexpr std::uint64_t lowest(std::size_t index) noexcept {
    if (index < (std::size_t{2} << bits)) return index;
    const unsigned shift = static_cast<unsigned>(index >> bits) - 1;
    return static_cast<std::uint64_t>(index - (std::size_t{shift} << bits)) << shift;
  }
  static constexpr std::uint64_t highest(std::size_t index) noexcept {
    return index + 1 == bucket_count ? UINT64_MAX : lowest(index + 1) - 1;
  }
  static constexpr std::size_t bucket_count = std::size_t{65 - bits} << bits;
};

class Histogram {
 public:
  /// Counts a value, `count` times. Memory grows with the largest value, to at most 60 KB.
  void record(std::uint64_t value, std::uint64_t count = 1) {
    const std::size_t index = Buckets::index(value);
    if (index >= counts_.size()) [[unlikely]]
      grow(index);
    counts_[index] += count;
    count_ += count;
    sum_ += static_cast<double>(value) * static_cast<double>(count);
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }
  /// Negative durations count as zero.
  void record(Duration value) {
    record(value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count()));
  }
  void merge(const Histogram& other);
  void clear() noexcept { *this = Histogram(); }

  std::uint64_t count() const noexcept { return count_; }
  /// 0 when empty, as are max and mean.
  std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  std::uint64_t max() const noexcept { return max_; }
  double sum() const noexcept { return sum_; }
  double mean() const noexcept { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

  /// The value that `percent` (0 to 100) of all values do not exceed, to within 0.4 %; exact at 0
  /// and 100. 0 when empty.
  std::uint64_t percentile(double percent) const noexcept;

  /// Calls visit(lowest, highest, count) for each bucket that is not empty, in rising order.
  template <class Visit>
  void for_each_bucket(Visit visit) const {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] != 0) visit(Buckets::lowest(i), Buckets::highest(i), counts_[i]);
    }
  }

  friend bool operator==(const Histogram& a, const Histogram& b) noexcept;

 private:
  using Buckets = LogLinear<7>;

  void grow(std::size_t index);

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace velo
