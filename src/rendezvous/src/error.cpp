// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of this room's error codes.

#include <velo/rendezvous/error.hpp>

#include <string_view>
#include <utility>

namespace velo::rendezvous {
namespace rv_error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::unknown_handle: return "unknown_handle";
    case Errc::not_for_you: return "not_for_you";
    case Errc::lease_lapsed: return "lease_lapsed";
    case Errc::too_large: return "too_large";
    case Errc::store_full: return "store_full";
    case Errc::no_room: return "no_room";
    case Errc::source_failed: return "source_failed";
    case Errc::sink_failed: return "sink_failed";
    case Errc::bad_peer: return "bad_peer";
    case Errc::stalled: return "stalled";
  }
  return {};
}

static Retry retry(Errc value) noexcept {
  switch (value) {
    case Errc::store_full:
    case Errc::no_room:
    case Errc::stalled: return Retry::later;
    default: return Retry::never;
  }
}

// A code that came over the wire has a name before this room makes an error of its own.
[[maybe_unused]] static const bool registered =
    (register_error_names(Room::rendezvous, &name), true);

}  // namespace rv_error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::rendezvous, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  return {error_code(value), rv_error_detail::retry(value), std::move(context)};
}

}  // namespace velo::rendezvous
