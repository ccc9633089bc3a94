// SPDX-License-Identifier: Apache-2.0
// Key pairs that sign: Ed25519, which velo makes, and P-256, which a site's own authority may use.
// Private keys are wiped from memory with their last copy, and never logged.
// Threading: values; one key may be used by several threads at once.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/crypto/error.hpp>
#include <velo/crypto/node_id.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace velo::crypto {

enum class KeyKind : std::uint8_t { ed25519, p256 };

/// A key's handle of the library below; complete in this room's sources only.
struct KeyHandle;

class PublicKey {
 public:
  PublicKey() noexcept = default;
  /// SubjectPublicKeyInfo in DER. Errc::malformed, Errc::unsupported_key.
  static Result<PublicKey> from_der(ByteSpan der);
  /// The 32 bytes of an Ed25519 key.
  static Result<PublicKey> ed25519(ByteSpan raw);

  bool valid() const noexcept { return handle_ != nullptr; }
  KeyKind kind() const noexcept;
  /// SubjectPublicKeyInfo.
  const Bytes& der() const noexcept { return der_; }
  /// The 32 bytes of an Ed25519 key; empty for another kind.
  Bytes raw() const;
  NodeId node_id() const { return NodeId::of(der_); }
  /// Ed25519: 64 bytes. P-256: ECDSA with SHA-256, DER. Errc::bad_signature.
  Result<void> verify(ByteSpan message, ByteSpan signature) const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) noexcept {
    return a.der_ == b.der_;
  }

 private:
  friend class PrivateKey;
  std::shared_ptr<const KeyHandle> handle_;
  Bytes der_;
};

class PrivateKey {
 public:
  PrivateKey() noexcept = default;
  /// From the system's randomness, so not in simulation.
  static Result<PrivateKey> generate(KeyKind kind = KeyKind::ed25519);
  /// Ed25519 from its 32 secret bytes; simulations draw them from their World.
  static Result<PrivateKey> ed25519_from_seed(std::span<const std::byte, 32> seed);
  /// PKCS #8, DER or PEM, without passphrase. Errc::malformed, Errc::unsupported_key.
  static Result<PrivateKey> from_der(ByteSpan der);
  static Result<PrivateKey> from_pem(std::string_view pem);

  bool valid() const noexcept { return handle_ != nullptr; }
  KeyKind kind() const noexcept;
  const PublicKey& public_key() const noexcept { return public_key_; }
  /// The signature that PublicKey::verify() takes.
  Result<Bytes> sign(ByteSpan message) const;
  /// PKCS #8. Holds the secret: seal it (seal.hpp) or keep it in a private file.
  Bytes to_der() const;
  std::string to_pem() const;

  /// The library's own handle (EVP_PKEY*), borrowed; for transports that hand it to a TLS library.
  void* native() const noexcept;

 private:
  static Result<PrivateKey> adopt(std::shared_ptr<KeyHandle> handle);

  std::shared_ptr<const KeyHandle> handle_;
  PublicKey public_key_;
};

}  // namespace velo::crypto
