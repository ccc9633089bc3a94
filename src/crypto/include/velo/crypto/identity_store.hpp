// SPDX-License-Identifier: Apache-2.0
// IdentityStore: a node's key, certificates and whom it trusts, in a folder. Every file is replaced
// atomically; the key's is private to its user and sealed if a passphrase was given.
//   key-NODEID.pem or .sealed  the private key          trust.pem    authorities
//   certificate.pem            the leaf and its chain   revoked.pem  revocation lists (optional)
// The certificate says which key is meant, so that replacing that one file replaces both.
// Threading: any thread; functions block on the disk. Writers of several processes exclude each
// other (velo::Errc::overloaded); readers never wait.
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

  /// Makes the folder and writes the key; velo::Errc::already_exists if the folder has one.
  Result<void> create_key(const PrivateKey& key, std::optional<std::string_view> passphrase);
  Result<PrivateKey> load_key(std::optional<std::string_view> passphrase) const;
  /// Replaces the key and its certificate together: a reader finds both old or both new, also after
  /// a crash. The old key is removed. velo::Errc::not_found if there is no certificate yet,
  /// invalid_argument if key and chain do not belong together.
  Result<void> rotate(const PrivateKey& key, const std::vector<Certificate>& chain,
                      std::optional<std::string_view> passphrase);

  /// Of the key that is stored; velo::Errc::invalid_argument for another's.
  Result<void> store_certificate(const std::vector<Certificate>& chain);
  Result<void> store_trust(const std::vector<Certificate>& authorities);
  /// None removes the file.
  Result<void> store_revocations(const std::vector<RevocationList>& lists);

  /// These need no passphrase. velo::Errc::not_found, Errc::malformed; no lists are no error.
  Result<std::vector<Certificate>> load_certificate() const;
  Result<std::vector<Certificate>> load_trust() const;
  Result<std::vector<RevocationList>> load_revocations() const;
  /// Whether opening the key takes a passphrase.
  Result<bool> key_is_sealed() const;

  /// All of it, checked for consistency: Errc::malformed, unsafe_permissions, wrong_secret,
  /// velo::Errc::not_found, Errc::bad_signature for a list of a stranger.
  Result<Credentials> load(std::optional<std::string_view> passphrase) const;

 private:
  std::string path(std::string_view name) const;
  Result<std::vector<std::string>> key_files() const;
  Result<void> remove_keys_but(std::string_view prefix);
  Result<void> write_key(const PrivateKey& key, std::optional<std::string_view> passphrase);
  Result<PrivateKey> read_key(const NodeId& node, std::optional<std::string_view> passphrase) const;
  Result<std::string> read_text(std::string_view name) const;

  Files& files_;
  std::string folder_;
};

}  // namespace velo::crypto
