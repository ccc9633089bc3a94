// SPDX-License-Identifier: Apache-2.0
// Hexadecimal text.

#include <velo/codec/error.hpp>
#include <velo/codec/hex.hpp>

#include <cstdint>

namespace velo::codec {
namespace hex_detail {

static int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace hex_detail

std::string to_hex(ByteSpan data) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(data.size() * 2);
  for (const std::byte byte : data) {
    text += digits[std::to_integer<std::size_t>(byte) >> 4U];
    text += digits[std::to_integer<std::size_t>(byte) & 0xfU];
  }
  return text;
}

Result<std::vector<std::byte>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return make_error(Errc::malformed, "an odd number of hex digits");
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_detail::digit(text[i]);
    const int low = hex_detail::digit(text[i + 1]);
    if (high < 0 || low < 0) return make_error(Errc::malformed, "not hexadecimal");
    bytes.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return bytes;
}

}  // namespace velo::codec
