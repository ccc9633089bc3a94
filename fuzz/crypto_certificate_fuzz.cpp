// SPDX-License-Identifier: Apache-2.0
// Any bytes as a certificate, as a chain of them in PEM and as a key; what is accepted is within
// its limits, is written and read back the same, and is judged without harm.

#include <velo/base/check.hpp>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/limits.hpp>
#include <velo/crypto/trust.hpp>

#include <array>
#include <vector>

namespace velo::crypto::certificate_fuzz {

constexpr WallTime now{1'767'225'600'000'000'000};

static const PrivateKey& authority_key() {
  static const PrivateKey key = PrivateKey::ed25519_from_seed(std::array<std::byte, 32>{}).value();
  return key;
}

static const Certificate& authority() {
  static const Certificate certificate = [] {
    IssueOptions options;
    options.common_name = "authority";
    options.purpose = Purpose::authority;
    options.not_before = now;
    return issue(authority_key(), nullptr, authority_key().public_key(), options).value();
  }();
  return certificate;
}

static const TrustStore& trust(const NodeId& pinned) {
  static std::shared_ptr<const TrustStore> of_authority = [] {
    TrustOptions options;
    options.authorities = {authority()};
    return TrustStore::create(options).value();
  }();
  static std::shared_ptr<const TrustStore> of_pinned;
  if (!pinned.valid()) return *of_authority;
  TrustOptions options;
  options.pinned = {pinned};
  of_pinned = TrustStore::create(options).value();
  return *of_pinned;
}

/// Its names are good enough to be issued again.
static void reissue(const Certificate& certificate) {
  IssueOptions options;
  options.names = certificate.names();
  options.not_before = now;
  const auto issued = issue(authority_key(), &authority(), certificate.public_key(), options);
  if (!issued.has_value()) return;
  VELO_CHECK(issued->names().size() == certificate.names().size());
  const std::vector<Certificate> chain{*issued};
  VELO_CHECK(trust(NodeId()).verify(chain, Purpose::peer, now).has_value());
}

static void check(const Certificate& certificate) {
  VELO_CHECK(certificate.valid());
  VELO_CHECK(certificate.names().size() <= limits::names_max);
  VELO_CHECK(!certificate.serial().empty() && certificate.serial().size() <= 40);
  VELO_CHECK(certificate.node_id().valid());
  VELO_CHECK(certificate.native() != nullptr);
  for (const std::string& name : {certificate.common_name(), certificate.issuer_common_name()}) {
    VELO_CHECK(name.size() <= limits::name_bytes_max);
    VELO_CHECK(name.find('\0') == std::string::npos);
  }
  const auto again = Certificate::from_pem(certificate.to_pem());
  VELO_CHECK(again.has_value() && *again == certificate);
  for (const Purpose purpose :
       {Purpose::peer, Purpose::client, Purpose::server, Purpose::authority}) {
    const bool allowed = certificate.allows(purpose);
    const std::vector<Certificate> chain{certificate, authority()};
    const WallTime middle{certificate.not_before().unix_nanoseconds / 2 +
                          certificate.not_after().unix_nanoseconds / 2};
    const auto pinned = trust(certificate.node_id()).verify(chain, purpose, middle);
    const auto judged = trust(NodeId()).verify(chain, purpose, middle);
    VELO_CHECK(allowed || (!pinned.has_value() && !judged.has_value()));
  }
  reissue(certificate);
}

/// Once: too long for any corpus.
static bool refuses_huge_text() {
  return !Certificate::chain_from_pem(std::string(limits::file_bytes_max + 1, '-')).has_value();
}

static void check_keys(ByteSpan bytes) {
  if (const auto key = PublicKey::from_der(bytes); key.has_value()) {
    VELO_CHECK(ByteSpan(key->der()).size() == bytes.size());
    VELO_CHECK(!key->verify(bytes, bytes).has_value());
  }
  auto key = PrivateKey::from_der(bytes);
  if (!key.has_value()) key = PrivateKey::from_pem(as_text(bytes));
  if (!key.has_value()) return;
  const auto again = PrivateKey::from_der(key->to_der());
  VELO_CHECK(again.has_value() && again->public_key() == key->public_key());
  const auto signature = key->sign(bytes);
  VELO_CHECK(signature.has_value());
  VELO_CHECK(key->public_key().verify(bytes, *signature).has_value());
}

}  // namespace velo::crypto::certificate_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  namespace fuzzed = velo::crypto::certificate_fuzz;
  static const bool is_bounded = fuzzed::refuses_huge_text();
  VELO_CHECK(is_bounded);
  if (const auto certificate = velo::crypto::Certificate::from_der(velo::as_bytes(text));
      certificate.has_value()) {
    fuzzed::check(*certificate);
  }
  if (const auto chain = velo::crypto::Certificate::chain_from_pem(text); chain.has_value()) {
    VELO_CHECK(!chain->empty() && chain->size() <= velo::crypto::limits::chain_length_max);
    for (const auto& certificate : *chain) fuzzed::check(certificate);
  }
  fuzzed::check_keys(velo::as_bytes(text));
  return 0;
}
