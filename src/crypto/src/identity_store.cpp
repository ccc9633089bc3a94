// SPDX-License-Identifier: Apache-2.0
// The folder of an identity. What is written first is found by nobody until the certificate, which
// names its key, is replaced; what is left of an earlier state is removed last.

#include <velo/crypto/identity_store.hpp>

#include <velo/crypto/limits.hpp>
#include <velo/crypto/seal.hpp>

#include <algorithm>
#include <utility>

#include "certificate_names.hpp"
#include "pem.hpp"
#include "wiped.hpp"

namespace velo::crypto {
namespace identity_store_detail {

constexpr std::string_view certificate_file = "certificate.pem";
constexpr std::string_view trust_file = "trust.pem";
constexpr std::string_view revoked_file = "revoked.pem";
constexpr std::string_view lock_file = "lock";
constexpr std::string_view key_prefix = "key-";
constexpr std::string_view plain_suffix = ".pem";
constexpr std::string_view sealed_suffix = ".sealed";
/// Rotations that a reader may meet while it reads.
constexpr int attempts_max = 64;

static std::string key_file(const NodeId& node, std::string_view suffix) {
  return std::string(key_prefix) + node.to_string() + std::string(suffix);
}

static bool is_key_file(std::string_view name) {
  return name.starts_with(key_prefix) &&
         (name.ends_with(plain_suffix) || name.ends_with(sealed_suffix));
}

static std::string context_of(const NodeId& node) { return "velo key " + node.to_string(); }

static std::string pem_of(const std::vector<Certificate>& certificates) {
  std::string text;
  for (const Certificate& certificate : certificates) text += certificate.to_pem();
  return text;
}

/// The bytes of a secret file, cleared when they are no longer needed.
static Result<Bytes> read_secret(Files& files, const std::string& path) {
  auto file = files.read_secret(path, limits::file_bytes_max);
  if (!file.has_value()) return file.error();
  Bytes copy = wiped_copy(file->contents);
  wipe(std::span(file->contents));
  if (!file->owner_only) {
    return make_error(Errc::unsafe_permissions,
                      path + " can be opened or replaced by other users, or is another user's");
  }
  return copy;
}

static Error invalid(std::string context) {
  return make_error(velo::Errc::invalid_argument, std::move(context));
}

static Result<void> check_chain(const std::vector<Certificate>& chain) {
  if (chain.empty() || chain.size() > limits::chain_length_max ||
      !std::ranges::all_of(chain, &Certificate::valid)) {
    return invalid("a chain has a leaf and at most seven authorities");
  }
  return {};
}

}  // namespace identity_store_detail

IdentityStore::IdentityStore(Files& files, std::string folder)
    : files_(files), folder_(std::move(folder)) {}

std::string IdentityStore::path(std::string_view name) const {
  return folder_ + "/" + std::string(name);
}

Result<std::string> IdentityStore::read_text(std::string_view name) const {
  const auto contents = files_.read(path(name), limits::file_bytes_max);
  if (!contents.has_value()) return contents.error();
  return contents->to_string();
}

Result<std::vector<std::string>> IdentityStore::key_files() const {
  const auto listed = files_.list(folder_);
  if (!listed.has_value()) return listed.error();
  std::vector<std::string> names;
  for (const FileInfo& file : *listed) {
    if (identity_store_detail::is_key_file(file.name)) names.push_back(file.name);
  }
  return names;
}

Result<void> IdentityStore::write_key(const PrivateKey& key,
                                      std::optional<std::string_view> passphrase) {
  const NodeId node = key.public_key().node_id();
  if (!passphrase.has_value()) {
    std::string text = key.to_pem();
    auto written = files_.write_atomic(
        path(identity_store_detail::key_file(node, identity_store_detail::plain_suffix)),
        as_bytes(text));
    wipe(text);
    return written;
  }
  const auto sealed =
      seal_with_passphrase(*passphrase, key.to_der(), identity_store_detail::context_of(node));
  if (!sealed.has_value()) return sealed.error();
  return files_.write_atomic(
      path(identity_store_detail::key_file(node, identity_store_detail::sealed_suffix)), *sealed);
}

Result<PrivateKey> IdentityStore::read_key(const NodeId& node,
                                           std::optional<std::string_view> passphrase) const {
  const auto sealed = identity_store_detail::read_secret(
      files_, path(identity_store_detail::key_file(node, identity_store_detail::sealed_suffix)));
  if (sealed.has_value() && passphrase.has_value()) {
    const auto der =
        open_with_passphrase(*passphrase, *sealed, identity_store_detail::context_of(node));
    if (!der.has_value()) return der.error();
    return PrivateKey::from_der(*der);
  }
  // Both are there while one takes the place of the other.
  const auto plain = identity_store_detail::read_secret(
      files_, path(identity_store_detail::key_file(node, identity_store_detail::plain_suffix)));
  if (plain.has_value()) return PrivateKey::from_pem(plain->text());
  if (!plain.error().is(velo::Errc::not_found)) return plain.error();
  if (sealed.has_value()) return make_error(Errc::wrong_secret, "the key needs its passphrase");
  return sealed.error();
}

Result<void> IdentityStore::create_key(const PrivateKey& key,
                                       std::optional<std::string_view> passphrase) {
  if (!key.valid()) return identity_store_detail::invalid("an empty key");
  if (auto made = files_.create_directories(folder_); !made.has_value()) return made;
  const auto lock = files_.try_lock(path(identity_store_detail::lock_file));
  if (!lock.has_value()) return lock.error();
  const auto names = key_files();
  if (!names.has_value()) return names.error();
  if (!names->empty()) return make_error(velo::Errc::already_exists, folder_ + " has a key");
  return write_key(key, passphrase);
}

Result<PrivateKey> IdentityStore::load_key(std::optional<std::string_view> passphrase) const {
  Error missing = make_error(velo::Errc::not_found, folder_ + " has no key");
  for (int attempt = 0; attempt < identity_store_detail::attempts_max; ++attempt) {
    const auto chain = load_certificate();
    if (!chain.has_value() && !chain.error().is(velo::Errc::not_found)) return chain.error();
    if (!chain.has_value()) {
      // Before there is a certificate there is one key.
      const auto names = key_files();
      if (!names.has_value()) return names.error();
      if (names->size() != 1) return missing;
      const auto node = NodeId::parse(names->front().substr(
          identity_store_detail::key_prefix.size(), 2 * NodeId().bytes().size()));
      if (!node.has_value()) return make_error(Errc::malformed, names->front());
      return read_key(*node, passphrase);
    }
    auto key = read_key(chain->front().node_id(), passphrase);
    if (key.has_value() && key->public_key() != chain->front().public_key()) {
      return make_error(Errc::malformed, folder_ + " has another key than its certificate");
    }
    // A rotation may have removed it meanwhile; then there is a new certificate.
    if (key.has_value() || !key.error().is(velo::Errc::not_found)) return key;
    missing = key.error();
  }
  return missing;
}

Result<void> IdentityStore::rotate(const PrivateKey& key, const std::vector<Certificate>& chain,
                                   std::optional<std::string_view> passphrase) {
  if (auto checked = identity_store_detail::check_chain(chain); !checked.has_value()) {
    return checked;
  }
  if (!key.valid() || chain.front().public_key() != key.public_key()) {
    return identity_store_detail::invalid("key and certificate do not belong together");
  }
  const auto lock = files_.try_lock(path(identity_store_detail::lock_file));
  if (!lock.has_value()) return lock.error();
  const auto old = load_certificate();
  if (!old.has_value()) return old.error();
  // What rotations left that crashed; first, so that it does not add up when more of them crash.
  auto collected = remove_keys_but(identity_store_detail::key_file(old->front().node_id(), ""));
  if (!collected.has_value()) return collected;
  if (auto written = write_key(key, passphrase); !written.has_value()) return written;
  auto replaced = files_.write_atomic(path(identity_store_detail::certificate_file),
                                      as_bytes(identity_store_detail::pem_of(chain)));
  if (!replaced.has_value()) return replaced;
  return remove_keys_but(identity_store_detail::key_file(
      key.public_key().node_id(), passphrase.has_value() ? identity_store_detail::sealed_suffix
                                                         : identity_store_detail::plain_suffix));
}

Result<void> IdentityStore::remove_keys_but(std::string_view prefix) {
  const auto names = key_files();
  if (!names.has_value()) return names.error();
  for (const std::string& name : *names) {
    if (name.starts_with(prefix)) continue;
    if (auto removed = files_.remove(path(name)); !removed.has_value()) return removed;
  }
  return {};
}

Result<void> IdentityStore::store_certificate(const std::vector<Certificate>& chain) {
  if (auto checked = identity_store_detail::check_chain(chain); !checked.has_value()) {
    return checked;
  }
  const auto lock = files_.try_lock(path(identity_store_detail::lock_file));
  if (!lock.has_value()) return lock.error();
  const auto names = key_files();
  if (!names.has_value()) return names.error();
  const std::string own = identity_store_detail::key_file(chain.front().node_id(), "");
  if (!std::ranges::any_of(*names,
                           [&](const std::string& name) { return name.starts_with(own); })) {
    return identity_store_detail::invalid("a certificate of another key than the folder's");
  }
  return files_.write_atomic(path(identity_store_detail::certificate_file),
                             as_bytes(identity_store_detail::pem_of(chain)));
}

Result<void> IdentityStore::store_trust(const std::vector<Certificate>& authorities) {
  if (authorities.empty() || authorities.size() > limits::authorities_max ||
      !std::ranges::all_of(authorities, &Certificate::is_authority)) {
    return identity_store_detail::invalid("no authorities, too many, or others among them");
  }
  const auto lock = files_.try_lock(path(identity_store_detail::lock_file));
  if (!lock.has_value()) return lock.error();
  return files_.write_atomic(path(identity_store_detail::trust_file),
                             as_bytes(identity_store_detail::pem_of(authorities)));
}

Result<void> IdentityStore::store_revocations(const std::vector<RevocationList>& lists) {
  if (lists.size() > limits::revocation_lists_max ||
      !std::ranges::all_of(lists, &RevocationList::valid)) {
    return identity_store_detail::invalid("too many revocation lists, or an empty one");
  }
  const auto lock = files_.try_lock(path(identity_store_detail::lock_file));
  if (!lock.has_value()) return lock.error();
  std::string text;
  for (const RevocationList& list : lists) text += list.to_pem();
  if (text.empty()) return files_.remove(path(identity_store_detail::revoked_file));
  if (text.size() > limits::file_bytes_max) {
    return identity_store_detail::invalid("revocation lists that are too large for one file");
  }
  return files_.write_atomic(path(identity_store_detail::revoked_file), as_bytes(text));
}

Result<std::vector<Certificate>> IdentityStore::load_certificate() const {
  const auto text = read_text(identity_store_detail::certificate_file);
  if (!text.has_value()) return text.error();
  return Certificate::chain_from_pem(*text);
}

Result<std::vector<Certificate>> IdentityStore::load_trust() const {
  const auto text = read_text(identity_store_detail::trust_file);
  if (!text.has_value()) return text.error();
  return read_certificates(*text, limits::authorities_max);
}

Result<std::vector<RevocationList>> IdentityStore::load_revocations() const {
  const auto text = read_text(identity_store_detail::revoked_file);
  if (!text.has_value() && text.error().is(velo::Errc::not_found)) {
    return std::vector<RevocationList>();
  }
  if (!text.has_value()) return text.error();
  return read_revocation_lists(*text);
}

Result<bool> IdentityStore::key_is_sealed() const {
  const auto names = key_files();
  if (!names.has_value()) return names.error();
  if (names->empty()) return make_error(velo::Errc::not_found, folder_ + " has no key");
  return std::ranges::none_of(*names, [](const std::string& name) {
    return name.ends_with(identity_store_detail::plain_suffix);
  });
}

Result<Credentials> IdentityStore::load(std::optional<std::string_view> passphrase) const {
  TrustOptions trust;
  auto authorities = load_trust();
  if (!authorities.has_value()) return authorities.error();
  auto lists = load_revocations();
  if (!lists.has_value()) return lists.error();
  trust.authorities = std::move(*authorities);
  trust.revocations = std::move(*lists);
  Credentials credentials;
  auto store = TrustStore::create(std::move(trust));
  if (!store.has_value()) return store.error();
  credentials.trust = std::move(*store);
  for (int attempt = 0; attempt < identity_store_detail::attempts_max; ++attempt) {
    auto chain = load_certificate();
    // A store without a key says that first.
    auto key =
        chain.has_value() ? read_key(chain->front().node_id(), passphrase) : load_key(passphrase);
    // A rotation may have removed it meanwhile; then there is a new certificate.
    if (chain.has_value() && !key.has_value() && key.error().is(velo::Errc::not_found)) continue;
    if (!key.has_value()) return key.error();
    if (!chain.has_value()) return chain.error();
    if (chain->front().public_key() != key->public_key()) {
      return make_error(Errc::malformed, folder_ + " has another key than its certificate");
    }
    credentials.key = std::move(*key);
    credentials.chain = std::move(*chain);
    return credentials;
  }
  if (auto key = load_key(passphrase); !key.has_value()) return key.error();
  return make_error(Errc::malformed, folder_ + " does not keep still");
}

}  // namespace velo::crypto
