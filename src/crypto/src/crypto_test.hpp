// SPDX-License-Identifier: Apache-2.0
// What the tests of this room share: an authority, nodes below it, and a fixed time.
// Threading: pure.
#pragma once

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>

#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "openssl.hpp"

namespace velo::crypto::testing {

/// 2026-01-01; no test reads a clock.
constexpr WallTime new_year{1'767'225'600'000'000'000};
constexpr Duration day = std::chrono::hours(24);

inline Bytes hex(std::string_view text) {
  std::vector<std::byte> bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint8_t value = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
    bytes[i] = std::byte{value};
  }
  return Bytes::own(std::move(bytes));
}

inline PrivateKey key(std::uint8_t number) {
  std::array<std::byte, 32> seed{};
  seed[0] = std::byte{number};
  return PrivateKey::ed25519_from_seed(seed).value();
}

/// A key with its certificate.
struct Holder {
  PrivateKey key;
  Certificate certificate;
};

inline IssueOptions options_of(std::string name, Purpose purpose = Purpose::peer) {
  IssueOptions options;
  options.common_name = std::move(name);
  options.purpose = purpose;
  options.not_before = new_year;
  return options;
}

inline Holder root(std::string name = "root", std::uint8_t number = 1, int path_length = 1) {
  IssueOptions options = options_of(std::move(name), Purpose::authority);
  options.path_length = path_length;
  options.lifetime = 3650 * day;
  PrivateKey own = key(number);
  auto issued = issue(own, nullptr, own.public_key(), options);
  return {std::move(own), std::move(issued).value()};
}

inline Holder below(const Holder& issuer, std::uint8_t number, const IssueOptions& options) {
  PrivateKey own = key(number);
  auto issued = issue(issuer.key, &issuer.certificate, own.public_key(), options);
  return {std::move(own), std::move(issued).value()};
}

inline std::shared_ptr<const TrustStore> trust_in(std::vector<Certificate> authorities,
                                                  std::vector<RevocationList> lists = {}) {
  TrustOptions options;
  options.authorities = std::move(authorities);
  options.revocations = std::move(lists);
  return TrustStore::create(std::move(options)).value();
}

template <class T, class E>
::testing::AssertionResult fails(const Result<T>& result, E code) {
  if (result.has_value()) return ::testing::AssertionFailure() << "it succeeded";
  if (result.error().is(code)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "it says " << result.error().to_string();
}

}  // namespace velo::crypto::testing
