// SPDX-License-Identifier: Apache-2.0
// `velo identity new-authority|new|rotate|revoke|update`.

#include "identity.hpp"

#include "identity_folder.hpp"

#include <velo/crypto/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace velo::cli {

namespace identity_detail {

static crypto::Purpose purpose_of(const std::string& name) {
  if (name == "client") return crypto::Purpose::client;
  if (name == "server") return crypto::Purpose::server;
  return crypto::Purpose::peer;
}

static crypto::Purpose purpose_of(const crypto::Certificate& certificate) {
  for (const crypto::Purpose purpose :
       {crypto::Purpose::authority, crypto::Purpose::peer, crypto::Purpose::server}) {
    if (certificate.allows(purpose)) return purpose;
  }
  return crypto::Purpose::client;
}

static crypto::IssueOptions issue_options(const std::string& name, crypto::Purpose purpose,
                                          WallTime now, Duration lifetime) {
  crypto::IssueOptions options;
  options.common_name = name;
  options.purpose = purpose;
  options.not_before = now;
  options.lifetime = lifetime;
  return options;
}

/// The authority in its folder with its key.
static Result<crypto::Credentials> open_authority(IdentityFolder& folder,
                                                  const Passphrase& passphrase) {
  auto credentials = folder.store().load(passphrase.get());
  if (!credentials.has_value()) return credentials;
  if (credentials->chain.front().is_authority()) return credentials;
  return crypto::make_error(crypto::Errc::wrong_purpose, folder.path() + " is no authority");
}

/// A key that an earlier attempt left without a certificate is taken up again.
static Result<crypto::PrivateKey> make_key(IdentityFolder& folder, const Passphrase& passphrase) {
  auto key = crypto::PrivateKey::generate();
  if (!key.has_value()) return key;
  const auto created = folder.store().create_key(*key, passphrase.get());
  if (created.has_value()) return key;
  if (!created.error().is(Errc::already_exists)) return created.error();
  if (const auto old = folder.store().load_certificate(); !old.has_value()) {
    if (!old.error().is(Errc::not_found)) return old.error();
    return folder.store().load_key(passphrase.get());
  }
  return make_error(Errc::invalid_argument,
                    folder.path() + " has an identity: see `velo identity rotate`");
}

static Result<void> store(IdentityFolder& folder, const std::vector<crypto::Certificate>& chain,
                          IdentityFolder& authority) {
  if (auto copied = copy_trust(authority, folder); !copied.has_value()) return copied;
  // Last: with it the folder is complete.
  return folder.store().store_certificate(chain);
}

static Result<void> new_authority(const NewAuthorityOptions& options) {
  auto folder = IdentityFolder::open(options.folder);
  if (!folder.has_value()) return folder.error();
  const auto passphrase = own_passphrase(options.secrets);
  if (!passphrase.has_value()) return passphrase.error();
  const auto key = make_key(*folder, *passphrase);
  if (!key.has_value()) return key.error();
  crypto::IssueOptions wanted =
      issue_options(options.name, crypto::Purpose::authority, folder->now(), options.lifetime);
  wanted.path_length = options.path_length;
  const auto certificate = crypto::issue(*key, nullptr, key->public_key(), wanted);
  if (!certificate.has_value()) return certificate.error();
  if (auto stored = folder->store().store_trust({*certificate}); !stored.has_value()) {
    return stored;
  }
  return folder->store().store_certificate({*certificate});
}

static Result<void> new_identity(const NewIdentityOptions& options) {
  auto authority = IdentityFolder::open(options.authority);
  if (!authority.has_value()) return authority.error();
  auto folder = IdentityFolder::open(options.folder);
  if (!folder.has_value()) return folder.error();
  const auto passphrase = own_passphrase(options.secrets);
  if (!passphrase.has_value()) return passphrase.error();
  const auto authority_secret = authority_passphrase(options.secrets);
  if (!authority_secret.has_value()) return authority_secret.error();
  const auto issuer = open_authority(*authority, *authority_secret);
  if (!issuer.has_value()) return issuer.error();
  const auto key = make_key(*folder, *passphrase);
  if (!key.has_value()) return key.error();
  crypto::IssueOptions wanted =
      issue_options(options.name, purpose_of(options.purpose), folder->now(), options.lifetime);
  wanted.names = options.names;
  const auto chain = issue_from(*authority, *issuer, key->public_key(), wanted);
  if (!chain.has_value()) return chain.error();
  return store(*folder, *chain, *authority);
}

static Result<void> rotate(const RotateOptions& options) {
  auto authority = IdentityFolder::open(options.authority);
  if (!authority.has_value()) return authority.error();
  auto folder = IdentityFolder::open(options.folder);
  if (!folder.has_value()) return folder.error();
  const auto passphrase = own_passphrase(options.secrets);
  if (!passphrase.has_value()) return passphrase.error();
  const auto authority_secret = authority_passphrase(options.secrets);
  if (!authority_secret.has_value()) return authority_secret.error();
  const auto issuer = open_authority(*authority, *authority_secret);
  if (!issuer.has_value()) return issuer.error();
  const auto old = folder->store().load_certificate();
  if (!old.has_value()) return old.error();
  if (old->front().is_authority()) {
    return make_error(Errc::invalid_argument, "an authority is not rotated: make a new one");
  }
  // Not needed, but whoever cannot open the old key would leave the new one unsealed by mistake.
  if (const auto key = folder->store().load_key(passphrase->get()); !key.has_value()) {
    return key.error();
  }
  const auto key = crypto::PrivateKey::generate();
  if (!key.has_value()) return key.error();
  crypto::IssueOptions wanted = issue_options(old->front().common_name(), purpose_of(old->front()),
                                              folder->now(), options.lifetime);
  wanted.names = old->front().names();
  const auto chain = issue_from(*authority, *issuer, key->public_key(), wanted);
  if (!chain.has_value()) return chain.error();
  if (auto copied = copy_trust(*authority, *folder); !copied.has_value()) return copied;
  return folder->store().rotate(*key, *chain, passphrase->get());
}

static std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

static Result<std::vector<std::string>> serials_of(const std::vector<crypto::Certificate>& issued,
                                                   const std::string& whom) {
  std::vector<std::string> serials;
  for (const crypto::Certificate& certificate : issued) {
    if (certificate.serial() == upper(whom) ||
        upper(certificate.node_id().to_string()) == upper(whom)) {
      serials.push_back(certificate.serial());
    }
  }
  if (!serials.empty()) return serials;
  return make_error(
      Errc::not_found,
      fmt::format("nothing was issued with the serial number or to the node '{}'", whom));
}

static Result<void> revoke(const RevokeOptions& options) {
  auto authority = IdentityFolder::open(options.authority);
  if (!authority.has_value()) return authority.error();
  const auto passphrase = authority_passphrase(options.secrets);
  if (!passphrase.has_value()) return passphrase.error();
  const auto issuer = open_authority(*authority, *passphrase);
  if (!issuer.has_value()) return issuer.error();
  const auto issued = authority->issued();
  if (!issued.has_value()) return issued.error();
  auto lists = authority->store().load_revocations();
  if (!lists.has_value()) return lists.error();
  const auto own = std::ranges::find_if(*lists, [&](const crypto::RevocationList& list) {
    return list.verify(issuer->chain.front()).has_value();
  });
  crypto::RevocationOptions wanted;
  wanted.now = authority->now();
  wanted.lifetime = options.lifetime;
  if (own != lists->end()) {
    wanted.number = own->number() + 1;
    wanted.serials = own->serials();
  }
  for (const std::string& whom : options.whom) {
    const auto serials = serials_of(*issued, whom);
    if (!serials.has_value()) return serials.error();
    wanted.serials.insert(wanted.serials.end(), serials->begin(), serials->end());
  }
  auto list = crypto::revoke(issuer->key, issuer->chain.front(), wanted);
  if (!list.has_value()) return list.error();
  if (own != lists->end()) {
    *own = std::move(*list);
  } else {
    lists->push_back(std::move(*list));
  }
  return authority->store().store_revocations(*lists);
}

static Result<void> update(const UpdateOptions& options) {
  auto authority = IdentityFolder::open(options.authority);
  if (!authority.has_value()) return authority.error();
  auto folder = IdentityFolder::open(options.folder);
  if (!folder.has_value()) return folder.error();
  if (const auto own = folder->store().load_certificate(); !own.has_value()) return own.error();
  return copy_trust(*authority, *folder);
}

static int end(const Globals& globals, const Result<void>& done, std::string_view what,
               const std::string& folder) {
  if (!done.has_value()) return fail(what, done.error());
  return run_show(globals, ShowOptions{folder});
}

}  // namespace identity_detail

int run_new_authority(const Globals& globals, const NewAuthorityOptions& options) {
  return identity_detail::end(globals, identity_detail::new_authority(options),
                              "cannot make the authority", options.folder);
}

int run_new_identity(const Globals& globals, const NewIdentityOptions& options) {
  return identity_detail::end(globals, identity_detail::new_identity(options),
                              "cannot make the identity", options.folder);
}

int run_rotate(const Globals& globals, const RotateOptions& options) {
  return identity_detail::end(globals, identity_detail::rotate(options),
                              "cannot rotate the identity", options.folder);
}

int run_revoke(const Globals& globals, const RevokeOptions& options) {
  return identity_detail::end(globals, identity_detail::revoke(options), "cannot revoke",
                              options.authority);
}

int run_update(const Globals& globals, const UpdateOptions& options) {
  return identity_detail::end(globals, identity_detail::update(options),
                              "cannot update the identity", options.folder);
}

}  // namespace velo::cli
