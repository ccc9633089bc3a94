// SPDX-License-Identifier: Apache-2.0
// Buckets by the logarithm of the duration.

#include <velo/bench/histogram.hpp>

#include <algorithm>
#include <cmath>

namespace velo::bench {

std::size_t Histogram::bucket_of(double nanoseconds) noexcept {
  if (!(nanoseconds > 1)) return 0;
  const double doublings = std::log2(nanoseconds) * static_cast<double>(buckets_per_doubling);
  return std::min(buckets - 1, static_cast<std::size_t>(doublings));
}

double Histogram::lower_bound_ns(std::size_t bucket) noexcept {
  if (bucket == 0) return 0;
  return std::exp2(static_cast<double>(bucket) / static_cast<double>(buckets_per_doubling));
}

void Histogram::add(const Measurement& measurement) {
  const double calls = measurement.calls_per_sample;
  for (const std::uint32_t sample : measurement.samples_ns) ++counts_[bucket_of(sample / calls)];
  count_ += measurement.samples_ns.size();
}

std::size_t Histogram::first() const noexcept {
  const auto* found =
      std::find_if(counts_.begin(), counts_.end(), [](std::uint64_t n) { return n > 0; });
  return static_cast<std::size_t>(found - counts_.begin());
}

std::size_t Histogram::last_but(double share) const noexcept {
  const double allowed = share * static_cast<double>(count_);
  std::uint64_t above = 0;
  for (std::size_t i = buckets; i-- > 0;) {
    above += counts_[i];
    if (static_cast<double>(above) > allowed) return i;
  }
  return 0;
}

std::vector<HistogramRow> histogram_rows(const Histogram& floor, const Histogram& ours,
                                         std::size_t rows_max) {
  constexpr double tail_share = 0.01;
  if (floor.count() + ours.count() == 0) return {};
  const std::size_t begin = std::min(floor.first(), ours.first());
  const std::size_t end = std::max(floor.last_but(tail_share), ours.last_but(tail_share)) + 1;
  const std::size_t step = (end - begin + rows_max - 2) / (rows_max - 1);

  std::vector<HistogramRow> rows;
  const auto take = [&](std::size_t from, std::size_t to) {
    HistogramRow row;
    row.from_ns = Histogram::lower_bound_ns(from);
    for (std::size_t i = from; i < to; ++i) {
      row.floor += floor.in_bucket(i);
      row.ours += ours.in_bucket(i);
    }
    return row;
  };
  std::size_t at = begin;
  for (; at < end; at += step) {
    rows.push_back(take(at, std::min(at + step, Histogram::buckets)));
    rows.back().to_ns = Histogram::lower_bound_ns(at + step);
  }
  const HistogramRow tail = take(std::min(at, Histogram::buckets), Histogram::buckets);
  if (tail.floor + tail.ours > 0) rows.push_back(tail);
  return rows;
}

}  // namespace velo::bench
