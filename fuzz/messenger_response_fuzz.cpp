// SPDX-License-Identifier: Apache-2.0
// Any bytes as the header of a response, and as the value of "velo-error"; what is accepted must
// survive encoding.

#include "protocol.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <vector>

namespace velo::messenger_response_fuzz {

namespace protocol = messenger::protocol;

static void check_response(ByteSpan bytes) {
  const auto header = protocol::decode_response(bytes);
  if (!header) return;
  VELO_CHECK(protocol::encoded_size(*header) == bytes.size());
  const auto headers = protocol::decode_headers(header->headers);
  if (!headers) return;
  std::vector<std::byte> out(bytes.size());
  VELO_CHECK(protocol::encode_response(*header, out) == out.size());
  VELO_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
}

static void check_error(ByteSpan bytes) {
  const auto error = protocol::decode_error(as_text(bytes), "context");
  if (!error) return;
  const auto again = protocol::decode_error(protocol::encode_error(*error), "context");
  VELO_CHECK(again.has_value() && again->code() == error->code() &&
             again->retry() == error->retry());
}

}  // namespace velo::messenger_response_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  velo::messenger_response_fuzz::check_response(bytes);
  velo::messenger_response_fuzz::check_error(bytes);
  return 0;
}
