// SPDX-License-Identifier: Apache-2.0
// The heap behind the simulation's event queue.

#include "event_queue.hpp"

#include <velo/base/check.hpp>

#include <algorithm>

namespace velo::sim::detail {

namespace event_queue_detail {
constexpr std::size_t arity = 4;
}

void EventQueue::push(Event& event, std::int64_t at, std::uint64_t order) {
  VELO_DCHECK(!event.scheduled());
  heap_.emplace_back();
  sift_up(heap_.size() - 1, Entry{at, order, &event});
}

Event& EventQueue::pop() noexcept {
  Event& event = *heap_.front().event;
  remove(event);
  return event;
}

void EventQueue::remove(Event& event) noexcept {
  VELO_DCHECK(event.scheduled());
  const std::size_t index = event.position_;
  event.position_ = Event::not_scheduled;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (index == heap_.size()) return;
  if (index != 0 && before(last, heap_[(index - 1) / event_queue_detail::arity])) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

void EventQueue::sift_up(std::size_t index, const Entry& entry) noexcept {
  while (index != 0) {
    const std::size_t parent = (index - 1) / event_queue_detail::arity;
    if (!before(entry, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void EventQueue::sift_down(std::size_t index, const Entry& entry) noexcept {
  for (;;) {
    const std::size_t first = index * event_queue_detail::arity + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + event_queue_detail::arity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (before(heap_[child], heap_[least])) least = child;
    }
    if (!before(heap_[least], entry)) break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, entry);
}

}  // namespace velo::sim::detail
