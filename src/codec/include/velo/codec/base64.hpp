// SPDX-License-Identifier: Apache-2.0
// base64 (RFC 4648) in its two alphabets. One encoding per byte string: decoding refuses any other.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velo::codec {

enum class Base64 : std::uint8_t {
  standard,  ///< `+` and `/`, padded with `=`
  url,       ///< `-` and `_`, without padding
};

std::string to_base64(ByteSpan data, Base64 form = Base64::standard);
void append_base64(std::string& out, ByteSpan data, Base64 form = Base64::standard);

/// Errc::malformed for foreign characters, wrong padding, or unused bits that are not zero.
Result<std::vector<std::byte>> from_base64(std::string_view text, Base64 form = Base64::standard);

}  // namespace velo::codec
