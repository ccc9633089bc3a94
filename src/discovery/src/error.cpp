// SPDX-License-Identifier: Apache-2.0
// Names and retry classes of discovery's error codes.

#include <velo/discovery/error.hpp>

namespace velo::discovery {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::malformed_entry: return "malformed_entry";
    case Errc::unknown_format: return "unknown_format";
    case Errc::foreign_entry: return "foreign_entry";
    case Errc::no_source: return "no_source";
  }
  return {};
}

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  static const bool registered = (register_error_names(Room::discovery, &error_detail::name), true);
  static_cast<void>(registered);
  return {Room::discovery, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  return {error_code(value), Retry::never, std::move(context)};
}

}  // namespace velo::discovery
