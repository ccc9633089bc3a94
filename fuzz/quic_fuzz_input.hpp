// SPDX-License-Identifier: Apache-2.0
// The bytes of the fuzzer one after the other, and what they choose: options and identities.
// Threading: one thread.
#pragma once

#include <velo/crypto/credentials.hpp>
#include <velo/transport/backends/quic.hpp>

#include "testing/quic_pair.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace velo::transport::transport_quic_fuzz {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

constexpr std::size_t steps_max = 48;
/// Of the budget, by those who proved nothing.
constexpr std::size_t held_bytes_max = std::size_t{4} << 20;

/// Takes bytes off the input; zeros once it is empty.
class Input {
 public:
  explicit Input(ByteSpan bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t take() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::string take(std::size_t count) {
    const ByteSpan taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return std::string(as_text(taken));
  }

 private:
  ByteSpan bytes_;
};

inline crypto::Credentials credentials_of(std::uint8_t which) {
  static const Authority other(99);
  crypto::Credentials made = (which % 4 == 3 ? other : authority()).credentials(30);
  made.trust = authority().trusted();
  return made;
}

inline QuicOptions server_options(std::uint8_t bits) {
  QuicOptions made = options(20);
  made.always_retry = (bits & 1U) != 0;
  if ((bits & 2U) != 0) made.gate.connections_max = 2;
  if ((bits & 4U) != 0) made.gate.connections_per_source_max = 2;
  if ((bits & 8U) != 0) made.gate.handshake_bytes_max = 6000;
  if ((bits & 16U) != 0) made.idle_timeout = seconds(2);
  if ((bits & 16U) != 0) made.keep_alive = Duration::zero();
  return made;
}

}  // namespace velo::transport::transport_quic_fuzz
