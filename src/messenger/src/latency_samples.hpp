// SPDX-License-Identifier: Apache-2.0
// How long some of what happens takes: one in limits::timed_one_in, so that the others cost a test.
// Threading: any thread.
#pragma once

#include <velo/base/histogram.hpp>
#include <velo/base/time.hpp>
#include <velo/messenger/limits.hpp>
#include <velo/messenger/watch.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace velo::messenger {

/// Whether what has this generation, which counts up, is timed.
constexpr bool is_timed(std::uint64_t generation) noexcept {
  static_assert((limits::timed_one_in & (limits::timed_one_in - 1)) == 0);
  return (generation & (limits::timed_one_in - 1)) == 0;
}

class LatencySamples {
 public:
  void record(Duration took) noexcept {
    const std::uint64_t value = took.count() < 0 ? 0 : static_cast<std::uint64_t>(took.count());
    const std::size_t bucket = Buckets::index(value >> unit_bits);
    counts_[bucket < last ? bucket : last].fetch_add(1, std::memory_order_relaxed);
  }
  LatencyBuckets counts() const {
    LatencyBuckets all;
    for (std::size_t i = 0; i <= last; ++i) {
      const std::uint64_t count = counts_[i].load(std::memory_order_relaxed);
      if (count == 0) continue;
      all.emplace_back(i == last ? UINT64_MAX : ((Buckets::highest(i) + 1) << unit_bits) - 1,
                       count);
    }
    return all;
  }

 private:
  /// 256 ns wide below 1 us, then four per power of two, up to 137 s.
  using Buckets = LogLinear<2>;
  static constexpr unsigned unit_bits = 8;
  static constexpr std::size_t last =
      Buckets::index((std::uint64_t{1} << (37 - unit_bits)) - 1) + 1;
  std::array<std::atomic<std::uint64_t>, last + 1> counts_{};
};

}  // namespace velo::messenger
