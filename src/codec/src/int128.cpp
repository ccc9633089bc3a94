// SPDX-License-Identifier: Apache-2.0
// Decimal text of 128-bit integers.

#include <velo/codec/int128.hpp>

namespace velo::codec {

std::string_view to_decimal(BigInteger value, DecimalBuffer& buffer) noexcept {
  char* const end = buffer + sizeof buffer;
  char* at = end;
  U128 rest = value.magnitude;
  // One division of 128 bits per 19 digits, the others of 64.
  constexpr std::uint64_t chunk = 10'000'000'000'000'000'000U;
  while (rest > UINT64_MAX) {
    auto low = static_cast<std::uint64_t>(rest % chunk);
    rest /= chunk;
    for (int i = 0; i < 19; ++i, low /= 10) *--at = static_cast<char>('0' + low % 10);
  }
  auto low = static_cast<std::uint64_t>(rest);
  do {
    *--at = static_cast<char>('0' + low % 10);
    low /= 10;
  } while (low != 0);
  if (value.negative && value.magnitude != 0) *--at = '-';
  return {at, static_cast<std::size_t>(end - at)};
}

bool parse_decimal(std::string_view text, BigInteger& value) noexcept {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty()) return false;
  const U128 max = negative ? BigInteger::negative_magnitude_max : ~U128{0};
  U128 magnitude = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<unsigned>(c - '0');
    if (magnitude > (max - digit) / 10) return false;
    magnitude = magnitude * 10 + digit;
  }
  value = {magnitude, negative && magnitude != 0};
  return true;
}

}  // namespace velo::codec
