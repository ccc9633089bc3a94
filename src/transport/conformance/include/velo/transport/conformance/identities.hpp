// SPDX-License-Identifier: Apache-2.0
// Identities for tests of secure transports: an authority and nodes below it, with keys made from
// numbers, valid from 2025 to 2035, so for real clocks and for simulated ones.
// Threading: functions are thread-safe; values.
#pragma once

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace velo::transport::conformance {

/// 2025-01-01.
constexpr WallTime identities_begin{1'735'689'600'000'000'000};

/// A key and its certificate.
struct Identity {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};

/// An Ed25519 key that is the same for the same number.
crypto::PrivateKey key_of(std::uint8_t number);
crypto::IssueOptions issue_options(std::string name,
                                   crypto::Purpose purpose = crypto::Purpose::peer);

Identity make_authority(const std::string& name, std::uint8_t number);
Identity make_identity(const Identity& authority, std::uint8_t number,
                       const crypto::IssueOptions& options);

/// Whoever one of the authorities confirmed is believed.
std::shared_ptr<const crypto::TrustStore> trust_in(std::vector<crypto::Certificate> authorities);
std::shared_ptr<crypto::CredentialSource> credentials_of(
    const Identity& identity, std::shared_ptr<const crypto::TrustStore> trust);

/// Node `number` (1 to 99) of the one authority that all tests of this process share, and believes
/// in it.
const Identity& test_authority();
std::shared_ptr<crypto::CredentialSource> test_credentials(std::uint8_t number);

}  // namespace velo::transport::conformance
