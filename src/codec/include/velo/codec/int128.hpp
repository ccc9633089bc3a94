// SPDX-License-Identifier: Apache-2.0
// 128-bit integers, and their decimal text: ids of the public velo are u128, in JSON written as
// plain integers. Not an arithmetic type of ours: the compiler's.
// Threading: value types; functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace velo::codec {

__extension__ typedef unsigned __int128 U128;  // NOLINT(modernize-use-using)
__extension__ typedef __int128 I128;           // NOLINT(modernize-use-using)

constexpr U128 u128_from_halves(std::uint64_t high, std::uint64_t low) noexcept {
  return (static_cast<U128>(high) << 64) | low;
}
constexpr std::uint64_t high_half(U128 value) noexcept {
  return static_cast<std::uint64_t>(value >> 64);
}
constexpr std::uint64_t low_half(U128 value) noexcept { return static_cast<std::uint64_t>(value); }

/// An integer with its sign apart, as JSON writes it: from -2^127 to 2^128 - 1.
struct BigInteger {
  U128 magnitude = 0;
  bool negative = false;

  static constexpr U128 negative_magnitude_max = static_cast<U128>(1) << 127;
  friend constexpr bool operator==(const BigInteger&, const BigInteger&) = default;
};

/// Room for a sign and 39 digits.
using DecimalBuffer = char[40];

/// Writes the decimal text to the end of `buffer` and returns it.
std::string_view to_decimal(BigInteger value, DecimalBuffer& buffer) noexcept;

/// Reads `-?[0-9]+`. False: another form, or out of the range of BigInteger. "-0" is 0.
bool parse_decimal(std::string_view text, BigInteger& value) noexcept;

}  // namespace velo::codec
