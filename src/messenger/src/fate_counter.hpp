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

/// The index of the calling thread's stripe.
std::size_t counter_stripe() noexcept;

class FateCounters {
 public:
  void began(Pattern pattern) noexcept { add(stripe().sent[index(pattern)], 1); }
  void ended(Pattern pattern, Fate fate) noexcept {
    add(stripe().ends[index(pattern)][static_cast<std::size_t>(fate)], 1);
  }

  /// Without in_flight, which is counted from the live slots.
  PatternBooks books(Pattern pattern) const noexcept;

 private:
  static constexpr std::size_t stripe_count = 8;
  using Counter = std::atomic<std::uint64_t>;
  struct alignas(64) Stripe {
    std::array<Counter, 3> sent{};
    std::array<std::array<Counter, fate_count>, 3> ends{};
  };

  static std::size_t index(Pattern pattern) noexcept { return static_cast<std::size_t>(pattern); }
  static void add(Counter& counter, std::uint64_t amount) noexcept {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }
  Stripe& stripe() noexcept { return stripes_[counter_stripe() % stripe_count]; }

  std::array<Stripe, stripe_count> stripes_;
};

/// Which end a send with this outcome had.
Fate fate_of(Pattern pattern, const std::optional<Error>& error) noexcept;

}  // namespace velo::messenger
