// SPDX-License-Identifier: Apache-2.0
// Handles as text.

#include <velo/streaming/handle.hpp>

#include <charconv>

namespace velo {
namespace handle_detail {

static void append_hex(std::string& out, std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out += digits[(value >> shift) & 15U];
}

static bool read_hex(std::string_view text, std::uint64_t& value) {
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return failure == std::errc() && stop == text.data() + text.size();
}

}  // namespace handle_detail

std::string StreamAnchorHandle::to_string() const {
  std::string text;
  text.reserve(32);
  handle_detail::append_hex(text, hi);
  handle_detail::append_hex(text, lo);
  return text;
}

Result<StreamAnchorHandle> StreamAnchorHandle::parse(std::string_view text) {
  StreamAnchorHandle handle;
  if (text.size() != 32 || !handle_detail::read_hex(text.substr(0, 16), handle.hi) ||
      !handle_detail::read_hex(text.substr(16), handle.lo) || !handle.valid()) {
    return make_error(Errc::invalid_argument, "not a stream anchor's handle");
  }
  return handle;
}

}  // namespace velo
