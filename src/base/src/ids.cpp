// SPDX-License-Identifier: Apache-2.0
// Drawing, hashing, parsing and printing of instance and worker ids.

#include <velo/base/ids.hpp>

#include <velo/base/world.hpp>

#include <charconv>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace velo {
namespace ids_detail {

static int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static bool hyphen_before(std::size_t byte_index) noexcept {
  return byte_index == 4 || byte_index == 6 || byte_index == 8 || byte_index == 10;
}

}  // namespace ids_detail

Result<WorkerId> WorkerId::parse(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value == 0) {
    return make_error(Errc::invalid_argument,
                      "not a worker id: " + std::string(text.substr(0, 40)));
  }
  return WorkerId(value);
}

InstanceId InstanceId::random(Random& random) {
  for (;;) {
    std::array<std::uint8_t, 16> bytes;
    random.fill(std::as_writable_bytes(std::span(bytes)));
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
    const InstanceId id(bytes);
    if (id.worker_id().valid()) return id;
  }
}

WorkerId InstanceId::worker_id() const noexcept {
  return WorkerId(XXH3_64bits(bytes_.data(), bytes_.size()));
}

std::string InstanceId::to_string() const {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (ids_detail::hyphen_before(i)) text += '-';
    text += digits[bytes_[i] >> 4U];
    text += digits[bytes_[i] & 15U];
  }
  return text;
}

Result<InstanceId> InstanceId::parse(std::string_view text) {
  auto malformed = [&] {
    return make_error(Errc::invalid_argument,
                      "not an instance id (36-character UUID): " + std::string(text.substr(0, 40)));
  };
  if (text.size() != 36) return malformed();
  std::array<std::uint8_t, 16> bytes;
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (ids_detail::hyphen_before(i) && text[at++] != '-') return malformed();
    const int high = ids_detail::hex_digit(text[at]);
    const int low = ids_detail::hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return malformed();
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    at += 2;
  }
  return InstanceId(bytes);
}

void Random::fill(std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    const std::uint64_t draw = next();
    const std::size_t count = out.size() < sizeof draw ? out.size() : sizeof draw;
    std::memcpy(out.data(), &draw, count);
    out = out.subspan(count);
  }
}

}  // namespace velo
