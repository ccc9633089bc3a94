// SPDX-License-Identifier: Apache-2.0
// An allocator that writes each block's size in front of it.

#include "memory_count.hpp"

#include <velo/transport/limits.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace velo::transport {
namespace memory_count_detail {

/// Keeps the block behind it aligned for everything.
struct alignas(std::max_align_t) Front {
  std::size_t size;
};

static Front* front_of(void* block) noexcept { return static_cast<Front*>(block) - 1; }

}  // namespace memory_count_detail

using memory_count_detail::Front;

MemoryCount::MemoryCount(std::shared_ptr<MemoryBudget> budget) noexcept
    : holding_(std::move(budget)) {
  native_ = {this, &allocate, &release, &allocate_zeroed, &reallocate};
}

void* MemoryCount::allocate(std::size_t size, void* self) noexcept {
  auto* front = static_cast<Front*>(std::malloc(sizeof(Front) + size));
  if (front == nullptr) return nullptr;
  front->size = size;
  static_cast<MemoryCount*>(self)->bytes_ += size;
  return front + 1;
}

void* MemoryCount::allocate_zeroed(std::size_t count, std::size_t size, void* self) noexcept {
  if (size != 0 && count > SIZE_MAX / 2 / size) return nullptr;
  void* block = allocate(count * size, self);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void* MemoryCount::reallocate(void* block, std::size_t size, void* self) noexcept {
  if (block == nullptr) return allocate(size, self);
  Front* old = memory_count_detail::front_of(block);
  const std::size_t before = old->size;
  auto* front = static_cast<Front*>(std::realloc(old, sizeof(Front) + size));
  if (front == nullptr) return nullptr;
  front->size = size;
  static_cast<MemoryCount*>(self)->bytes_ += size - before;
  return front + 1;
}

void MemoryCount::release(void* block, void* self) noexcept {
  if (block == nullptr) return;
  Front* front = memory_count_detail::front_of(block);
  static_cast<MemoryCount*>(self)->bytes_ -= front->size;
  std::free(front);
}

void MemoryCount::settle() noexcept {
  const std::size_t free = limits::quic_uncharged_bytes;
  const std::size_t held = bytes_ > free ? bytes_ - free : 0;
  if (held > holding_.bytes()) {
    holding_.take(held - holding_.bytes());
  } else if (held < holding_.bytes()) {
    holding_.remove(holding_.bytes() - held);
  }
}

}  // namespace velo::transport
