// SPDX-License-Identifier: Apache-2.0
// Two self-signed certificates that are pinned.

#include "bench_identity.hpp"

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace velo::bench {
namespace bench_identity_detail {

/// 2025-01-01; the certificates are valid for twenty years.
constexpr WallTime begin{1'735'689'600'000'000'000};

static crypto::PrivateKey key_of(bool is_server) {
  std::array<std::byte, 32> seed{};
  seed[0] = std::byte{is_server ? std::uint8_t{1} : std::uint8_t{2}};
  return crypto::PrivateKey::ed25519_from_seed(seed).value();
}

}  // namespace bench_identity_detail

std::shared_ptr<crypto::CredentialSource> bench_credentials(std::string_view name) {
  using namespace bench_identity_detail;
  crypto::Credentials credentials;
  credentials.key = key_of(name == "server");
  crypto::IssueOptions options;
  options.common_name = name;
  options.not_before = begin;
  options.lifetime = std::chrono::hours(24 * 365 * 20);
  credentials.chain = {
      crypto::issue(credentials.key, nullptr, credentials.key.public_key(), options).value()};
  crypto::TrustOptions trust;
  trust.pinned = {key_of(true).public_key().node_id(), key_of(false).public_key().node_id()};
  credentials.trust = crypto::TrustStore::create(std::move(trust)).value();
  return crypto::CredentialSource::create(std::move(credentials)).value();
}

}  // namespace velo::bench
