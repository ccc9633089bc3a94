// SPDX-License-Identifier: Apache-2.0
// SizeRing: the sizes of frames on their way, oldest first; grows by doubling, and keeps its memory
// until clear(), which keeps a little.
// Threading: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace velo::streaming {

class SizeRing {
 public:
  /// What clear() keeps at most.
  static constexpr std::size_t kept_max = 64;

  std::size_t size() const noexcept { return count_; }
  std::size_t capacity() const noexcept { return ring_.capacity(); }
  void push(std::uint32_t value) {
    if (count_ == ring_.size()) grow();
    ring_[(head_ + count_++) & (ring_.size() - 1)] = value;
  }
  /// Only while size() > 0.
  std::uint32_t pop() noexcept {
    const std::uint32_t value = ring_[head_];
    head_ = (head_ + 1) & (ring_.size() - 1);
    --count_;
    return value;
  }
  void clear() noexcept {
    head_ = 0;
    count_ = 0;
    // By moving: what is assigned from braces keeps its capacity.
    if (ring_.size() > kept_max) ring_ = std::vector<std::uint32_t>();
  }

 private:
  void grow() {
    std::vector<std::uint32_t> larger(ring_.empty() ? 8 : ring_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i) larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_ = std::move(larger);
    head_ = 0;
  }

  std::vector<std::uint32_t> ring_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

}  // namespace velo::streaming
