// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of the transport's error codes.

#include <velo/transport/transport.hpp>

namespace velo::transport {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::connection_lost: return "connection_lost";
    case Errc::connect_failed: return "connect_failed";
    case Errc::malformed_frame: return "malformed_frame";
    case Errc::frame_too_large: return "frame_too_large";
    case Errc::invalid_address: return "invalid_address";
    case Errc::no_endpoint: return "no_endpoint";
    case Errc::queue_full: return "queue_full";
    case Errc::peer_too_slow: return "peer_too_slow";
    case Errc::not_started: return "not_started";
    case Errc::closed_locally: return "closed_locally";
    case Errc::handshake_failed: return "handshake_failed";
    case Errc::not_authenticated: return "not_authenticated";
    case Errc::too_many_handshakes: return "too_many_handshakes";
    case Errc::no_room: return "no_room";
  }
  return {};
}

static Retry retry(Errc value) noexcept {
  switch (value) {
    case Errc::connection_lost:
    case Errc::connect_failed:
    case Errc::no_endpoint:
    case Errc::peer_too_slow:
    case Errc::handshake_failed:
    case Errc::not_authenticated:
    case Errc::no_room:
    case Errc::closed_locally: return Retry::elsewhere;
    case Errc::too_many_handshakes:
    case Errc::queue_full: return Retry::later;
    case Errc::malformed_frame:
    case Errc::frame_too_large:
    case Errc::invalid_address:
    case Errc::not_started: break;
  }
  return Retry::never;
}

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::transport, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  static const bool registered = [] {
    register_error_names(Room::transport, &error_detail::name);
    return true;
  }();
  static_cast<void>(registered);
  return {error_code(value), error_detail::retry(value), std::move(context)};
}

}  // namespace velo::transport
