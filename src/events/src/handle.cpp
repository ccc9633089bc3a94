// SPDX-License-Identifier: Apache-2.0
// The text of event handles.

#include <velo/events/handle.hpp>

#include <fmt/format.h>

#include <charconv>

namespace velo {
namespace handle_detail {

template <class T>
static bool hex(std::string_view text, T& value) noexcept {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

}  // namespace handle_detail

std::string EventHandle::to_string() const {
  return fmt::format("{:016x}-{:08x}-{:08x}", system_.value(), index_, generation_);
}

Result<EventHandle> EventHandle::parse(std::string_view text) {
  std::uint64_t system = 0;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  EventHandle handle;
  codec::BigInteger number;
  if (text.size() == 34 && text[16] == '-' && text[25] == '-' &&
      handle_detail::hex(text.substr(0, 16), system) &&
      handle_detail::hex(text.substr(17, 8), index) &&
      handle_detail::hex(text.substr(26), generation)) {
    handle = EventHandle(WorkerId(system), index, generation);
  } else if (codec::parse_decimal(text, number) && !number.negative) {
    handle = from_u128(number.magnitude);
  }
  if (handle.valid()) return handle;
  return make_error(Errc::invalid_argument,
                    "an event handle is 16-8-8 hexadecimal digits, or a decimal number");
}

}  // namespace velo
