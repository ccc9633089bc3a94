// SPDX-License-Identifier: Apache-2.0
// UTF-8: how much of a text is valid, and the encoding of one code point.
// Threading: thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace velo::codec::utf8 {

/// The length of the longest prefix that is well-formed UTF-8 (no surrogates, no overlong forms).
std::size_t valid_prefix(std::string_view text) noexcept;

/// `code_point` is at most 0x10ffff and no surrogate.
void append(std::string& out, std::uint32_t code_point);

}  // namespace velo::codec::utf8
