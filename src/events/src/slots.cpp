// SPDX-License-Identifier: Apache-2.0
// Slots, generations and the history of reasons.

#include "slots.hpp"

#include <velo/events/limits.hpp>

#include <algorithm>
#include <string>

namespace velo::events {
namespace slots_detail {

static std::uint64_t key(std::uint32_t slot, std::uint32_t generation) noexcept {
  return std::uint64_t{slot} << 32 | generation;
}

}  // namespace slots_detail

Result<EventHandle> Slots::create(bool local_only) {
  if (pending_count_ >= events_max_) {
    return make_error(Errc::too_many_events, std::to_string(events_max_) + " are pending");
  }
  std::uint32_t number = 0;
  if (free_count_ != 0) {
    number = free_[free_head_];
    free_head_ = free_head_ + 1 == free_.size() ? 0 : free_head_ + 1;
    --free_count_;
  } else {
    number = static_cast<std::uint32_t>(slots_.size());
    if (number >= EventHandle::local_bit) {
      return make_error(Errc::too_many_events, "every slot has had its last generation");
    }
    slots_.emplace_back().generation = first_ - 1;
    free_.push_back(0);  // room for every slot: completing one never has to find any
    free_head_ = 0;
  }
  Slot& slot = slots_[number];
  ++slot.generation;
  slot.index = number | (local_only ? EventHandle::local_bit : 0);
  slot.pending = true;
  ++pending_count_;
  return handle_of(slot);
}

Slot* Slots::pending(const EventHandle& handle) noexcept {
  if (handle.system() != system_ || handle.slot() >= slots_.size()) return nullptr;
  Slot& slot = slots_[handle.slot()];
  return slot.pending && slot.generation == handle.generation() && slot.index == handle.index()
             ? &slot
             : nullptr;
}

Outcome Slots::ended(const EventHandle& handle) const {
  if (handle.system() != system_) {
    return Outcome::failed(Errc::foreign_event, handle.to_string());
  }
  const bool made = handle.slot() < slots_.size() && handle.generation() >= first_ &&
                    handle.generation() <= slots_[handle.slot()].generation;
  if (!made || (slots_[handle.slot()].generation == handle.generation() &&
                slots_[handle.slot()].index != handle.index())) {
    return Outcome::failed(Errc::unknown_event, handle.to_string());
  }
  const auto found = reasons_.find(slots_detail::key(handle.slot(), handle.generation()));
  if (found != reasons_.end()) return Outcome::poisoned(found->second);
  // Every reason newer than that is remembered, so this one ended well.
  if (handle.generation() > slots_[handle.slot()].forgotten) return Outcome::ready();
  return Outcome::failed(Errc::forgotten, handle.to_string());
}

void Slots::complete(Slot& slot, const Outcome& outcome) {
  const std::uint32_t number = slot.index & ~EventHandle::local_bit;
  ++completed_;
  if (!outcome.is_ready()) {
    ++poisoned_;
    remember(slot, outcome.text);
  }
  if (slot.guarded) capabilities_.erase(number);
  if (slot.noted) notes_.erase(number);
  slot.pending = slot.guarded = slot.merged = slot.noted = slot.watched = false;
  --pending_count_;
  if (slot.generation == UINT32_MAX) return;  // its last one
  std::size_t tail = free_head_ + free_count_;
  if (tail >= free_.size()) tail -= free_.size();
  free_[tail] = number;
  ++free_count_;
}

void Slots::remember(const Slot& slot, Reason reason) {
  const std::uint64_t added =
      slots_detail::key(slot.index & ~EventHandle::local_bit, slot.generation);
  if (reasons_by_age_.size() >= limits::remembered_reasons_max) {
    const std::uint64_t oldest = reasons_by_age_.front();
    reasons_by_age_.pop_front();
    reasons_.erase(oldest);
    Slot& owner = slots_[oldest >> 32];
    owner.forgotten = std::max(owner.forgotten, static_cast<std::uint32_t>(oldest));
  }
  reasons_by_age_.push_back(added);
  reasons_.emplace(added, reason != nullptr ? std::move(reason) : make_reason(""));
}

}  // namespace velo::events
