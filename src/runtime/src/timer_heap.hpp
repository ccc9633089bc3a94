// SPDX-License-Identifier: Apache-2.0
// Timers in order of their instant, then of their start: a 4-ary heap over slots, so that a timer
// can be cancelled by id in O(log n). A core: knows no clock.
// Threading: none; belongs to one shard.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace velo::runtime {

class TimerHeap {
 public:
  /// Never zero, and below 2^63; an id is not used again before 2^31 timers went through its slot.
  using Id = std::uint64_t;
  struct Due {
    Task0 task;
    std::uint64_t tag;
  };

  /// `tag` is given back with the task, or by cancel().
  Id add(TimePoint at, Task0 task, std::uint64_t tag = 0);
  /// The tag, if the timer was still waiting.
  std::optional<std::uint64_t> cancel(Id id) noexcept;
  /// The next timer at or before `now`, taken out.
  std::optional<Due> pop_due(TimePoint now) noexcept;
  /// never() when there is none.
  TimePoint earliest() const noexcept {
    return heap_.empty() ? TimePoint::never() : heap_.front().at;
  }
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  struct Node {
    TimePoint at;
    std::uint64_t order = 0;
    std::uint32_t slot = 0;
  };
  struct Slot {
    Task0 task;
    std::uint64_t tag = 0;
    std::uint32_t generation = 1;
    std::uint32_t position = free_position;  ///< in the heap
  };
  static constexpr std::uint32_t free_position = UINT32_MAX;

  static bool before(const Node& a, const Node& b) noexcept {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }
  void place(std::size_t position, const Node& node) noexcept;
  void sift_up(std::size_t position, Node node) noexcept;
  void sift_down(std::size_t position, Node node) noexcept;
  Slot& take_out(std::size_t position) noexcept;

  std::vector<Node> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_order_ = 0;
};

}  // namespace velo::runtime
