// SPDX-License-Identifier: Apache-2.0
// Typed bodies: MessagePack between our own nodes, JSON towards a peer that does not announce
// otherwise.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/msgpack.hpp>

#include <string>

namespace velo::messenger {

/// The body of `T` in a typed call that carries nothing; JSON null in the public velo.
struct Nothing {
  friend bool operator==(Nothing, Nothing) noexcept = default;
};

template <class T>
Bytes encode_body(const T& value, bool json) {
  if constexpr (std::is_same_v<T, Nothing>) {
    return json ? Bytes::of_static("null") : Bytes();
  } else {
    return json ? Bytes::own(codec::to_json(value)) : codec::to_msgpack(value);
  }
}

template <class T>
Result<T> decode_body(ByteSpan body, bool json) {
  if constexpr (std::is_same_v<T, Nothing>) {
    return Nothing{};
  } else {
    if (!json) return codec::from_msgpack<T>(body);
    return codec::from_json<T>(body.empty() ? std::string_view("null") : as_text(body));
  }
}

}  // namespace velo::messenger
