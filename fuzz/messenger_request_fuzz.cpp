// SPDX-License-Identifier: Apache-2.0
// Any bytes as the header of a request or an ack; what is accepted must encode to the same bytes.

#include "protocol.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace velo::messenger_request_fuzz {

namespace protocol = messenger::protocol;

static void check_headers(ByteSpan bytes) {
  const auto headers = protocol::decode_headers(bytes);
  if (!headers) return;
  const auto encoded = protocol::encode_headers(*headers);
  VELO_CHECK(encoded.has_value());
  const auto again = protocol::decode_headers(*encoded);
  VELO_CHECK(again.has_value() && *again == *headers);
}

static void check_request(ByteSpan bytes) {
  const auto header = protocol::decode_request(bytes);
  if (!header) return;
  VELO_CHECK(protocol::valid_name(header->name));
  VELO_CHECK(protocol::encoded_size(*header) == bytes.size());
  std::vector<std::byte> out(bytes.size());
  VELO_CHECK(protocol::encode_request(*header, out) == out.size());
  VELO_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
  check_headers(header->headers);
}

static void check_ack(ByteSpan bytes) {
  const auto header = protocol::decode_ack(bytes);
  if (!header) return;
  std::array<std::byte, protocol::ack_bytes> out;
  VELO_CHECK(protocol::encode_ack(*header, out) == bytes.size());
  VELO_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
}

}  // namespace velo::messenger_request_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  velo::messenger_request_fuzz::check_request(bytes);
  velo::messenger_request_fuzz::check_ack(bytes);
  velo::messenger_request_fuzz::check_headers(bytes);
  return 0;
}
