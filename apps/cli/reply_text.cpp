// SPDX-License-Identifier: Apache-2.0
// Tells text, JSON, MessagePack and other bytes apart.

#include "reply_text.hpp"

#include <velo/codec/hex.hpp>
#include <velo/codec/json_value.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace velo::cli {

namespace reply_text_detail {

/// The length of the well-formed UTF-8 sequence at the start of `rest`; 0 if there is none.
static std::size_t sequence(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || rest.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool beyond = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || beyond ? 0 : size;
}

/// UTF-8 without control characters other than white space: what a terminal shows as it is.
static bool printable(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    if (first == 0x7f || (first < 0x20 && first != '\n' && first != '\t' && first != '\r')) {
      return false;
    }
    const std::size_t size = sequence(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

static std::optional<ReplyText> as_json(ByteSpan reply) {
  auto json = codec::msgpack_to_json(reply);
  if (!json) return std::nullopt;
  return ReplyText{ReplyText::Kind::json, std::move(*json)};
}

static std::optional<ReplyText> as_printable(ByteSpan reply) {
  const std::string_view text = as_text(reply);
  if (!printable(text)) return std::nullopt;
  // A peer of the public velo answers typed calls in JSON; only structures count, since "12" is as
  // well a text.
  if (text.starts_with('{') || text.starts_with('[')) {
    auto value = codec::JsonValue::parse(text);
    if (value) return ReplyText{ReplyText::Kind::json, value->dump()};
  }
  return ReplyText{ReplyText::Kind::text, std::string(text)};
}

}  // namespace reply_text_detail

ReplyText reply_text(ByteSpan reply, bool typed) {
  if (reply.empty()) return {};
  auto found = typed ? reply_text_detail::as_json(reply) : reply_text_detail::as_printable(reply);
  if (!found) {
    found = typed ? reply_text_detail::as_printable(reply) : reply_text_detail::as_json(reply);
  }
  if (found) return std::move(*found);
  return {ReplyText::Kind::hex, codec::to_hex(reply)};
}

}  // namespace velo::cli
