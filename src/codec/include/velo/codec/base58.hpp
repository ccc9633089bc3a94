// SPDX-License-Identifier: Apache-2.0
// base58 with the Bitcoin alphabet, for ids that people read and copy.
// Not for bulk data: the cost is quadratic.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace velo::codec {

inline constexpr std::size_t base58_text_max = 1024;

std::string to_base58(ByteSpan data);

/// Errc::too_large for more than base58_text_max characters, Errc::malformed for a foreign
/// character.
Result<std::vector<std::byte>> from_base58(std::string_view text);

}  // namespace velo::codec
