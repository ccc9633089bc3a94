// SPDX-License-Identifier: Apache-2.0
// NodeId: hash and text.

#include <velo/crypto/node_id.hpp>

#include <openssl/evp.h>

#include <charconv>

namespace velo {

NodeId NodeId::of(ByteSpan public_key_der) {
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  const int done = EVP_Digest(public_key_der.data(), public_key_der.size(), digest.data(), &size,
                              EVP_sha256(), nullptr);
  return done == 1 && size == digest.size() ? NodeId(digest) : NodeId();
}

Result<NodeId> NodeId::parse(std::string_view text) {
  std::array<std::uint8_t, 32> bytes{};
  if (text.size() != 2 * bytes.size()) {
    return make_error(Errc::invalid_argument, "a node id has 64 hexadecimal digits");
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char* begin = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, bytes.at(i), 16);
    if (error != std::errc() || end != begin + 2) {
      return make_error(Errc::invalid_argument, "a node id has 64 hexadecimal digits");
    }
  }
  return NodeId(bytes);
}

std::string NodeId::to_string() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes_.size());
  for (const std::uint8_t byte : bytes_) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace velo
