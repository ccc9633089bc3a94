// SPDX-License-Identifier: Apache-2.0
// Any bytes as a body of `_path`, either way; what is accepted must be within its bounds and
// survive encoding.

#include "path_message.hpp"

#include <velo/base/check.hpp>

namespace velo::messenger_path_fuzz {

static void check(ByteSpan bytes) {
  if (const auto message = messenger::decode_path_message(bytes)) {
    VELO_CHECK(message->token.empty() || message->token.size() == messenger::path_token_bytes);
    VELO_CHECK(message->ids.size() % 16 == 0);
    VELO_CHECK(message->lanes.empty() || message->lanes.size() == message->ids.size() / 16);
    const auto again = messenger::decode_path_message(encode(*message));
    VELO_CHECK(again.has_value() && *again == *message);
  }
  if (const auto answer = messenger::decode_path_answer(bytes)) {
    const auto again = messenger::decode_path_answer(encode(*answer));
    VELO_CHECK(again.has_value() && *again == *answer);
  }
}

}  // namespace velo::messenger_path_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::messenger_path_fuzz::check({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
