// SPDX-License-Identifier: Apache-2.0
// An allocator that keeps each block's size in front of it, and all blocks in a list.

#include "memory_count.hpp"

#include <velo/transport/limits.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace velo::transport {

/// Stands before each block, and keeps what is behind it aligned for everything.
struct alignas(std::max_align_t) MemoryCount::Front {
  std::size_t size;
  Front* before;
  Front* after;

  static Front* of(void* block) noexcept { return static_cast<Front*>(block) - 1; }
};

MemoryCount::MemoryCount(std::shared_ptr<MemoryBudget> budget) noexcept
    : holding_(std::move(budget)) {
  native_ = {this, &allocate, &release, &allocate_zeroed, &reallocate};
}

MemoryCount::~MemoryCount() {
  for (Front* front = first_; front != nullptr;) std::free(std::exchange(front, front->after));
}

void MemoryCount::link(Front* front) noexcept {
  front->before = nullptr;
  front->after = first_;
  if (first_ != nullptr) first_->before = front;
  first_ = front;
  bytes_ += front->size;
}

void MemoryCount::unlink(Front* front) noexcept {
  (front->before != nullptr ? front->before->after : first_) = front->after;
  if (front->after != nullptr) front->after->before = front->before;
  bytes_ -= front->size;
}

void* MemoryCount::allocate(std::size_t size, void* self) noexcept {
  auto* front = static_cast<Front*>(std::malloc(sizeof(Front) + size));
  if (front == nullptr) return nullptr;
  front->size = size;
  static_cast<MemoryCount*>(self)->link(front);
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
  Front* front = Front::of(block);
  void* larger = allocate(size, self);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, std::min(size, front->size));
  release(block, self);
  return larger;
}

void MemoryCount::release(void* block, void* self) noexcept {
  if (block == nullptr) return;
  Front* front = Front::of(block);
  static_cast<MemoryCount*>(self)->unlink(front);
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
