// SPDX-License-Identifier: Apache-2.0
// How an event, or an operation on one, can end other than well.
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::events {

/// Never renumber: these cross the wire.
enum class Errc : std::uint16_t {
  poisoned = 1,           ///< the event ended badly; the context is the reason that it was given
  owner_lost = 2,         ///< poisoned here: its owner is gone, or out of reach for too long
  unknown_event = 3,      ///< its owner never made an event of this handle
  already_completed = 4,  ///< it was triggered or poisoned before
  forgotten = 5,          ///< completed so long ago that nobody knows any more whether well
  capability_needed = 6,  ///< only who has its capability may trigger or poison it
  foreign_event = 7,      ///< another process's event that cannot be reached from here
  too_many_events = 8,    ///< limits::events_max
  too_many_awaits = 9,    ///< limits::remote_awaits_max, here
  too_many_subscribers = 10,  ///< limits::subscribers_per_event_max or subscriptions_max, there
};

ErrorCode error_code(Errc value) noexcept;
/// With the retry class that the code usually has.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::events
