// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of the messenger's error codes.

#include <velo/messenger/error.hpp>

#include <string_view>
#include <utility>

namespace velo::messenger {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::failed: return "failed";
    case Errc::unknown_handler: return "unknown_handler";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::cancelled: return "cancelled";
    case Errc::overloaded: return "overloaded";
    case Errc::shutting_down: return "shutting_down";
    case Errc::bad_request: return "bad_request";
    case Errc::handler_threw: return "handler_threw";
    case Errc::wrong_kind: return "wrong_kind";
    case Errc::too_large: return "too_large";
    case Errc::permission_denied: return "permission_denied";
    case Errc::malformed: return "malformed";
    case Errc::over_budget: return "over_budget";
    case Errc::not_authenticated: return "not_authenticated";
    case Errc::no_payload: return "no_payload";
    case Errc::not_sent: return "not_sent";
    case Errc::connection_lost: return "connection_lost";
    case Errc::unknown_peer: return "unknown_peer";
    case Errc::no_route: return "no_route";
    case Errc::needs_listener: return "needs_listener";
    case Errc::bad_reply: return "bad_reply";
    case Errc::too_many_calls: return "too_many_calls";
    case Errc::no_target: return "no_target";
    case Errc::headers_too_large: return "headers_too_large";
    case Errc::reserved_name: return "reserved_name";
    case Errc::duplicate_handler: return "duplicate_handler";
  }
  return {};
}

static Retry retry(Errc value) noexcept {
  switch (value) {
    case Errc::deadline_exceeded:
    case Errc::overloaded:
    case Errc::over_budget:
    case Errc::connection_lost:
    case Errc::unknown_peer:
    case Errc::too_many_calls: return Retry::later;
    case Errc::unknown_handler:
    case Errc::shutting_down:
    case Errc::not_sent:
    case Errc::no_route:
    case Errc::needs_listener: return Retry::elsewhere;
    default: return Retry::never;
  }
}

// A code that came over the wire has a name before this room makes an error of its own.
[[maybe_unused]] static const bool registered =
    (register_error_names(Room::messenger, &name), true);

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::messenger, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  return {error_code(value), error_detail::retry(value), std::move(context)};
}

}  // namespace velo::messenger
