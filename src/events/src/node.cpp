// SPDX-License-Identifier: Apache-2.0
// Outcomes as results, and reasons of bounded length.

#include "node.hpp"

#include <velo/events/limits.hpp>

namespace velo::events {

Result<void> Outcome::result() const {
  if (!code) return {};
  std::string context(reason());
  if (code->room == Room::events) {
    return make_error(static_cast<Errc>(code->value), std::move(context));
  }
  if (code->room == Room::base) {
    return velo::make_error(static_cast<velo::Errc>(code->value), std::move(context));
  }
  return Error(*code, Retry::later, std::move(context));
}

Reason make_reason(std::string_view text) {
  if (text.size() > limits::reason_bytes_max) {
    std::size_t end = limits::reason_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  return std::make_shared<const std::string>(text);
}

}  // namespace velo::events
