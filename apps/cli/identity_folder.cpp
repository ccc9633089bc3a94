// SPDX-License-Identifier: Apache-2.0
// Passphrases, folders, and the record of an authority.

#include "identity_folder.hpp"

#include "input_file.hpp"

#include <velo/crypto/limits.hpp>
#include <velo/crypto/seal.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace velo::cli {

namespace identity_folder_detail {

constexpr std::size_t passphrase_bytes_max = 4096;

static runtime::RuntimeOptions small_world() {
  runtime::RuntimeOptions options;
  options.workers = 1;
  return options;
}

static Result<std::string> line_of(const std::string& file,
                                   const std::vector<const char*>& variables) {
  if (!file.empty()) return read_input(file, passphrase_bytes_max);
  for (const char* name : variables) {
    if (const char* value = std::getenv(name); value != nullptr) return std::string(value);
  }
  return make_error(Errc::not_found, "no passphrase");
}

}  // namespace identity_folder_detail

Passphrase::Passphrase(Passphrase&& other) noexcept : text_(std::move(other.text_)) {
  // What a short text leaves behind is in the other object.
  if (other.text_.has_value()) crypto::wipe(*other.text_);
  other.text_.reset();
}

Passphrase::~Passphrase() {
  if (text_.has_value()) crypto::wipe(*text_);
}

Result<Passphrase> read_passphrase(const std::string& file,
                                   const std::vector<const char*>& variables) {
  auto text = identity_folder_detail::line_of(file, variables);
  if (!text.has_value() && file.empty()) return Passphrase();
  if (!text.has_value()) return text.error();
  text->resize(std::min(text->size(), text->find_first_of("\r\n")));
  if (text->empty()) return make_error(Errc::invalid_argument, "the passphrase is empty");
  return Passphrase(std::move(*text));
}

Result<Passphrase> own_passphrase(const Passphrases& secrets) {
  return read_passphrase(secrets.own_file, {"VELO_PASSPHRASE"});
}

Result<Passphrase> authority_passphrase(const Passphrases& secrets) {
  if (!secrets.authority_file.empty()) return read_passphrase(secrets.authority_file, {});
  if (std::getenv("VELO_AUTHORITY_PASSPHRASE") != nullptr) {
    return read_passphrase("", {"VELO_AUTHORITY_PASSPHRASE"});
  }
  return own_passphrase(secrets);
}

IdentityFolder::IdentityFolder(std::unique_ptr<runtime::RealWorld> world, std::string folder)
    : world_(std::move(world)), folder_(std::move(folder)), store_(world_->files(), folder_) {}

Result<IdentityFolder> IdentityFolder::open(const std::string& folder) {
  auto world = runtime::RealWorld::create(identity_folder_detail::small_world());
  if (!world.has_value()) return world.error();
  return IdentityFolder(std::move(*world), folder);
}

Result<void> IdentityFolder::record(const crypto::Certificate& certificate) {
  const std::string issued = folder_ + "/issued";
  if (auto made = world_->files().create_directories(issued); !made.has_value()) return made;
  const std::string text = certificate.to_pem();
  return world_->files().write_atomic(fmt::format("{}/{}.pem", issued, certificate.serial()),
                                      as_bytes(text));
}

Result<std::vector<crypto::Certificate>> IdentityFolder::issued() {
  std::vector<crypto::Certificate> all;
  const auto listed = world_->files().list(folder_ + "/issued");
  if (!listed.has_value() && listed.error().is(Errc::not_found)) return all;
  if (!listed.has_value()) return listed.error();
  for (const FileInfo& file : *listed) {
    const auto text = world_->files().read(fmt::format("{}/issued/{}", folder_, file.name),
                                           crypto::limits::file_bytes_max);
    if (!text.has_value()) return text.error();
    auto certificate = crypto::Certificate::from_pem(text->text());
    if (!certificate.has_value()) return certificate.error();
    all.push_back(std::move(*certificate));
  }
  return all;
}

Result<std::vector<crypto::Certificate>> issue_from(IdentityFolder& authority,
                                                    const crypto::Credentials& issuer,
                                                    const crypto::PublicKey& key,
                                                    const crypto::IssueOptions& options) {
  auto certificate = crypto::issue(issuer.key, &issuer.chain.front(), key, options);
  if (!certificate.has_value()) return certificate.error();
  if (auto recorded = authority.record(*certificate); !recorded.has_value()) {
    return recorded.error();
  }
  std::vector<crypto::Certificate> chain{std::move(*certificate)};
  // What everybody trusts need not be sent.
  const std::vector<crypto::Certificate>& trusted = issuer.trust->options().authorities;
  for (const crypto::Certificate& above : issuer.chain) {
    if (std::ranges::find(trusted, above) == trusted.end()) chain.push_back(above);
  }
  return chain;
}

Result<void> copy_trust(IdentityFolder& authority, IdentityFolder& node) {
  const auto trust = authority.store().load_trust();
  if (!trust.has_value()) return trust.error();
  const auto lists = authority.store().load_revocations();
  if (!lists.has_value()) return lists.error();
  // The lists are of these authorities, so they come second.
  if (auto stored = node.store().store_trust(*trust); !stored.has_value()) return stored;
  return node.store().store_revocations(*lists);
}

}  // namespace velo::cli
