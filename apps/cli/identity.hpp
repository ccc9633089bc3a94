// SPDX-License-Identifier: Apache-2.0
// The commands of `velo identity`: what the command line fills in, and what then runs. An authority
// and a node are folders of one form (velo/crypto/identity_store.hpp); an authority's holds what it
// issued, too.
// Threading: the main thread.
#pragma once

#include "commands.hpp"

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

/// Where passphrases come from; never from the command line itself, which other users can read.
struct Passphrases {
  std::string own_file;        ///< empty: VELO_PASSPHRASE
  std::string authority_file;  ///< empty: VELO_AUTHORITY_PASSPHRASE, then the other one
};

struct NewAuthorityOptions {
  std::string folder;
  std::string name = "velo authority";
  int path_length = 0;
  Duration lifetime = std::chrono::hours(24 * 3650);
  Passphrases secrets;
};
int run_new_authority(const Globals& globals, const NewAuthorityOptions& options);

struct NewIdentityOptions {
  std::string folder;
  std::string authority;
  std::string name;
  std::vector<std::string> names;
  std::string purpose = "peer";  ///< peer, client, server
  Duration lifetime = std::chrono::hours(24 * 90);
  Passphrases secrets;
};
int run_new_identity(const Globals& globals, const NewIdentityOptions& options);

struct RotateOptions {
  std::string folder;
  std::string authority;
  Duration lifetime = std::chrono::hours(24 * 90);
  Passphrases secrets;
};
int run_rotate(const Globals& globals, const RotateOptions& options);

struct RevokeOptions {
  std::string authority;
  std::vector<std::string> whom;  ///< serial numbers and node ids; none: the list is renewed
  Duration lifetime = std::chrono::hours(24 * 30);
  Passphrases secrets;
};
int run_revoke(const Globals& globals, const RevokeOptions& options);

struct UpdateOptions {
  std::string folder;
  std::string authority;
};
int run_update(const Globals& globals, const UpdateOptions& options);

struct ShowOptions {
  std::string folder;
};
int run_show(const Globals& globals, const ShowOptions& options);

}  // namespace velo::cli
