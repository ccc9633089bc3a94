// SPDX-License-Identifier: Apache-2.0
// Counts of one event kind that many threads bump and few read: striped so that threads rarely
// share a cache line.
// Threading: any thread; a sum read while others count may be a moment old.
#pragma once

#include <velo/messenger/call.hpp>
#include <velo/messenger/fates.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

namespace velo::messenger {

constexpr std::size_t counter_stripes = 16;

/// Which stripe the calling thread counts in. The first threads of a process own one each, and need
/// no locked instruction; all later ones share the last.
struct CounterStripe {
  std::size_t index;
  bool owned;
};
CounterStripe counter_stripe() noexcept;

namespace counter_detail {
inline void bump(std::atomic<std::uint64_t>& counter, bool owned) noexcept {
  if (owned) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else {
    counter.fetch_add(1, std::memory_order_relaxed);
  }
}
}  // namespace counter_detail

class StripedCounter {
 public:
  void add() noexcept {
    const CounterStripe stripe = counter_stripe();
    counter_detail::bump(cells_[stripe.index].count, stripe.owned);
  }
  std::uint64_t sum() const noexcept {
    std::uint64_t total = 0;
    for (const Cell& cell : cells_) total += cell.count.load(std::memory_order_relaxed);
    return total;
  }

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> count{0};
  };
  std::array<Cell, counter_stripes> cells_;
};

class FateCounters {
 public:
  void began(Pattern pattern) noexcept {
    const CounterStripe stripe = counter_stripe();
    counter_detail::bump(stripes_[stripe.index].sent[index(pattern)], stripe.owned);
  }
  void ended(Pattern pattern, Fate fate) noexcept {
    const CounterStripe stripe = counter_stripe();
    counter_detail::bump(
        stripes_[stripe.index].ends[index(pattern)][static_cast<std::size_t>(fate)], stripe.owned);
  }

  /// Without in_flight, which is counted from the live slots.
  PatternBooks books(Pattern pattern) const noexcept;

 private:
  using Counter = std::atomic<std::uint64_t>;
  struct alignas(64) Stripe {
    std::array<Counter, 3> sent{};
    std::array<std::array<Counter, fate_count>, 3> ends{};
  };

  static std::size_t index(Pattern pattern) noexcept { return static_cast<std::size_t>(pattern); }

  std::array<Stripe, counter_stripes> stripes_;
};

/// Which end a send with this outcome had.
Fate fate_of(Pattern pattern, const std::optional<Error>& error) noexcept;

}  // namespace velo::messenger
