// SPDX-License-Identifier: Apache-2.0
// What the tests over QUIC share: an authority, who it vouches for, and two started transports that
// are connected in a simulated network.
// Threading: the test's thread.
#pragma once

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>
#include <velo/transport/backends/quic.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::quic_testing {

/// Valid at whatever time a World believes it to be.
constexpr WallTime early{978'307'200'000'000'000};  // 2001-01-01
constexpr Duration day = std::chrono::hours(24);
constexpr Duration long_life = 36'500 * day;

inline crypto::PrivateKey key(std::uint8_t number) {
  std::array<std::byte, 32> seed{};
  seed[0] = std::byte{number};
  return crypto::PrivateKey::ed25519_from_seed(seed).value();
}

/// An authority and what it issues.
class Authority {
 public:
  explicit Authority(std::uint8_t number) : key_(key(number)) {
    crypto::IssueOptions options;
    options.common_name = "authority";
    options.purpose = crypto::Purpose::authority;
    options.not_before = early;
    options.lifetime = long_life;
    certificate_ = crypto::issue(key_, nullptr, key_.public_key(), options).value();
  }

  const crypto::Certificate& certificate() const noexcept { return certificate_; }
  const crypto::PrivateKey& private_key() const noexcept { return key_; }

  static crypto::IssueOptions options(std::string name,
                                      crypto::Purpose purpose = crypto::Purpose::peer) {
    crypto::IssueOptions options;
    options.common_name = std::move(name);
    options.purpose = purpose;
    options.not_before = early;
    options.lifetime = long_life;
    return options;
  }

  crypto::Certificate issue(const crypto::PrivateKey& to,
                            const crypto::IssueOptions& options) const {
    return crypto::issue(key_, &certificate_, to.public_key(), options).value();
  }

  std::shared_ptr<const crypto::TrustStore> trusted(
      std::vector<crypto::RevocationList> revoked = {}) const {
    crypto::TrustOptions options;
    options.authorities = {certificate_};
    options.revocations = std::move(revoked);
    return crypto::TrustStore::create(std::move(options)).value();
  }

  /// Of a node with the key of that number, who believes this authority.
  crypto::Credentials credentials(std::uint8_t number) const {
    return credentials(number, options("node " + std::to_string(number)));
  }
  crypto::Credentials credentials(std::uint8_t number, const crypto::IssueOptions& options) const {
    crypto::Credentials made;
    made.key = key(number);
    made.chain = {issue(made.key, options)};
    made.trust = trusted();
    return made;
  }

 private:
  crypto::PrivateKey key_;
  crypto::Certificate certificate_;
};

/// The one that all tests trust that do not say otherwise.
inline const Authority& authority() {
  static const Authority one(1);
  return one;
}

inline std::shared_ptr<crypto::CredentialSource> source(crypto::Credentials credentials) {
  return crypto::CredentialSource::create(std::move(credentials)).value();
}

inline QuicOptions options(std::uint8_t number) {
  QuicOptions options;
  options.credentials = source(authority().credentials(number));
  return options;
}

}  // namespace velo::transport::quic_testing
