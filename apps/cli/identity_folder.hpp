// SPDX-License-Identifier: Apache-2.0
// What the commands of `velo identity` share: passphrases, opened folders, and an authority with
// the record of what it issued (issued/SERIAL.pem).
// Threading: the main thread.
#pragma once

#include "identity.hpp"

#include <velo/crypto/identity_store.hpp>
#include <velo/runtime/real_world.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

/// A passphrase, wiped when it is no longer needed.
class Passphrase {
 public:
  Passphrase() = default;
  explicit Passphrase(std::string text) : text_(std::move(text)) {}
  Passphrase(Passphrase&& other) noexcept;
  Passphrase& operator=(Passphrase&&) = delete;
  ~Passphrase();
  std::optional<std::string_view> get() const noexcept { return text_; }

 private:
  std::optional<std::string> text_;
};

/// The first line of `file`, or of the first of `variables` that is set; nothing if neither is
/// there. velo::Errc::invalid_argument if it is empty.
Result<Passphrase> read_passphrase(const std::string& file,
                                   const std::vector<const char*>& variables);
Result<Passphrase> own_passphrase(const Passphrases& secrets);
Result<Passphrase> authority_passphrase(const Passphrases& secrets);

class IdentityFolder {
 public:
  static Result<IdentityFolder> open(const std::string& folder);

  crypto::IdentityStore& store() noexcept { return store_; }
  WallTime now() const noexcept { return world_->clock().wall_now(); }
  const std::string& path() const noexcept { return folder_; }

  /// Keeps a copy of what this authority issued, before anybody else has it.
  Result<void> record(const crypto::Certificate& certificate);
  /// In the order of the serial numbers; none if this is no authority.
  Result<std::vector<crypto::Certificate>> issued();

 private:
  IdentityFolder(std::unique_ptr<runtime::RealWorld> world, std::string folder);

  std::unique_ptr<runtime::RealWorld> world_;
  std::string folder_;
  crypto::IdentityStore store_;
};

/// Issues for `key` and records it.
Result<std::vector<crypto::Certificate>> issue_from(IdentityFolder& authority,
                                                    const crypto::Credentials& issuer,
                                                    const crypto::PublicKey& key,
                                                    const crypto::IssueOptions& options);
/// What a node below `authority` has to know: whom to trust, and what is revoked.
Result<void> copy_trust(IdentityFolder& authority, IdentityFolder& node);

}  // namespace velo::cli
