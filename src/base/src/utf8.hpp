// SPDX-License-Identifier: Apache-2.0
// Finds the well-formed UTF-8 sequences of a text that others supplied. Not a decoder.
// Threading: pure functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace velo::utf8 {

/// The length of the well-formed sequence that `text`, which is not empty, starts with; 0 if there
/// is none.
inline std::size_t sequence_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  std::size_t count = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    count = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    count = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    count = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  }
  if (count == 0 || text.size() < count || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < count; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return count;
}

inline bool well_formed(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t count = sequence_bytes(text);
    if (count == 0) return false;
    text.remove_prefix(count);
  }
  return true;
}

}  // namespace velo::utf8
