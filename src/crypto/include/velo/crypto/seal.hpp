// SPDX-License-Identifier: Apache-2.0
// Sealing: bytes that only the holder of a key or of a passphrase can read or change.
// ChaCha20-Poly1305; passphrases through scrypt (N = 2^15, r = 8, p = 1; RFC 7914). Layout:
// docs/protocols/seal.md.
// Threading: pure functions but for the system's randomness, which seal() draws its nonce from, so
// not in simulation.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace velo::crypto {

using SecretKey = std::array<std::uint8_t, 32>;

/// `context`, of at most limits::seal_context_bytes_max, is bound to the seal and not part of it:
/// what is opened with another one does not open. One key may seal any number: each seal has a key
/// of its own, derived with a random salt. velo::Errc::invalid_argument beyond
/// limits::sealed_bytes_max.
Result<Bytes> seal(const SecretKey& key, ByteSpan plain, std::string_view context);
/// Errc::malformed, Errc::wrong_secret. What is opened is wiped with its last copy.
Result<Bytes> open(const SecretKey& key, ByteSpan sealed, std::string_view context);

Result<Bytes> seal_with_passphrase(std::string_view passphrase, ByteSpan plain,
                                   std::string_view context);
/// Takes about 0.1 s and 32 MiB; refuses costs that are written larger than that.
Result<Bytes> open_with_passphrase(std::string_view passphrase, ByteSpan sealed,
                                   std::string_view context);

/// HKDF with SHA-256 (RFC 5869).
SecretKey derive_key(ByteSpan secret, ByteSpan salt, std::string_view info);

/// Overwrites a secret, which the compiler may not leave out.
void wipe(std::string& secret) noexcept;
void wipe(SecretKey& secret) noexcept;
void wipe(std::span<std::byte> secret) noexcept;

}  // namespace velo::crypto
