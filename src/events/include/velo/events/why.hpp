// SPDX-License-Identifier: Apache-2.0
// Why an event has not happened: who owns it, who awaits it where, what it waits for itself, and
// whether that goes round in a circle. For people (`velo why`), not for programs to decide by.
// Threading: value types.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/events/event.hpp>
#include <velo/events/handle.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace velo {

/// What one machine knows of an event; lists are cut off at events::limits::why_listed_max.
struct EventReport {
  EventHandle event;
  WorkerId told_by;
  /// "pending", "ready", "poisoned", "awaited" (by a machine that does not own it), or the name of
  /// an error: "events.unknown_event", and if its owner did not answer, why.
  std::string status;
  std::string reason;          ///< of a poison, or of the error
  std::string kind;            ///< "event", "all of", "any of"; empty when not pending there
  std::string note;            ///< EventManager::annotate()
  std::uint64_t awaiters = 0;  ///< in that process
  std::uint64_t subscriber_count = 0;  ///< machines that await it
  std::vector<WorkerId> subscribers;
  std::uint64_t waits_for_count = 0;  ///< events that have to end first, as far as is known
  std::vector<EventHandle> waits_for;
  std::vector<EventHandle> needed_by;  ///< merged events of that process that wait for it

  EventReport() = default;
};

struct EventWhy {
  /// The event that was asked for first, then what it waits for, nearest first; each as its owner
  /// tells.
  std::vector<EventReport> events;
  /// The machines that await the first one, as they tell.
  std::vector<EventReport> awaited_by;
  /// Events that wait for each other in a circle, which nothing but a poison ends.
  std::vector<std::vector<EventHandle>> cycles;
  bool cut_off = false;  ///< there are more than events::limits::why_events_max

  EventWhy() = default;
};

}  // namespace velo
