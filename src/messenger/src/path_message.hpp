// SPDX-License-Identifier: Apache-2.0
// The bodies of `_path`, by which two messengers with several transports each agree on a change of
// path (docs/protocols/messenger.md). MessagePack. Core: values in, values out.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/describe.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace velo::messenger {

/// Of a request of `_path`.
constexpr std::size_t path_message_bytes_max = std::size_t{4} << 20;
constexpr std::size_t path_token_bytes = 16;

struct PathMessage {
  /// "open": names the connection it comes on. "barrier": answered once all that was sent before it
  /// on its lane has been taken in. "resume": what became of what was sent on a connection that is
  /// gone, whose name it says.
  std::string op;
  Bytes token;              ///< path_token_bytes, drawn at random by who dialled
  std::uint64_t epoch = 0;  ///< the sender's count of changes
  Bytes ids;                ///< with "resume": of 16 bytes each, as in headers
  /// With "resume": a byte an id, the lane that it was sent in; empty where that kept all in order.
  Bytes lanes;

  friend bool operator==(const PathMessage&, const PathMessage&) = default;
};
VELO_DESCRIBE_DEFAULTS(PathMessage, op, token, epoch, ids, lanes);

struct PathAnswer {
  std::uint64_t epoch = 0;  ///< as in the request
  bool known = false;       ///< with "resume": the connection is remembered
  /// With "resume": one byte an id: 0 never received, 1 running or its reply is on its way, 2
  /// received, and its reply is no longer to be had.
  Bytes fates;

  friend bool operator==(const PathAnswer&, const PathAnswer&) = default;
};
VELO_DESCRIBE(PathAnswer, epoch, known, fates);

Bytes encode(const PathMessage& message);
Bytes encode(const PathAnswer& answer);
/// Errc::malformed for anything else, and for more than path_message_bytes_max.
Result<PathMessage> decode_path_message(ByteSpan bytes);
Result<PathAnswer> decode_path_answer(ByteSpan bytes);

}  // namespace velo::messenger
