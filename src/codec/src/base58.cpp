// SPDX-License-Identifier: Apache-2.0
// base58 by repeated division, little-endian digits in between.

#include <velo/codec/base58.hpp>
#include <velo/codec/error.hpp>

#include <algorithm>
#include <cstdint>

namespace velo::codec {
namespace base58_detail {

constexpr std::string_view alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// number = number * factor + digit, in the given base.
static void multiply_add(std::vector<std::uint8_t>& number, std::uint32_t base,
                         std::uint32_t factor, std::uint32_t digit) {
  std::uint32_t carry = digit;
  for (std::uint8_t& place : number) {
    carry += place * factor;
    place = static_cast<std::uint8_t>(carry % base);
    carry /= base;
  }
  for (; carry != 0; carry /= base) number.push_back(static_cast<std::uint8_t>(carry % base));
}

}  // namespace base58_detail

std::string to_base58(ByteSpan data) {
  std::vector<std::uint8_t> digits;
  for (const std::byte byte : data) {
    base58_detail::multiply_add(digits, 58, 256, std::to_integer<std::uint32_t>(byte));
  }
  // Each leading zero byte is a leading first letter.
  const auto zeros =
      std::find_if(data.begin(), data.end(), [](std::byte b) { return b != std::byte{0}; });
  std::string text(static_cast<std::size_t>(zeros - data.begin()), base58_detail::alphabet[0]);
  std::for_each(digits.rbegin(), digits.rend(),
                [&text](std::uint8_t digit) { text += base58_detail::alphabet[digit]; });
  return text;
}

Result<std::vector<std::byte>> from_base58(std::string_view text) {
  if (text.size() > base58_text_max) {
    return make_error(Errc::too_large, "more than 1024 characters of base58");
  }
  std::vector<std::uint8_t> number;
  for (const char c : text) {
    const std::size_t digit = base58_detail::alphabet.find(c);
    if (digit == std::string_view::npos) return make_error(Errc::malformed, "not base58");
    base58_detail::multiply_add(number, 256, 58, static_cast<std::uint32_t>(digit));
  }
  const std::size_t zeros =
      std::min(text.find_first_not_of(base58_detail::alphabet[0]), text.size());
  std::vector<std::byte> bytes(zeros);
  std::for_each(number.rbegin(), number.rend(),
                [&bytes](std::uint8_t byte) { bytes.push_back(static_cast<std::byte>(byte)); });
  return bytes;
}

}  // namespace velo::codec
