// SPDX-License-Identifier: Apache-2.0
// Keys and certificates for tests.

#include <velo/transport/conformance/identities.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace velo::transport::conformance {

crypto::PrivateKey key_of(std::uint8_t number) {
  std::array<std::byte, 32> seed{};
  seed[0] = std::byte{number};
  seed[31] = std::byte{0x7e};
  return crypto::PrivateKey::ed25519_from_seed(seed).value();
}

crypto::IssueOptions issue_options(std::string name, crypto::Purpose purpose) {
  crypto::IssueOptions options;
  options.common_name = std::move(name);
  options.purpose = purpose;
  options.not_before = identities_begin;
  options.lifetime = std::chrono::hours(24 * 3650);
  return options;
}

Identity make_authority(const std::string& name, std::uint8_t number) {
  crypto::PrivateKey key = key_of(number);
  auto issued = crypto::issue(key, nullptr, key.public_key(),
                              issue_options(name, crypto::Purpose::authority));
  return {std::move(key), std::move(issued).value()};
}

Identity make_identity(const Identity& authority, std::uint8_t number,
                       const crypto::IssueOptions& options) {
  crypto::PrivateKey key = key_of(number);
  auto issued = crypto::issue(authority.key, &authority.certificate, key.public_key(), options);
  return {std::move(key), std::move(issued).value()};
}

std::shared_ptr<const crypto::TrustStore> trust_in(std::vector<crypto::Certificate> authorities) {
  crypto::TrustOptions options;
  options.authorities = std::move(authorities);
  return crypto::TrustStore::create(std::move(options)).value();
}

std::shared_ptr<crypto::CredentialSource> credentials_of(
    const Identity& identity, std::shared_ptr<const crypto::TrustStore> trust) {
  crypto::Credentials credentials;
  credentials.key = identity.key;
  credentials.chain = {identity.certificate};
  credentials.trust = std::move(trust);
  return crypto::CredentialSource::create(std::move(credentials)).value();
}

const Identity& test_authority() {
  static const Identity authority = make_authority("velo tests", 200);
  return authority;
}

std::shared_ptr<crypto::CredentialSource> test_credentials(std::uint8_t number) {
  static const auto trust = trust_in({test_authority().certificate});
  const Identity node =
      make_identity(test_authority(), number, issue_options("node " + std::to_string(number)));
  return credentials_of(node, trust);
}

}  // namespace velo::transport::conformance
