// SPDX-License-Identifier: Apache-2.0
// What seals are made of, as the RFCs say: ChaCha20-Poly1305 (8439), HKDF (5869), scrypt (7914).
// Threading: pure.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/crypto/seal.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace velo::crypto {

using SealNonce = std::array<std::uint8_t, 12>;
constexpr std::size_t seal_tag_bytes = 16;

/// `out` has the size of `plain` and the tag. `bound` is authenticated, not written.
Result<void> encrypt(const SecretKey& key, const SealNonce& nonce, std::span<const ByteSpan> bound,
                     ByteSpan plain, std::span<std::byte> out);
/// `out` has the size of `sealed` without the tag. Errc::wrong_secret.
Result<void> decrypt(const SecretKey& key, const SealNonce& nonce, std::span<const ByteSpan> bound,
                     ByteSpan sealed, std::span<std::byte> out);
/// HKDF with SHA-256.
Result<void> expand_key(ByteSpan secret, ByteSpan salt, ByteSpan info, std::span<std::byte> out);

struct ScryptCost {
  std::uint8_t log_n = 15;
  std::uint8_t r = 8;
  std::uint8_t p = 1;
};

Result<void> stretch(std::string_view passphrase, ByteSpan salt, ScryptCost cost,
                     std::span<std::byte> out);

}  // namespace velo::crypto
