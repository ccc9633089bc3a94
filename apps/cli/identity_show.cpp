// SPDX-License-Identifier: Apache-2.0
// `velo identity show`: who a folder is. It needs no passphrase, and opens no key.

#include "identity_folder.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

#include <ctime>
#include <optional>
#include <utility>

namespace velo::cli {

struct AuthorityShown {
  std::string name;
  std::string node;
  std::string serial;
  std::string expires;
};
VELO_DESCRIBE(AuthorityShown, name, node, serial, expires);

struct RevocationsShown {
  std::string issuer;
  std::uint64_t number = 0;
  std::string made;
  std::string renew_before;
  std::vector<std::string> serials;
};
VELO_DESCRIBE(RevocationsShown, issuer, number, made, renew_before, serials);

struct IssuedShown {
  std::string name;
  std::string node;
  std::string serial;
  std::string expires;
  std::string state;
};
VELO_DESCRIBE(IssuedShown, name, node, serial, expires, state);

struct IdentityShown {
  std::string node;
  std::string name;
  std::vector<std::string> names;
  std::string purpose;
  std::string serial;
  std::string issuer;
  std::string valid_from;
  std::string expires;
  std::string state;  ///< "valid", or the name of the error that others would see
  bool sealed = false;
  std::vector<AuthorityShown> authorities;
  std::vector<RevocationsShown> revocations;
  std::vector<IssuedShown> issued;
};
VELO_DESCRIBE(IdentityShown, node, name, names, purpose, serial, issuer, valid_from, expires, state,
              sealed, authorities, revocations, issued);

namespace identity_show_detail {

static std::string time_text(WallTime time) {
  const std::time_t seconds = time.unix_nanoseconds / 1'000'000'000;
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "?";
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

static std::string purpose_text(const crypto::Certificate& certificate) {
  if (certificate.is_authority()) return "authority";
  if (certificate.allows(crypto::Purpose::peer)) return "peer";
  if (certificate.allows(crypto::Purpose::server)) return "server";
  return certificate.allows(crypto::Purpose::client) ? "client" : "none";
}

/// As another node with the same trust would judge.
static std::string state_text(const crypto::TrustStore& trust,
                              const std::vector<crypto::Certificate>& chain, WallTime now) {
  const std::string purpose = purpose_text(chain.front());
  crypto::Purpose asked = crypto::Purpose::client;
  if (purpose == "authority") asked = crypto::Purpose::authority;
  if (purpose == "peer") asked = crypto::Purpose::peer;
  if (purpose == "server") asked = crypto::Purpose::server;
  const auto judged = trust.verify(chain, asked, now);
  if (judged.has_value()) return "valid";
  const std::string name = error_code_name(judged.error().code());
  return name.substr(name.find('.') + 1);
}

static std::vector<AuthorityShown> show_authorities(
    const std::vector<crypto::Certificate>& authorities) {
  std::vector<AuthorityShown> shown;
  for (const crypto::Certificate& each : authorities) {
    shown.push_back({each.common_name(), each.node_id().to_string(), each.serial(),
                     time_text(each.not_after())});
  }
  return shown;
}

static std::vector<RevocationsShown> show_revocations(
    const std::vector<crypto::RevocationList>& lists) {
  std::vector<RevocationsShown> shown;
  for (const crypto::RevocationList& each : lists) {
    shown.push_back({each.issuer_common_name(), each.number(), time_text(each.this_update()),
                     time_text(each.next_update()), each.serials()});
  }
  return shown;
}

static Result<IdentityShown> read(const std::string& path) {
  auto folder = IdentityFolder::open(path);
  if (!folder.has_value()) return folder.error();
  const auto chain = folder->store().load_certificate();
  if (!chain.has_value()) return chain.error();
  auto authorities = folder->store().load_trust();
  if (!authorities.has_value()) return authorities.error();
  auto lists = folder->store().load_revocations();
  if (!lists.has_value()) return lists.error();
  const auto sealed = folder->store().key_is_sealed();
  if (!sealed.has_value()) return sealed.error();
  const auto issued = folder->issued();
  if (!issued.has_value()) return issued.error();

  IdentityShown shown;
  const crypto::Certificate& leaf = chain->front();
  shown.node = leaf.node_id().to_string();
  shown.name = leaf.common_name();
  shown.names = leaf.names();
  shown.purpose = purpose_text(leaf);
  shown.serial = leaf.serial();
  shown.issuer = leaf.issuer_common_name();
  shown.valid_from = time_text(leaf.not_before());
  shown.expires = time_text(leaf.not_after());
  shown.sealed = *sealed;
  shown.authorities = show_authorities(*authorities);
  shown.revocations = show_revocations(*lists);
  crypto::TrustOptions options;
  options.authorities = std::move(*authorities);
  options.revocations = std::move(*lists);
  const auto trust = crypto::TrustStore::create(std::move(options));
  if (!trust.has_value()) return trust.error();
  shown.state = state_text(**trust, *chain, folder->now());
  for (const crypto::Certificate& each : *issued) {
    shown.issued.push_back({each.common_name(), each.node_id().to_string(), each.serial(),
                            time_text(each.not_after()),
                            state_text(**trust, {each}, folder->now())});
  }
  return shown;
}

static void print(const IdentityShown& shown) {
  std::vector<std::vector<std::string>> rows{
      {"node", shown.node},
      {"name", shown.name},
      {"names", fmt::format("{}", fmt::join(shown.names, " "))},
      {"purpose", shown.purpose},
      {"serial", shown.serial},
      {"issuer", shown.issuer},
      {"valid from", shown.valid_from},
      {"expires", shown.expires},
      {"state", shown.state},
      {"key", shown.sealed ? "sealed" : "not sealed"}};
  for (const AuthorityShown& each : shown.authorities) {
    rows.push_back({"trusts", fmt::format("{} until {}", each.name, each.expires)});
  }
  for (const RevocationsShown& each : shown.revocations) {
    rows.push_back(
        {"revocations", fmt::format("{} of {}, to be renewed before {}", each.serials.size(),
                                    each.issuer, each.renew_before)});
  }
  print_line(table({"WHAT", "VALUE"}, rows));
  if (shown.issued.empty()) return;
  std::vector<std::vector<std::string>> issued;
  for (const IssuedShown& each : shown.issued) {
    issued.push_back({each.serial, each.name, each.expires, each.state});
  }
  print_line("");
  print_line(table({"ISSUED", "NAME", "EXPIRES", "STATE"}, issued));
}

}  // namespace identity_show_detail

int run_show(const Globals& globals, const ShowOptions& options) {
  const auto shown = identity_show_detail::read(options.folder);
  if (!shown.has_value()) return fail("cannot show the identity", shown.error());
  if (globals.output == OutputFormat::json) {
    print_line(to_json(*shown));
  } else {
    identity_show_detail::print(*shown);
  }
  return exit_ok;
}

}  // namespace velo::cli
