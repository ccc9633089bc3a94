// SPDX-License-Identifier: Apache-2.0
// UTF-8 by the table of RFC 3629.

#include "utf8.hpp"

#include <cstring>

namespace velo::codec::utf8 {
namespace utf8_detail {

/// The length of the well-formed sequence at the start of `text`, whose first byte is not ASCII; 0
/// if there is none.
static std::size_t sequence_length(std::string_view text) noexcept {
  const auto at = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0U;
  };
  const auto continues = [&at](std::size_t i) { return (at(i) & 0xc0U) == 0x80; };
  const unsigned first = at(0);
  const unsigned second = at(1);
  if (first < 0xc2 || first > 0xf4 || !continues(1)) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second >= 0xa0;
    return !overlong && !surrogate && continues(2) ? 3 : 0;
  }
  const bool overlong = first == 0xf0 && second < 0x90;
  const bool beyond = first == 0xf4 && second >= 0x90;
  return !overlong && !beyond && continues(2) && continues(3) ? 4 : 0;
}

}  // namespace utf8_detail

std::size_t valid_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    if (text.size() - i >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        i += 8;
        continue;
      }
    }
    if (static_cast<std::uint8_t>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = utf8_detail::sequence_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return i;
}

void append(std::string& out, std::uint32_t code_point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](unsigned shift) { put(0x80U | ((code_point >> shift) & 0x3fU)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0U | (code_point >> 6U));
    tail(0);
  } else if (code_point < 0x10000) {
    put(0xe0U | (code_point >> 12U));
    tail(6);
    tail(0);
  } else {
    put(0xf0U | (code_point >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace velo::codec::utf8
