// SPDX-License-Identifier: Apache-2.0
// Which stripes are taken.

#include <velo/base/stripe.hpp>

#include <bit>

namespace velo::stripe_detail {

/// A set bit is a stripe that no thread has.
static constinit std::atomic<std::uint32_t> free_stripes{(std::uint32_t{1} << shared_stripe) - 1};

struct Lease {
  std::uint32_t stripe;
  explicit Lease(std::uint32_t s) noexcept : stripe(s) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    // Destructors that run after this one may still count.
    of_thread = shared_stripe;
    if (stripe == shared_stripe) return;
    // Releases what this thread wrote to the one that claims the stripe next.
    free_stripes.fetch_or(std::uint32_t{1} << stripe, std::memory_order_release);
  }
};

std::uint32_t claim() noexcept {
  std::uint32_t claimed = shared_stripe;
  std::uint32_t free = free_stripes.load(std::memory_order_relaxed);
  while (free != 0) {
    const auto lowest = static_cast<std::uint32_t>(std::countr_zero(free));
    if (free_stripes.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
      claimed = lowest;
      break;
    }
  }
  thread_local const Lease lease(claimed);
  of_thread = lease.stripe;
  return lease.stripe;
}

}  // namespace velo::stripe_detail
