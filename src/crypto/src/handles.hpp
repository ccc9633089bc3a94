// SPDX-License-Identifier: Apache-2.0
// What stands behind the public types: OpenSSL's objects, and what was read from them once.
// Threading: immutable once made; OpenSSL allows reading them from several threads.
#pragma once

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "openssl.hpp"

namespace velo::crypto {

struct KeyHandle {
  PkeyPtr key;
  KeyKind kind = KeyKind::ed25519;
};

struct CertificateHandle {
  X509Ptr certificate;
  std::string common_name;
  std::string issuer_common_name;
  std::vector<std::string> names;
  std::string serial;
  WallTime not_before;
  WallTime not_after;
};

struct RevocationListHandle {
  CrlPtr list;
  std::uint64_t number = 0;
  WallTime this_update;
  WallTime next_update;
};

inline EVP_PKEY* native_key(const PrivateKey& key) noexcept {
  return static_cast<EVP_PKEY*>(key.native());
}
inline X509* native_certificate(const Certificate& certificate) noexcept {
  return static_cast<X509*>(certificate.native());
}
inline X509_CRL* native_list(const RevocationList& list) noexcept {
  return static_cast<X509_CRL*>(list.native());
}

/// The digest that a key signs with; null for Ed25519, which has its own.
inline const EVP_MD* digest_of(KeyKind kind) noexcept {
  return kind == KeyKind::ed25519 ? nullptr : EVP_sha256();
}

}  // namespace velo::crypto
