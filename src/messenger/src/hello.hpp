// SPDX-License-Identifier: Apache-2.0
// What two peers agree on: the bodies of `_hello` and `_list_handlers` (JSON, as the public velo
// writes them, with an additive member "velo"), and the features that follow from them. Core:
// values in, values out. Rules: docs/protocols/messenger.md.
// Threading: pure functions.
#pragma once

#include "binding.hpp"

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/limits.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo::messenger {

constexpr std::size_t hello_bytes_max = std::size_t{64} << 10;
/// The list of a peer's handlers: limits::handlers_max names, and this many bytes.
constexpr std::size_t handlers_bytes_max = std::size_t{4} << 20;
constexpr std::size_t features_max = 64;
constexpr std::size_t feature_bytes_max = 64;
constexpr std::uint32_t offer_version = 1;
constexpr std::uint64_t window_calls_default = 1'024;
constexpr std::uint64_t window_bytes_default = std::uint64_t{32} << 20;

/// What one side offers: names it understands and numbers it accepts.
struct Offer {
  std::uint32_t version = offer_version;
  std::uint64_t incarnation = 0;      ///< the worker id of this start; "inc" as 16 hex digits
  std::vector<std::string> features;  ///< unknown names are kept and ignored
  std::uint64_t frame_bytes_max = 0;  ///< "max_frame"; 0: not said, the protocol's limit holds
  std::uint64_t window_calls = 0;     ///< "window": {"calls", "bytes"}; 0: not said
  std::uint64_t window_bytes = 0;
  std::optional<Binding> bind;  ///< proves that the sender is the instance it says it is

  friend bool operator==(const Offer&, const Offer&) = default;
};

/// What holds on one connection: the intersection of names, the minimum of numbers. Default: a peer
/// of the public velo.
struct Agreement {
  bool ours = false;       ///< the other side sent an offer at all
  bool same_conn = false;  ///< replies travel on the connection that brought the request
  bool hdr2 = false;       ///< request headers of schema 2 (relative timeout)
  bool status = false;   ///< outcome bytes beyond 0 and 1, "velo-error" response headers, response
                         ///< headers that are not echoes
  bool cancel = false;   ///< `_cancel` is understood
  bool window = false;   ///< the two numbers below bound what is in flight; they are 0 otherwise
  bool msgpack = false;  ///< typed bodies are MessagePack; JSON otherwise
  bool path = false;     ///< both have several transports, and can change the path
  bool staged = false;   ///< payloads of replies may be pulled, as those of requests
  bool resume = false;   ///< and carry on by another path what a dead connection had begun
  std::uint64_t peer_incarnation = 0;
  std::uint64_t frame_bytes_max = velo::limits::frame_bytes_max;
  std::uint64_t window_calls = 0;
  std::uint64_t window_bytes = 0;

  /// Windows need replies where the requests went, and a word when a caller gives up.
  bool windowed() const noexcept { return window && same_conn && cancel; }
};

/// All we offer, for this incarnation.
Offer local_offer(std::uint64_t incarnation);
/// Of any version of theirs: names mean the same in all of them.
Agreement agree(const Offer& ours, const std::optional<Offer>& theirs);

struct HelloRequest {
  PeerInfo peer_info;
  std::optional<Offer> offer;
};
struct HandlersResponse {
  std::vector<std::string> handlers;
  std::optional<Offer> offer;
};

Bytes encode_hello_request(const HelloRequest& request);
/// Errc::malformed, also for a nil instance id or one of worker id 0; more than hello_bytes_max is
/// refused unread. An unintelligible "velo" member is an error, an absent or null one is not.
Result<HelloRequest> decode_hello_request(ByteSpan json);
Bytes encode_handlers_response(const HandlersResponse& response);
/// Without an offer for `_list_handlers`. Errc::malformed; more than handlers_bytes_max is refused
/// unread.
Result<HandlersResponse> decode_handlers_response(ByteSpan json);

}  // namespace velo::messenger
