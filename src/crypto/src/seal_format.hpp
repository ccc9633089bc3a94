// SPDX-License-Identifier: Apache-2.0
// The bytes of a seal (docs/protocols/seal.md), apart from where its salt and nonce come from.
// Threading: pure.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/crypto/seal.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "seal_primitives.hpp"

namespace velo::crypto {

constexpr std::size_t seal_header_bytes = 36;

struct SealHeader {
  enum class Kind : std::uint8_t { key = 1, passphrase = 2 };

  Kind kind = Kind::key;
  ScryptCost cost;  ///< zeros in a seal by key
  std::array<std::uint8_t, 16> salt{};
  SealNonce nonce{};
};

std::array<std::byte, seal_header_bytes> write_header(const SealHeader& header);
/// Errc::malformed, also for costs beyond the limits.
Result<SealHeader> read_header(ByteSpan sealed);

/// A seal by key or passphrase with this header; `secret` are the key's bytes or the passphrase.
Result<Bytes> seal_with_header(const SealHeader& header, std::string_view secret, ByteSpan plain,
                               std::string_view context);

}  // namespace velo::crypto
