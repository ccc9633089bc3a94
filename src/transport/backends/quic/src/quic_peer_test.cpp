// SPDX-License-Identifier: Apache-2.0
// Who is let in and who is not: certificates of every wrong kind, on either side, and what both
// ends know of each other afterwards.

#include "testing/quic_pair.hpp"

#include <velo/crypto/error.hpp>

#include <gtest/gtest.h>

namespace velo::transport {
namespace quic_peer_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

static QuicOptions with(crypto::Credentials credentials) {
  QuicOptions options;
  options.credentials = source(std::move(credentials));
  return options;
}

/// Whom nobody here trusts; he trusts everybody here.
static crypto::Credentials forged() {
  static const Authority other(99);
  crypto::Credentials made = other.credentials(30);
  made.trust = authority().trusted();
  return made;
}

static crypto::Credentials expired() {
  crypto::IssueOptions options = Authority::options("expired");
  options.lifetime = day;
  return authority().credentials(31, options);
}

static crypto::Credentials not_yet_valid() {
  crypto::IssueOptions options = Authority::options("from the future");
  options.not_before = WallTime{4'000'000'000'000'000'000};
  options.lifetime = 30 * day;
  return authority().credentials(32, options);
}

static std::shared_ptr<const crypto::TrustStore> trust_without(
    const crypto::Certificate& withdrawn) {
  crypto::RevocationOptions options;
  options.serials = {withdrawn.serial()};
  options.now = early;
  options.lifetime = long_life;
  return authority().trusted(
      {crypto::revoke(authority().private_key(), authority().certificate(), options).value()});
}

}  // namespace quic_peer_test

using namespace quic_peer_test;  // NOLINT(google-build-using-namespace)

TEST(QuicPeers, KnowEachOtherAfterTheHandshake) {
  Pair pair(1);
  ASSERT_FALSE(pair.connect().has_value());
  const ConnectionSecurity& client = pair.client.connection->security();
  const ConnectionSecurity& server = pair.server.connection->security();
  EXPECT_TRUE(client.is_private);
  ASSERT_TRUE(client.authenticated());
  ASSERT_TRUE(server.authenticated());
  EXPECT_EQ(client.peer->common_name, "node 20");
  EXPECT_EQ(server.peer->common_name, "node 21");
  EXPECT_EQ(client.own_public_key, server.peer->public_key);
  EXPECT_EQ(server.own_public_key, client.peer->public_key);
  EXPECT_TRUE(client.protocol.starts_with("TLS 1.3, ")) << client.protocol;
  EXPECT_FALSE(client.same_host);
}

TEST(QuicPeers, AClientWhoIsNotBelievedIsRefusedAndToldWhy) {
  for (auto* wrong : {&forged, &expired, &not_yet_valid}) {
    Pair pair(2, options(20), with(wrong()));
    const auto refused = pair.connect();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(refused->is(Errc::not_authenticated)) << refused->to_string();
    EXPECT_FALSE(pair.server.connection) << "handed over without proof";
    const GateCounts gate = pair.server_counts().gate;
    EXPECT_EQ(gate.refused_for(GateRefusal::identity), 1U);
    EXPECT_EQ(gate.authenticated, 0U);
    EXPECT_TRUE(pair.until([&] { return pair.server_counts().gate.connections == 0; }));
  }
}

TEST(QuicPeers, AServerWhoIsNotBelievedIsLeft) {
  for (auto* wrong : {&forged, &expired, &not_yet_valid}) {
    Pair pair(3, with(wrong()), options(21));
    const auto refused = pair.connect();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(refused->is(Errc::not_authenticated)) << refused->to_string();
    EXPECT_FALSE(pair.server.connection);
  }
}

TEST(QuicPeers, ACertificateForTheOtherPurposeIsNotBelieved) {
  const auto server_only = Authority::options("a server", crypto::Purpose::server);
  const auto client_only = Authority::options("a client", crypto::Purpose::client);
  {
    Pair pair(4, options(20), with(authority().credentials(33, server_only)));
    const auto refused = pair.connect();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(refused->is(Errc::not_authenticated)) << refused->to_string();
  }
  {
    Pair pair(5, with(authority().credentials(34, client_only)), options(21));
    const auto refused = pair.connect();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(refused->is(Errc::not_authenticated)) << refused->to_string();
  }
  Pair pair(6, with(authority().credentials(33, server_only)),
            with(authority().credentials(34, client_only)));
  EXPECT_FALSE(pair.connect().has_value()) << "each for its own purpose";
}

TEST(QuicPeers, AWithdrawnCertificateIsNotBelieved) {
  crypto::Credentials client = authority().credentials(35);
  crypto::Credentials server = authority().credentials(20);
  server.trust = trust_without(client.chain.front());
  Pair pair(7, with(server), with(client));
  const auto refused = pair.connect();
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->is(Errc::not_authenticated)) << refused->to_string();
  EXPECT_NE(refused->context().find("0x12c"), std::string::npos) << "certificate_revoked";
}

TEST(QuicPeers, ReplacedCredentialsHoldForTheNextHandshake) {
  QuicOptions server = options(20);
  const auto credentials = server.credentials;
  Pair pair(8, server, options(21));
  ASSERT_FALSE(pair.connect().has_value());
  const std::string before = pair.client.connection->security().peer->common_name;
  End first_client = std::move(pair.client);
  EXPECT_TRUE(credentials->replace(authority().credentials(40)));
  pair.client = End();
  // The first connection is told its news where it was made: it goes on as it is.
  EXPECT_EQ(before, "node 20");
  first_client.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(pair.until([&] { return pair.server.closed.has_value(); }));
  pair.server = End();
  ASSERT_FALSE(pair.connect().has_value());
  EXPECT_EQ(pair.client.connection->security().peer->common_name, "node 40");
}

TEST(QuicPeers, NobodyListensOrDialsWithoutCredentials) {
  Pair pair(9);
  const std::unique_ptr<Transport> bare = make_quic(QuicOptions());
  struct Refuse final : AcceptHandler {
    void on_accepted(ConnectionPtr) override {}
  } refuse;
  const Result<void> started =
      bare->start(TransportContext(pair.server_node, InstanceId::random(pair.server_node.random()),
                                   refuse, std::make_shared<MemoryBudget>()));
  ASSERT_FALSE(started);
  EXPECT_TRUE(started.error().is(velo::Errc::invalid_argument));
}

}  // namespace velo::transport
