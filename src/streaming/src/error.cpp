// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of the streaming room's error codes.

#include <velo/streaming/error.hpp>

#include <string_view>
#include <utility>

namespace velo::streaming {
namespace streaming_error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::anchor_not_found: return "anchor_not_found";
    case Errc::already_attached: return "already_attached";
    case Errc::max_senders_reached: return "max_senders_reached";
    case Errc::wrong_handle_kind: return "wrong_handle_kind";
    case Errc::no_transport: return "no_transport";
    case Errc::too_many_streams: return "too_many_streams";
    case Errc::sender_error: return "sender_error";
    case Errc::sender_dropped: return "sender_dropped";
    case Errc::transport_error: return "transport_error";
    case Errc::undecodable: return "undecodable";
    case Errc::nobody_attached: return "nobody_attached";
    case Errc::stream_over: return "stream_over";
    case Errc::busy: return "busy";
    case Errc::channel_closed: return "channel_closed";
    case Errc::too_large: return "too_large";
    case Errc::no_credit: return "no_credit";
  }
  return {};
}

static Retry retry(Errc value) noexcept {
  switch (value) {
    case Errc::already_attached:
    case Errc::max_senders_reached:
    case Errc::too_many_streams:
    case Errc::no_credit:
    case Errc::busy: return Retry::later;
    default: return Retry::never;
  }
}

// A code that came over the wire has a name before this room makes an error of its own.
[[maybe_unused]] static const bool registered =
    (register_error_names(Room::streaming, &name), true);

}  // namespace streaming_error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::streaming, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  return {error_code(value), streaming_error_detail::retry(value), std::move(context)};
}

}  // namespace velo::streaming
