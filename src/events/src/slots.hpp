// SPDX-License-Identifier: Apache-2.0
// The events that one process owns: slots that are used again and again, each time as another
// generation, and the reasons of those that ended badly. Core: it knows nothing of who waits.
// Threading: guarded by the owner.
#pragma once

#include "node.hpp"

#include <velo/events/event.hpp>
#include <velo/events/event_manager.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

namespace velo::events {

struct Slot {
  std::uint32_t generation = 0;  ///< of the event that is pending, or else of the last one
  std::uint32_t forgotten = 0;   ///< the newest generation whose reason is no longer remembered
  std::uint32_t index = 0;       ///< with the local flag
  bool pending = false;
  bool guarded = false;
  bool merged = false;  ///< completes by itself
  bool noted = false;
  bool watched = false;  ///< somebody elsewhere has subscribed
  Chain waiting;
};

class Slots {
 public:
  /// Generations start at `first_generation`, which is not 0.
  Slots(WorkerId system, std::uint32_t first_generation, std::size_t events_max) noexcept
      : system_(system), first_(first_generation), events_max_(events_max) {}

  Result<EventHandle> create(bool local_only);

  /// The slot of an event that is pending, null of any other.
  Slot* pending(const EventHandle& handle) noexcept;
  /// How one that is not pending ended; Errc::unknown_event and Errc::forgotten are outcomes, too.
  Outcome ended(const EventHandle& handle) const;

  /// The event of a pending slot is over. What waits on it is left to the caller.
  void complete(Slot& slot, const Outcome& outcome);

  /// The handle of a pending slot's event.
  EventHandle handle_of(const Slot& slot) const noexcept {
    return {system_, slot.index, slot.generation};
  }
  WorkerId system() const noexcept { return system_; }
  std::size_t pending_count() const noexcept { return pending_count_; }
  void add_to(EventCounts& counts) const noexcept {
    counts.created += completed_ + pending_count_;
    counts.triggered += completed_ - poisoned_;
    counts.poisoned += poisoned_;
  }
  std::size_t slot_count() const noexcept { return slots_.size(); }
  template <class F>
  void for_each_pending(F visit) {
    for (Slot& slot : slots_) {
      if (slot.pending) visit(slot);
    }
  }

  std::unordered_map<std::uint32_t, EventCapability>& capabilities() noexcept {
    return capabilities_;
  }
  std::unordered_map<std::uint32_t, EventNote>& notes() noexcept { return notes_; }

 private:
  void remember(const Slot& slot, Reason reason);

  const WorkerId system_;
  const std::uint32_t first_;
  const std::size_t events_max_;
  std::deque<Slot> slots_;           ///< they never move: chains are in them
  std::vector<std::uint32_t> free_;  ///< a ring: the slot that was free for longest is next
  std::size_t free_head_ = 0;
  std::size_t free_count_ = 0;
  std::size_t pending_count_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t poisoned_ = 0;
  std::unordered_map<std::uint64_t, Reason> reasons_;
  std::deque<std::uint64_t> reasons_by_age_;
  std::unordered_map<std::uint32_t, EventCapability> capabilities_;  ///< by slot
  std::unordered_map<std::uint32_t, EventNote> notes_;               ///< by slot
};

}  // namespace velo::events
