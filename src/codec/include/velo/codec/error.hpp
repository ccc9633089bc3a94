// SPDX-License-Identifier: Apache-2.0
// What can be wrong with encoded input. Encoding itself never fails.
// Not the place for errors of a value's meaning: those belong to the room that decodes it.
// Threading: thread-safe.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::codec {

/// The numbers cross the wire: never renumber.
enum class Errc : std::uint16_t {
  malformed = 1,           ///< not MessagePack, JSON, base64, ... or it ends too early
  wrong_type = 2,          ///< another kind of value than the type needs
  missing_member = 3,      ///< a member that is neither optional nor defaulted is absent
  out_of_range = 4,        ///< a number or length that the type cannot hold
  too_deep = 5,            ///< arrays and maps nested beyond the limit
  trailing_bytes = 6,      ///< the value is complete, but more follows
  unknown_enumerator = 7,  ///< no such name in the enumeration or variant
  too_large = 8,           ///< a named limit on size or count is exceeded
};

constexpr ErrorCode error_code(Errc value) noexcept {
  return {Room::codec, static_cast<std::uint16_t>(value)};
}

/// Retry::never: the same bytes are as wrong the next time.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::codec
