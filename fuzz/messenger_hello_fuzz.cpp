// SPDX-License-Identifier: Apache-2.0
// Any text as a `_hello` or its answer; what is accepted must survive encoding, and what is agreed
// on must be no more than what both offered.

#include "hello.hpp"

#include <velo/base/check.hpp>
#include <velo/base/limits.hpp>

namespace velo::messenger_hello_fuzz {

using messenger::Agreement;
using messenger::Offer;

static void check_agreement(const std::optional<Offer>& theirs) {
  const Offer ours = messenger::local_offer(1);
  const Agreement agreement = messenger::agree(ours, theirs);
  VELO_CHECK(agreement.ours == theirs.has_value());
  VELO_CHECK(agreement.frame_bytes_max > 0);
  VELO_CHECK(agreement.frame_bytes_max <= limits::frame_bytes_max);
  VELO_CHECK(agreement.window == (agreement.window_calls != 0));
  VELO_CHECK(agreement.window_calls <= ours.window_calls);
  VELO_CHECK(agreement.window_bytes <= ours.window_bytes);
  if (!theirs) return;
  VELO_CHECK(theirs->features.size() <= messenger::features_max);
  VELO_CHECK(agreement.peer_incarnation == theirs->incarnation);
}

static void check(ByteSpan json) {
  if (const auto request = messenger::decode_hello_request(json)) {
    check_agreement(request->offer);
    // Escapes and defaults may make the canonical form longer than what came.
    const Bytes encoded = messenger::encode_hello_request(*request);
    const auto again = messenger::decode_hello_request(encoded);
    VELO_CHECK(again.has_value() || encoded.size() > messenger::hello_bytes_max);
    if (again) {
      VELO_CHECK(again->peer_info == request->peer_info && again->offer == request->offer);
    }
  }
  if (const auto response = messenger::decode_handlers_response(json)) {
    check_agreement(response->offer);
    const auto again =
        messenger::decode_handlers_response(messenger::encode_handlers_response(*response));
    VELO_CHECK(again.has_value());
    VELO_CHECK(again->handlers == response->handlers && again->offer == response->offer);
  }
}

}  // namespace velo::messenger_hello_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::messenger_hello_fuzz::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
