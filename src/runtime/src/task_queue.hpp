// SPDX-License-Identifier: Apache-2.0
// A first-in first-out ring of tasks that allocates only when it grows. Unbounded: a task is posted
// by work that was admitted under a limit of its own room, so the ring cannot refuse it.
// Threading: none; its owner locks.
#pragma once

#include <velo/base/executor.hpp>

#include <cstddef>
#include <vector>

namespace velo::runtime {

class TaskQueue {
 public:
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }

  void push(Task0 task) {
    if (size() == ring_.size()) grow();
    ring_[tail_++ & (ring_.size() - 1)] = task;
  }
  /// Not empty.
  Task0 pop() noexcept { return ring_[head_++ & (ring_.size() - 1)]; }

 private:
  static constexpr std::size_t first_capacity = 64;

  void grow() {
    std::vector<Task0> larger(ring_.empty() ? first_capacity : ring_.size() * 2);
    const std::size_t count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_ = std::move(larger);
    head_ = 0;
    tail_ = count;
  }

  std::vector<Task0> ring_;  ///< its size is zero or a power of two
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace velo::runtime
