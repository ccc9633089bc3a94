// SPDX-License-Identifier: Apache-2.0
// How the awaiters of the scenario "events" may end.

#include "event_records.hpp"

#include <velo/events/limits.hpp>

#include <algorithm>
#include <chrono>

namespace velo::scenarios {
namespace event_records_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// How long after a fault two machines may need to find each other again: what was asked during it
/// is given up, and the next try waits for its turn.
constexpr Duration echo = 6s;
/// How long before a fault what it cut off may have been asked: silence is counted from there.
constexpr Duration flight = 1s;

static bool is(std::uint32_t named, std::size_t place) noexcept {
  return named == sim::any_node || named == place;
}

/// Whether it keeps the two from hearing each other.
static bool cuts(const sim::Fault& fault, std::size_t a, std::size_t b) noexcept {
  switch (fault.kind) {
    case sim::FaultKind::split: return (a < fault.a) != (b < fault.a);
    case sim::FaultKind::pause:
    case sim::FaultKind::reset_one: return is(fault.a, a) || is(fault.a, b);
    case sim::FaultKind::reset:
    case sim::FaultKind::partition:
    case sim::FaultKind::partition_one_way:
      return (is(fault.a, a) && is(fault.b, b)) || (is(fault.a, b) && is(fault.b, a));
    default: return false;  // crashes end their owner
  }
}

}  // namespace event_records_detail

std::string EventJudge::judge(const EventRecord& record, std::size_t place,
                              const Result<void>& ended, TimePoint now) const {
  const std::string name = record.handle.to_string();
  if (ended) return may_be_ready(record) ? "" : name + " is ready, but was never triggered";
  const auto poison = EventPoison::of(ended.error());
  if (!poison) return "an awaiter of " + name + " ended as " + ended.error().to_string();
  if (poison->owner_lost) {
    return may_be_lost(record, place, now) ? "" : name + " lost an owner within reach";
  }
  if (may_be_poisoned_with(record, poison->reason, now)) return "";
  return name + " was not poisoned with \"" + poison->reason + "\"";
}

bool EventJudge::may_be_ready(const EventRecord& record) const {
  if (record.inputs.empty()) return record.attempted && record.well();
  const auto ready = [&](std::size_t input) { return may_be_ready(records_[input]); };
  return record.any ? std::ranges::any_of(record.inputs, ready)
                    : std::ranges::all_of(record.inputs, ready);
}

bool EventJudge::may_be_poisoned(const EventRecord& record, TimePoint now) const {
  if (record.inputs.empty()) return record.attempted && !record.well();
  const auto failed = [&](std::size_t input) {
    return may_be_poisoned(records_[input], now) ||
           may_have_been_lost(records_[input], record.owner_place, now);
  };
  return record.any ? std::ranges::all_of(record.inputs, failed)
                    : std::ranges::any_of(record.inputs, failed);
}

bool EventJudge::may_have_said(const EventRecord& record, std::string_view reason,
                               TimePoint now) const {
  if (record.inputs.empty()) return record.attempted && !record.well() && reason == record.reason;
  return std::ranges::any_of(record.inputs, [&](std::size_t place) {
    const EventRecord& input = records_[place];
    if (may_have_said(input, reason, now)) return true;
    return reason.starts_with(input.handle.to_string() + ": events.owner_lost: ") &&
           may_have_been_lost(input, record.owner_place, now);
  });
}

bool EventJudge::may_be_poisoned_with(const EventRecord& record, std::string_view reason,
                                      TimePoint now) const {
  if (!may_be_poisoned(record, now)) return false;
  if (record.inputs.empty()) return reason == record.reason;
  // Merged events are made of merged events: each part comes from one that is none. The last part
  // of a long reason may be cut off.
  const bool whole = reason.size() < events::limits::reason_bytes_max;
  do {
    const std::size_t end = reason.find("; ");
    if (end == std::string_view::npos && !whole) return true;
    if (!may_have_said(record, reason.substr(0, end), now)) return false;
    reason.remove_prefix(end == std::string_view::npos ? reason.size() : end + 2);
  } while (!reason.empty());
  return true;
}

bool EventJudge::may_be_lost(const EventRecord& record, std::size_t place, TimePoint now) const {
  return record.owner.expired() || was_cut_off(record.owner_place, place, now);
}

bool EventJudge::may_have_been_lost(const EventRecord& record, std::size_t place,
                                    TimePoint now) const {
  if (may_be_lost(record, place, now)) return true;
  return std::ranges::any_of(plan_, [&](const sim::Fault& fault) {
    const TimePoint end(fault.at + fault.duration + event_records_detail::echo);
    return end < now && was_cut_off(record.owner_place, place, end);
  });
}

bool EventJudge::was_cut_off(std::size_t a, std::size_t b, TimePoint until) const {
  // Backwards from fault to fault, as long as they overlap.
  constexpr Duration cut = events::limits::owner_patience - event_records_detail::flight;
  for (TimePoint reached = until; until - reached < cut;) {
    TimePoint earlier = reached;
    for (const sim::Fault& fault : plan_) {
      const TimePoint end(fault.at + fault.duration + event_records_detail::echo);
      if (end >= reached && event_records_detail::cuts(fault, a, b)) {
        earlier = std::min(earlier, TimePoint(fault.at));
      }
    }
    if (earlier >= reached) return false;
    reached = earlier;
  }
  return true;
}

}  // namespace velo::scenarios
