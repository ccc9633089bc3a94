// SPDX-License-Identifier: Apache-2.0
// Which stripe of a striped counter the calling thread writes. The first 31 threads have one each
// and need no atomic addition; a thread that ends leaves its stripe to a later one. All further
// threads share the last stripe. What a stripe holds is its user's business: metrics, books.
// Threading: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace velo {

constexpr std::uint32_t stripe_count = 32;
constexpr std::uint32_t shared_stripe = stripe_count - 1;

namespace stripe_detail {

constexpr std::uint32_t none = UINT32_MAX;
inline constinit thread_local std::uint32_t of_thread = none;

/// Finds a stripe for the calling thread, until it ends. The lowest free one.
std::uint32_t claim() noexcept;

}  // namespace stripe_detail

inline std::uint32_t stripe_of_thread() noexcept {
  const std::uint32_t own = stripe_detail::of_thread;
  return own == stripe_detail::none ? stripe_detail::claim() : own;
}

/// Adds to a cell of a stripe. `shared`: other threads may add to it too.
inline void stripe_add(std::atomic<std::uint64_t>& cell, bool shared,
                       std::uint64_t amount) noexcept {
  if (shared) [[unlikely]] {
    cell.fetch_add(amount, std::memory_order_relaxed);
  } else {
    // Only this thread writes the cell.
    cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
}

}  // namespace velo
