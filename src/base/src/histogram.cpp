// SPDX-License-Identifier: Apache-2.0
// Merging of histograms and the search for percentiles.

#include <velo/base/histogram.hpp>

#include <algorithm>
#include <cmath>

namespace velo {

void Histogram::grow(std::size_t index) {
  // Up to the end of the power of two, so that values that drift upwards do not grow it one by one.
  counts_.resize(std::min(Buckets::bucket_count, (index | 127U) + 1));
}

void Histogram::merge(const Histogram& other) {
  if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
  for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  if (!(percent > 0)) return min_;
  if (percent >= 100) return max_;
  const double exact = std::ceil(percent / 100 * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen < rank) continue;
    const std::uint64_t lowest = Buckets::lowest(i);
    return std::clamp(lowest + (Buckets::highest(i) - lowest) / 2, min_, max_);
  }
  return max_;
}

bool operator==(const Histogram& a, const Histogram& b) noexcept {
  if (a.count_ != b.count_ || a.min_ != b.min_ || a.max_ != b.max_ || a.sum_ != b.sum_)
    return false;
  const std::size_t common = std::min(a.counts_.size(), b.counts_.size());
  return std::equal(a.counts_.begin(), a.counts_.begin() + static_cast<std::ptrdiff_t>(common),
                    b.counts_.begin());
}

}  // namespace velo
