// SPDX-License-Identifier: Apache-2.0
// The bodies of `_path`.

#include "path_message.hpp"

#include <velo/codec/msgpack.hpp>
#include <velo/messenger/error.hpp>

namespace velo::messenger {
namespace path_message_detail {

template <class T>
static Result<T> decode(ByteSpan bytes) {
  if (bytes.size() > path_message_bytes_max) return make_error(Errc::malformed, "_path: too large");
  Result<T> value = codec::from_msgpack<T>(bytes);
  if (!value) return make_error(Errc::malformed, "_path: " + value.error().context());
  return value;
}

}  // namespace path_message_detail

Bytes encode(const PathMessage& message) { return codec::to_msgpack(message); }
Bytes encode(const PathAnswer& answer) { return codec::to_msgpack(answer); }

Result<PathMessage> decode_path_message(ByteSpan bytes) {
  auto message = path_message_detail::decode<PathMessage>(bytes);
  if (!message) return message;
  if (!message->token.empty() && message->token.size() != path_token_bytes) {
    return make_error(Errc::malformed, "_path: a token has 16 bytes");
  }
  if (message->ids.size() % 16 != 0) return make_error(Errc::malformed, "_path: ids of 16 bytes");
  if (!message->lanes.empty() && message->lanes.size() != message->ids.size() / 16) {
    return make_error(Errc::malformed, "_path: a lane for each id");
  }
  return message;
}

Result<PathAnswer> decode_path_answer(ByteSpan bytes) {
  return path_message_detail::decode<PathAnswer>(bytes);
}

}  // namespace velo::messenger
