// SPDX-License-Identifier: Apache-2.0
// The bodies of `_anchor_attach` and `_mpsc_anchor_attach`: JSON as the public velo has it, with
// members of our own that others ignore.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/describe.hpp>
#include <velo/streaming/handle.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::streaming {

constexpr std::string_view mux_key = "messenger-mux-v1";
/// What both ends of ours do beyond the public mux: give signs of life both ways, and answer the
/// close of a slot. Without it the mux is not used.
constexpr std::uint32_t mux_level = 1;
constexpr std::size_t attach_bytes_max = 4'096;

struct AttachRequest {
  StreamAnchorHandle handle;
  std::uint64_t session_id = 0;
  StreamAnchorHandle stream_cancel_handle;
  std::vector<std::string> supported_transport_keys;
  std::optional<std::uint32_t> mux_level;
};
VELO_DESCRIBE(AttachRequest, handle, session_id, stream_cancel_handle, supported_transport_keys,
              mux_level);

struct AttachAnswer {
  std::string streaming_transport_key;
  std::uint64_t heartbeat_interval_ms = 0;
  std::uint64_t routing_session_id = 0;
  std::uint32_t initial_credit = 0;
  std::uint64_t slot_byte_budget = 0;
  std::optional<std::string> instance;  ///< the owner's, of one of ours
};
VELO_DESCRIBE(AttachAnswer, streaming_transport_key, heartbeat_interval_ms, routing_session_id,
              initial_credit, slot_byte_budget, instance);

Bytes encode(const AttachRequest& request);
Result<AttachRequest> decode_attach_request(ByteSpan json);
Bytes encode(const Result<AttachAnswer>& answer);
/// The owner's answer; its refusal with the code that it decided, or Errc::no_transport with its
/// text when it has none.
Result<AttachAnswer> decode_attach_answer(ByteSpan json);

}  // namespace velo::streaming
