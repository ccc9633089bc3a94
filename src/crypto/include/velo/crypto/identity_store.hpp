// SPDX-License-Identifier: Apache-2.0
// IdentityStore: a node's key, certificates and whom it trusts, in a folder. Every file is replaced
// atomically; the key's is private to its user and sealed if a passphrase was given.
//   key.pem or key.sealed   the private key          trust.pem   authorities
//   certificate.pem         the leaf and its chain   revoked.pem revocation lists (optional)
// Threading: any thread; functions block on the disk.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/files.hpp>
#include <velo/crypto/credentials.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::crypto {

class IdentityStore {
 public:
  /// `files` outlives the store. Nothing is read or written yet.
  IdentityStore(Files& files, std::string folder);

  /// Writes the key; velo::Errc::already_exists if the folder has one.
  Result<void> create_key(const PrivateKey& key, std::optional<std::string_view> passphrase);
  Result<PrivateKey> load_key(std::optional<std::string_view> passphrase) const;
  /// Replaces the key and its certificate together: a reader finds both old or both new.
  Result<void> rotate(const PrivateKey& key, const std::vector<Certificate>& chain,
                      std::optional<std::string_view> passphrase);

  Result<void> store_certificate(const std::vector<Certificate>& chain);
  Result<void> store_trust(const std::vector<Certificate>& authorities);
  Result<void> store_revocations(const std::vector<RevocationList>& lists);

  /// All of it, checked for consistency: Errc::malformed, unsafe_permissions, wrong_secret,
  /// velo::Errc::not_found.
  Result<Credentials> load(std::optional<std::string_view> passphrase) const;

 private:
  Files& files_;
  std::string folder_;
};

}  // namespace velo::crypto
