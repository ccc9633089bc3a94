// SPDX-License-Identifier: Apache-2.0
// What peers say beside their data.

#include "messages.hpp"

#include <algorithm>

namespace velo::transport::tls {
namespace messages_detail {

constexpr auto new_session_ticket = std::byte{4};
constexpr auto key_update = std::byte{24};

}  // namespace messages_detail

/// Its header is whole.
MessageReader::Found MessageReader::begin() noexcept {
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(header_[i]); };
  missing_ = at(1) << 16 | at(2) << 8 | at(3);
  if (header_[0] == messages_detail::key_update) {
    return missing_ == 1 ? Found::nothing : Found::malformed;
  }
  if (header_[0] != messages_detail::new_session_ticket) return Found::unexpected;
  return missing_ == 0 || missing_ > session_ticket_bytes_max ? Found::malformed : Found::nothing;
}

MessageReader::Found MessageReader::take(ByteSpan content) noexcept {
  // A record that carries no part of a message is forbidden, padded or not (5.1).
  if (content.empty()) return Found::unexpected;
  while (!content.empty()) {
    if (header_bytes_ < header_bytes) {
      header_[header_bytes_++] = content[0];
      content = content.subspan(1);
      if (header_bytes_ < header_bytes) continue;
      if (const Found wrong = begin(); wrong != Found::nothing) return wrong;
      continue;
    }
    const std::size_t taken = std::min(missing_, content.size());
    const std::byte last = content[taken - 1];
    missing_ -= taken;
    content = content.subspan(taken);
    if (missing_ != 0) continue;
    header_bytes_ = 0;
    if (header_[0] != messages_detail::key_update) continue;
    // No message spans two keys, so none begins in this record behind it.
    if (!content.empty()) return Found::unexpected;
    if (last > std::byte{1}) return Found::bad_value;
    return last == std::byte{1} ? Found::key_update_asks : Found::key_update;
  }
  return Found::nothing;
}

}  // namespace velo::transport::tls
