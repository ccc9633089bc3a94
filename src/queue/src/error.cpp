// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of the queue's error codes.

#include <velo/queue/error.hpp>

namespace velo::queue {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::full: return "full";
    case Errc::closed: return "closed";
    case Errc::lease_lost: return "lease_lost";
    case Errc::too_large: return "too_large";
    case Errc::unknown: return "unknown";
  }
  return {};
}

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  static const bool registered = (register_error_names(Room::queue, &error_detail::name), true);
  static_cast<void>(registered);
  return {Room::queue, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  const Retry retry = value == Errc::full ? Retry::later : Retry::never;
  return {error_code(value), retry, std::move(context)};
}

}  // namespace velo::queue
