// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of the error codes of events.

#include <velo/events/error.hpp>

#include <string_view>
#include <utility>

namespace velo::events {
namespace error_detail {

static std::string_view event_error_name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::poisoned: return "poisoned";
    case Errc::owner_lost: return "owner_lost";
    case Errc::unknown_event: return "unknown_event";
    case Errc::already_completed: return "already_completed";
    case Errc::forgotten: return "forgotten";
    case Errc::capability_needed: return "capability_needed";
    case Errc::foreign_event: return "foreign_event";
    case Errc::too_many_events: return "too_many_events";
    case Errc::too_many_awaits: return "too_many_awaits";
    case Errc::too_many_subscribers: return "too_many_subscribers";
  }
  return {};
}

[[maybe_unused]] static const bool event_errors_registered =
    (register_error_names(Room::events, &event_error_name), true);

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::events, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  const bool later = value == Errc::too_many_events || value == Errc::too_many_awaits ||
                     value == Errc::too_many_subscribers;
  return {error_code(value), later ? Retry::later : Retry::never, std::move(context)};
}

}  // namespace velo::events
