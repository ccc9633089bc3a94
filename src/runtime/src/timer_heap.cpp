// SPDX-License-Identifier: Apache-2.0
// The 4-ary heap of timers.

#include "timer_heap.hpp"

#include <algorithm>

namespace velo::runtime {

TimerHeap::Id TimerHeap::add(TimePoint at, Task0 task, std::uint64_t tag) {
  if (free_slots_.empty()) {
    // So that take_out(), which cannot fail, never allocates.
    if (free_slots_.capacity() <= slots_.size()) free_slots_.reserve(slots_.size() * 2 + 16);
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  heap_.emplace_back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  slot.task = task;
  slot.tag = tag;
  sift_up(heap_.size() - 1, Node{at, next_order_++, index});
  return (std::uint64_t{slot.generation} << 32) | index;
}

std::optional<std::uint64_t> TimerHeap::cancel(Id id) noexcept {
  const auto index = static_cast<std::uint32_t>(id);
  if (index >= slots_.size()) return std::nullopt;
  const Slot& slot = slots_[index];
  if (slot.position == free_position || slot.generation != id >> 32) return std::nullopt;
  return take_out(slot.position).tag;
}

std::optional<TimerHeap::Due> TimerHeap::pop_due(TimePoint now) noexcept {
  if (heap_.empty() || heap_.front().at > now) return std::nullopt;
  const Slot& slot = take_out(0);
  return Due{slot.task, slot.tag};
}

void TimerHeap::place(std::size_t position, const Node& node) noexcept {
  heap_[position] = node;
  slots_[node.slot].position = static_cast<std::uint32_t>(position);
}

void TimerHeap::sift_up(std::size_t position, Node node) noexcept {
  while (position > 0) {
    const std::size_t parent = (position - 1) / 4;
    if (!before(node, heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, node);
}

void TimerHeap::sift_down(std::size_t position, Node node) noexcept {
  for (;;) {
    const std::size_t first = position * 4 + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + 4, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (before(heap_[child], heap_[least])) least = child;
    }
    if (!before(heap_[least], node)) break;
    place(position, heap_[least]);
    position = least;
  }
  place(position, node);
}

TimerHeap::Slot& TimerHeap::take_out(std::size_t position) noexcept {
  const std::uint32_t index = heap_[position].slot;
  const Node last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    if (position > 0 && before(last, heap_[(position - 1) / 4])) {
      sift_up(position, last);
    } else {
      sift_down(position, last);
    }
  }
  Slot& slot = slots_[index];
  slot.position = free_position;
  slot.generation = (slot.generation + 1) & 0x7fffffff;
  if (slot.generation == 0) slot.generation = 1;
  free_slots_.push_back(index);
  return slot;
}

}  // namespace velo::runtime
