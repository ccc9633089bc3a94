// SPDX-License-Identifier: Apache-2.0
// Peers that speak QUIC and TLS, but not what is spoken here, and ends that cannot even begin.

#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace velo::transport {
namespace quic_protocol_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

using Protocols = std::array<std::string, 2>;

/// The client's error, after the server has let nobody in and goes on serving.
static Error refusal(Pair& pair, GateRefusal counted) {
  const auto refused = pair.connect();
  EXPECT_TRUE(refused.has_value()) << "connected";
  EXPECT_FALSE(pair.server.connection) << "handed over";
  EXPECT_TRUE(pair.until([&] { return pair.server_counts().gate.connections == 0; }));
  const GateCounts gate = pair.server_counts().gate;
  EXPECT_EQ(gate.authenticated, 0U);
  EXPECT_EQ(gate.refused_for(counted), 1U);
  EXPECT_EQ(gate.refused_for(GateRefusal::identity), 0U);
  EXPECT_EQ(pair.server_transport->gate_counts().refused, gate.refused);
  return refused.value_or(make_error(Errc::malformed_frame));
}

}  // namespace quic_protocol_test

using namespace quic_protocol_test;  // NOLINT(google-build-using-namespace)

TEST(QuicProtocol, AClientThatSpeaksAnotherOneIsRefusedAndToldSo) {
  for (const char* other : {"h3", "velo/2", "velo/10", "velo"}) {
    Pair pair(1, options(20), options(21), {}, Protocols{std::string(quic_protocol), other});
    const Error error = refusal(pair, GateRefusal::protocol);
    EXPECT_TRUE(error.is(Errc::handshake_failed)) << error.to_string();
    EXPECT_NE(error.context().find("0x178"), std::string::npos) << error.to_string();
    EXPECT_NE(error.context().find("protocol could be negotiated"), std::string::npos)
        << error.to_string();
  }
}

TEST(QuicProtocol, AClientThatNamesNoneIsRefusedAndToldSo) {
  Pair pair(2, options(20), options(21), {}, Protocols{std::string(quic_protocol), ""});
  const Error error = refusal(pair, GateRefusal::protocol);
  EXPECT_TRUE(error.is(Errc::handshake_failed)) << error.to_string();
  EXPECT_NE(error.context().find("0x178"), std::string::npos) << error.to_string();
}

TEST(QuicProtocol, AServerThatNamesNoneIsLeft) {
  Pair pair(3, options(20), options(21), {}, Protocols{"", std::string(quic_protocol)});
  const auto refused = pair.connect();
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->is(Errc::handshake_failed)) << refused->to_string();
  EXPECT_NE(refused->context().find("does not speak velo/1"), std::string::npos)
      << refused->to_string();
  EXPECT_FALSE(pair.server.connection) << "handed over";
}

TEST(QuicProtocol, WhoSpeaksAnotherOneOnBothEndsIsUnderstood) {
  Pair pair(4, options(20), options(21), {}, Protocols{"other", "other"});
  EXPECT_FALSE(pair.connect().has_value());
}

TEST(QuicProtocol, AnEndThatCannotBeginAHandshakeLeavesNothingBehind) {
  // TLS has no names of protocols that are so long: the session cannot be made.
  const std::string impossible(300, 'x');
  {
    Pair pair(5, options(20), options(21), {}, Protocols{std::string(quic_protocol), impossible});
    const auto refused = pair.connect();
    ASSERT_TRUE(refused.has_value());
    EXPECT_TRUE(refused->is(Errc::handshake_failed)) << refused->to_string();
  }
  Pair pair(6, options(20), options(21), {}, Protocols{impossible, std::string(quic_protocol)});
  // The client sends its first packet again and again: each is as new as the first.
  const auto refused = pair.connect();
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->is(Errc::connect_failed)) << refused->to_string();
  EXPECT_GT(pair.server_counts().gate.refused_for(GateRefusal::protocol), 1U);
  EXPECT_EQ(pair.server_counts().gate.connections, 0U);
}

}  // namespace velo::transport
