// SPDX-License-Identifier: Apache-2.0
// Counts the memory that the QUIC library takes for one connection, reordered data of the peer
// included, and charges to the node's budget what is more than a connection needs anyway. What the
// library forgets to give back (ngtcp2 0.12 does with parts of what was not acknowledged when its
// connection ends) is given back with this.
// Threading: none of its own; the shard's thread.
#pragma once

#include <velo/base/budget.hpp>

#include <ngtcp2/ngtcp2.h>

#include <cstddef>
#include <memory>

namespace velo::transport {

class MemoryCount {
 public:
  explicit MemoryCount(std::shared_ptr<MemoryBudget> budget) noexcept;
  MemoryCount(const MemoryCount&) = delete;
  MemoryCount& operator=(const MemoryCount&) = delete;
  ~MemoryCount();

  /// For the library; lives as long as this.
  const ngtcp2_mem* native() const noexcept { return &native_; }
  std::size_t bytes() const noexcept { return bytes_; }
  /// Charges what is held now.
  void settle() noexcept;

 private:
  struct Front;

  void link(Front* front) noexcept;
  void unlink(Front* front) noexcept;
  static void* allocate(std::size_t size, void* self) noexcept;
  static void* allocate_zeroed(std::size_t count, std::size_t size, void* self) noexcept;
  static void* reallocate(void* block, std::size_t size, void* self) noexcept;
  static void release(void* block, void* self) noexcept;

  ngtcp2_mem native_{};
  std::size_t bytes_ = 0;
  Front* first_ = nullptr;  ///< of all blocks
  Holding holding_;
};

}  // namespace velo::transport
