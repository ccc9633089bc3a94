// SPDX-License-Identifier: Apache-2.0
// base64 in both alphabets.

#include <velo/codec/base64.hpp>
#include <velo/codec/error.hpp>

#include <array>

namespace velo::codec {
namespace base64_detail {

constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t foreign = 0xff;

consteval std::array<std::uint8_t, 256> invert(std::string_view alphabet) {
  std::array<std::uint8_t, 256> values{};
  values.fill(foreign);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr std::array<std::uint8_t, 256> standard_values = invert(standard_alphabet);
constexpr std::array<std::uint8_t, 256> url_values = invert(url_alphabet);

}  // namespace base64_detail

void append_base64(std::string& out, ByteSpan data, Base64 form) {
  const std::string_view alphabet =
      form == Base64::url ? base64_detail::url_alphabet : base64_detail::standard_alphabet;
  out.reserve(out.size() + (data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::size_t count = data.size() - i < 3 ? data.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < count ? std::to_integer<std::uint32_t>(data[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      if (j <= count) {
        out += alphabet[(group >> (18 - 6 * j)) & 0x3fU];
      } else if (form == Base64::standard) {
        out += '=';
      }
    }
  }
}

std::string to_base64(ByteSpan data, Base64 form) {
  std::string out;
  append_base64(out, data, form);
  return out;
}

Result<std::vector<std::byte>> from_base64(std::string_view text, Base64 form) {
  const auto wrong = [] { return make_error(Errc::malformed, "not base64"); };
  if (form == Base64::standard) {
    if (text.size() % 4 != 0) return wrong();
    if (text.ends_with('=')) text.remove_suffix(text[text.size() - 2] == '=' ? 2 : 1);
  }
  if (text.size() % 4 == 1) return wrong();
  const auto& values =
      form == Base64::url ? base64_detail::url_values : base64_detail::standard_values;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<std::uint8_t>(c)];
    if (value == base64_detail::foreign) return wrong();
    bits = (bits << 6U) | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::byte>(bits >> count));
      bits &= (1U << count) - 1;
    }
  }
  if (bits != 0) return wrong();
  return bytes;
}

}  // namespace velo::codec
