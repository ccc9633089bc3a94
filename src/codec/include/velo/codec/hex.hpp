// SPDX-License-Identifier: Apache-2.0
// Hexadecimal text of bytes, for keys in files, logs and tests.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace velo::codec {

/// Lower case.
std::string to_hex(ByteSpan data);

/// Either case; Errc::malformed for an odd length or a foreign character.
Result<std::vector<std::byte>> from_hex(std::string_view text);

}  // namespace velo::codec
