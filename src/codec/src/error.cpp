// SPDX-License-Identifier: Apache-2.0
// Names of this room's error codes.

#include <velo/codec/error.hpp>

namespace velo::codec {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::malformed: return "malformed";
    case Errc::wrong_type: return "wrong_type";
    case Errc::missing_member: return "missing_member";
    case Errc::out_of_range: return "out_of_range";
    case Errc::too_deep: return "too_deep";
    case Errc::trailing_bytes: return "trailing_bytes";
    case Errc::unknown_enumerator: return "unknown_enumerator";
    case Errc::too_large: return "too_large";
  }
  return {};
}

}  // namespace error_detail

Error make_error(Errc value, std::string context) {
  register_error_names(Room::codec, &error_detail::name);
  return {error_code(value), Retry::never, std::move(context)};
}

}  // namespace velo::codec
