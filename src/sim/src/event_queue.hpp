// SPDX-License-Identifier: Apache-2.0
// The queue of what is to happen, ordered by virtual time and then by a seeded tie-break; a 4-ary
// heap of intrusive events, so that scheduling and cancelling allocate nothing and leave no dead
// entries.
// Threading: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace velo::sim::detail {

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  virtual void fire() = 0;
  bool scheduled() const noexcept { return position_ != not_scheduled; }

 protected:
  ~Event() = default;

 private:
  friend class EventQueue;
  static constexpr std::uint32_t not_scheduled = UINT32_MAX;
  std::uint32_t position_ = not_scheduled;
};

class EventQueue {
 public:
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }
  std::int64_t next_at() const noexcept { return heap_.front().at; }

  /// `order` decides between events of one instant; no two are equal.
  void push(Event& event, std::int64_t at, std::uint64_t order);
  void remove(Event& event) noexcept;
  Event& pop() noexcept;

 private:
  struct Entry {
    std::int64_t at;
    std::uint64_t order;
    Event* event;
  };
  static bool before(const Entry& a, const Entry& b) noexcept {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }
  void place(std::size_t index, const Entry& entry) noexcept {
    heap_[index] = entry;
    entry.event->position_ = static_cast<std::uint32_t>(index);
  }
  void sift_up(std::size_t index, const Entry& entry) noexcept;
  void sift_down(std::size_t index, const Entry& entry) noexcept;

  std::vector<Entry> heap_;
};

}  // namespace velo::sim::detail
