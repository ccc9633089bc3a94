// SPDX-License-Identifier: Apache-2.0
// Those who are not let in, many of them, in every wrong way: what they make a listener hold is
// bounded while they try and nothing afterwards.

#include "testing/tls_arena.hpp"

#include <velo/crypto/trust.hpp>

#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <string>
#include <utility>

namespace velo::transport {
namespace tls_identity_flood_test {

namespace conf = velo::transport::conformance;
using tls::testing::foreign_node;
using tls::testing::ForeignOptions;

constexpr Duration day = std::chrono::hours(24);

static ForeignOptions presenting(const conf::Identity& identity) {
  ForeignOptions options;
  options.identity = identity;
  return options;
}

static ForeignOptions issued(const crypto::IssueOptions& options) {
  return presenting(conf::make_identity(conf::test_authority(), 9, options));
}

class TlsIdentityFlood : public tls::testing::TlsArena {
 protected:
  /// A listener that knows of a certificate that was withdrawn.
  void SetUp() override {
    const conf::Identity& authority = conf::test_authority();
    lost_ = conf::make_identity(authority, 9, conf::issue_options("lost"));
    crypto::RevocationOptions list;
    list.serials = {lost_.certificate.serial()};
    list.now = conf::identities_begin;
    list.lifetime = 3650 * day;
    crypto::TrustOptions trust;
    trust.authorities = {authority.certificate};
    trust.revocations = {crypto::revoke(authority.key, authority.certificate, list).value()};
    TlsOptions options;
    options.credentials =
        conf::credentials_of(conf::make_identity(authority, 1, conf::issue_options("own")),
                             crypto::TrustStore::create(std::move(trust)).value());
    start(std::move(options));
    // What OpenSSL and the simulation make once.
    rush(foreign_node(9), 40);
    for (auto& end : accepted) end.connection->close(make_error(Errc::closed_locally));
    simulation.run_for(std::chrono::seconds(2));
    accepted.clear();
    foreign.clear();
  }

  /// As many as `count` at once, up to their end.
  void rush(const ForeignOptions& options, std::size_t count) {
    const std::size_t most = count * tls::handshake_memory_bytes;
    for (std::size_t i = 0; i < count; ++i) reach_from(other);
    ASSERT_TRUE(
        simulation.run_until([&] { return streams.size() == count; }, std::chrono::seconds(5)));
    for (auto& stream : streams) {
      foreign.push_back(std::make_unique<tls::testing::ForeignPeer>(std::move(stream), options));
    }
    streams.clear();
    attempts.clear();
    for (int i = 0; i < 200; ++i) {
      simulation.run_for(std::chrono::milliseconds(10));
      ASSERT_LE(budget->used(), most);
    }
  }

  void expect_bounded(const ForeignOptions& options, GateRefusal reason) {
    constexpr std::size_t count = 40;
    constexpr int times = 5;
    const std::uint64_t before = server->gate_counts().refused_for(reason);
    rush(options, count);
    foreign.clear();
    const std::size_t held = ::mallinfo2().uordblks;
    for (int i = 1; i < times; ++i) {
      rush(options, count);
      foreign.clear();
    }
    EXPECT_EQ(server->gate_counts().refused_for(reason), before + times * count);
    EXPECT_TRUE(accepted.empty());
    EXPECT_EQ(budget->used(), 0U);
    EXPECT_EQ(server->gate_counts().unauthenticated, 0U);
    // 160 that left less than 1 KiB each.
    EXPECT_LE(::mallinfo2().uordblks, held + (std::size_t{160} << 10));
  }

  conf::Identity lost_;
};

TEST_F(TlsIdentityFlood, OfDowngradesLeavesNothing) {
  ForeignOptions old = foreign_node(9);
  old.version = TLS1_2_VERSION;
  expect_bounded(old, GateRefusal::protocol);
}

TEST_F(TlsIdentityFlood, OfOtherProtocolsLeavesNothing) {
  ForeignOptions other_protocol = foreign_node(9);
  other_protocol.protocol = "h2";
  expect_bounded(other_protocol, GateRefusal::protocol);
}

TEST_F(TlsIdentityFlood, OfForgedIdentitiesLeavesNothing) {
  const conf::Identity forger = conf::make_authority("velo tests", 99);
  ForeignOptions forged = presenting(conf::make_identity(forger, 1, conf::issue_options("node 1")));
  forged.chain = {forger.certificate};
  expect_bounded(forged, GateRefusal::identity);
}

TEST_F(TlsIdentityFlood, WithoutCertificatesLeavesNothing) {
  expect_bounded(ForeignOptions(), GateRefusal::identity);
}

TEST_F(TlsIdentityFlood, OfExpiredCertificatesLeavesNothing) {
  crypto::IssueOptions expired = conf::issue_options("expired");
  expired.lifetime = day;
  expect_bounded(issued(expired), GateRefusal::identity);
}

TEST_F(TlsIdentityFlood, OfCertificatesThatAreNotYetValidLeavesNothing) {
  crypto::IssueOptions early = conf::issue_options("from the future");
  early.not_before = WallTime{conf::identities_begin.unix_nanoseconds + (3650 * day).count()};
  early.lifetime = 30 * day;
  expect_bounded(issued(early), GateRefusal::identity);
}

TEST_F(TlsIdentityFlood, OfCertificatesForAnotherPurposeLeavesNothing) {
  expect_bounded(issued(conf::issue_options("server", crypto::Purpose::server)),
                 GateRefusal::identity);
}

TEST_F(TlsIdentityFlood, OfRevokedCertificatesLeavesNothing) {
  expect_bounded(presenting(lost_), GateRefusal::identity);
}

}  // namespace tls_identity_flood_test
}  // namespace velo::transport
