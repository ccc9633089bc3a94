// SPDX-License-Identifier: Apache-2.0
// How an answer whose type is unknown is shown: JSON decoded from MessagePack, or text, or
// hexadecimal. Not for large data: the whole answer becomes one string.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>

#include <cstdint>
#include <string>

namespace velo::cli {

struct ReplyText {
  enum class Kind : std::uint8_t { empty, json, text, hex };
  Kind kind = Kind::empty;
  std::string content;
};

/// Some bytes are both a text and a MessagePack value ("a" is 97): `typed` says that the call was
/// one of JSON, whose answer is most likely MessagePack; otherwise text wins.
ReplyText reply_text(ByteSpan reply, bool typed);

}  // namespace velo::cli
