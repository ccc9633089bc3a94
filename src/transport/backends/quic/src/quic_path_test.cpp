// SPDX-License-Identifier: Apache-2.0
// Paths that change, fall silent or are forged: migration, keep-alive, time-outs, resets, versions,
// Retry, floods and noise.

#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace velo::transport {
namespace quic_path_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

/// A socket of nobody's, and what it hears.
struct Stranger {
  Stranger(sim::SimNode& node, std::uint16_t port)
      : socket(std::move(*node.network().bind_datagram(node.shard(0), node.endpoint(port),
                                                       [this](const Endpoint&, ByteSpan datagram) {
                                                         heard.push_back(Bytes::copy(datagram));
                                                       }))) {}
  std::vector<Bytes> heard;
  std::unique_ptr<DatagramSocket> socket;
};

static Bytes changed(const Bytes& from, std::size_t at, std::uint8_t to) {
  std::string bytes = from.to_string();
  bytes[at] = static_cast<char>(to);
  return Bytes::own(std::move(bytes));
}

}  // namespace quic_path_test

using namespace quic_path_test;  // NOLINT(google-build-using-namespace)

TEST(QuicPath, APeerWhoseAddressChangesIsFollowed) {
  Pair pair(1);
  Relay relay(pair);
  ASSERT_FALSE(pair.connect(relay.front()).has_value());
  pair.client.send("before", 10);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t changes = pair.counts(pair.server).path_changes;
    relay.change_port();
    pair.client.send("after", 50'000);
    ASSERT_TRUE(pair.until([&] { return pair.counts(pair.server).path_changes > changes; }));
    pair.server.send("to the new address", 50'000);
    const auto count = static_cast<std::size_t>(i);
    ASSERT_TRUE(pair.until([&] {
      return pair.server.frames.size() == count + 2 && pair.client.frames.size() == count + 1;
    }));
  }
  EXPECT_FALSE(pair.client.closed.has_value());
}

TEST(QuicPath, APeerThatIsCutOffForTenSecondsAndReturnsLosesNothing) {
  Pair pair(2);
  ASSERT_FALSE(pair.connect().has_value());
  pair.simulation.partition(pair.client_node, pair.server_node);
  for (int i = 0; i < 100; ++i) pair.client.send(std::to_string(i), 1000);
  pair.simulation.run_for(seconds(10));
  EXPECT_TRUE(pair.server.frames.empty());
  pair.simulation.heal();
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 100; }));
}

TEST(QuicPath, ASilentConnectionIsKeptAlive) {
  Pair pair(3);
  ASSERT_FALSE(pair.connect().has_value());
  pair.simulation.run_for(seconds(600));
  EXPECT_FALSE(pair.client.closed.has_value());
  pair.client.send("still", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
}

TEST(QuicPath, AConnectionOfWhichNothingIsHeardIsLost) {
  Pair pair(4);
  ASSERT_FALSE(pair.connect().has_value());
  pair.simulation.partition(pair.client_node, pair.server_node);
  ASSERT_TRUE(pair.until([&] { return pair.client.closed && pair.server.closed; }, seconds(90)));
  EXPECT_TRUE(pair.client.closed->is(Errc::connection_lost)) << pair.client.closed->to_string();
  EXPECT_TRUE(pair.server.closed->is(Errc::connection_lost));
}

TEST(QuicPath, WithoutKeepAliveASilentConnectionEnds) {
  QuicOptions quiet = options(20);
  quiet.keep_alive = Duration::zero();
  QuicOptions client = options(21);
  client.keep_alive = Duration::zero();
  client.idle_timeout = seconds(5);
  Pair pair(5, quiet, client);
  ASSERT_FALSE(pair.connect().has_value());
  ASSERT_TRUE(pair.until([&] { return pair.client.closed && pair.server.closed; }, seconds(10)));
}

TEST(QuicPath, AConnectionThatTheOtherEndForgotIsReset) {
  Pair pair(6);
  Relay relay(pair);
  ASSERT_FALSE(pair.connect(relay.front()).has_value());
  relay.lossy = true;
  pair.server.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(pair.until([&] { return pair.server.closed.has_value(); }));
  pair.simulation.run_for(limits::quic_closed_kept_time + seconds(1));
  // What is remembered is only cleared when another connection ends.
  {
    End other;
    std::swap(other, pair.client);
    pair.server = End();
    ASSERT_FALSE(pair.connect().has_value());
    pair.client.connection->close(make_error(Errc::closed_locally));
    ASSERT_TRUE(pair.until([&] { return pair.client.closed && pair.server.closed; }));
    pair.client.connection = ConnectionPtr();
  }
  EXPECT_EQ(pair.server_counts().resets_sent, 0U);
  // The first connection has told the same End of its news.
  pair.client.closed.reset();
  relay.lossy = false;
  ASSERT_TRUE(pair.until([&] { return pair.client.closed.has_value(); }, seconds(25)));
  EXPECT_GT(pair.server_counts().resets_sent, 0U);
  EXPECT_TRUE(pair.client.closed->is(Errc::connection_lost));
  EXPECT_NE(pair.client.closed->context().find("does not know"), std::string::npos)
      << pair.client.closed->to_string();
}

TEST(QuicPath, WhoRepeatsAFewBytesOfADeadConnectionIsNotAnsweredAtLength) {
  Pair pair(11);
  Relay relay(pair);
  ASSERT_FALSE(pair.connect(relay.front()).has_value());
  pair.client.send("the last one", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  relay.lossy = true;
  pair.server.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(pair.until([&] { return pair.server.closed.has_value(); }));
  Stranger stranger(pair.relay_node, 7000);
  const Endpoint server = pair.server_node.endpoint(4433);
  const Bytes header = relay.last.slice(0, 9);
  for (int i = 0; i < 4; ++i) (void)stranger.socket->try_send(server, header);
  pair.simulation.run_for(milliseconds(50));
  for (const Bytes& datagram : stranger.heard) EXPECT_LE(datagram.size(), 3 * header.size());
  stranger.heard.clear();
  for (int i = 0; i < 4; ++i) (void)stranger.socket->try_send(server, relay.last);
  pair.simulation.run_for(milliseconds(50));
  EXPECT_FALSE(stranger.heard.empty()) << "whoever sends whole packets is told that it is over";
}

TEST(QuicPath, AnUnknownVersionIsToldWhichAreKnown) {
  Pair pair(7);
  Stranger stranger(pair.relay_node, 7000);
  std::string packet(1200, '\0');
  packet[0] = static_cast<char>(0xc0);
  packet[1] = 0x1a;
  packet[2] = 0x2a;
  packet[3] = 0x3a;
  packet[4] = 0x4a;
  packet[5] = 8;
  packet[14] = 8;
  const Endpoint server = pair.server_node.endpoint(4433);
  (void)stranger.socket->try_send(server, as_bytes(packet));
  ASSERT_TRUE(pair.until([&] { return stranger.heard.size() == 1; }));
  const Bytes& answer = stranger.heard[0];
  ASSERT_LT(answer.size(), packet.size());
  const std::string_view text = answer.text();
  EXPECT_EQ(text.substr(1, 4), std::string_view("\0\0\0\0", 4)) << "Version Negotiation";
  EXPECT_EQ(text.substr(text.size() - 4), std::string_view("\0\0\0\1", 4));
  // A short one might be meant to make us send more than was sent.
  (void)stranger.socket->try_send(server, as_bytes(std::string_view(packet).substr(0, 600)));
  pair.simulation.run_for(seconds(1));
  EXPECT_EQ(stranger.heard.size(), 1U);
  EXPECT_EQ(pair.server_counts().versions_sent, 1U);
}

// One such datagram with an id of more than twenty bytes aborted the process.
TEST(QuicPath, ANegotiationOfVersionsThatNobodyAskedForIsNotAnswered) {
  Pair pair(12);
  Stranger stranger(pair.relay_node, 7000);
  const Endpoint server = pair.server_node.endpoint(4433);
  for (const int id_bytes : {0, 8, 20, 21, 82, 255}) {
    for (const int first : {0x80, 0xc0, 0xff}) {
      std::string packet(1200, '\0');
      packet[0] = static_cast<char>(first);
      packet[5] = static_cast<char>(id_bytes);
      packet[6 + static_cast<std::size_t>(id_bytes)] = static_cast<char>(id_bytes);
      (void)stranger.socket->try_send(server, as_bytes(packet));
    }
  }
  pair.simulation.run_for(seconds(1));
  EXPECT_TRUE(stranger.heard.empty());
  EXPECT_EQ(pair.server_counts().resets_sent, 0U);
  EXPECT_FALSE(pair.connect().has_value());
}

TEST(QuicPath, WhoeverMustShowWhereHeIsDoesAndIsLetIn) {
  QuicOptions server = options(20);
  server.always_retry = true;
  Pair pair(8, server, options(21));
  ASSERT_FALSE(pair.connect().has_value());
  EXPECT_EQ(pair.server_counts().retries_sent, 1U);
  pair.client.send("in", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
}

TEST(QuicPath, AFloodOfFirstPacketsIsBoundedAndNotAmplified) {
  Pair pair(9);
  Relay relay(pair);
  ASSERT_FALSE(pair.connect(relay.front()).has_value());
  const std::size_t idle = pair.budgets[0]->used();
  const QuicCounts before = pair.server_counts();
  // The same first packet under other ids, from many ports, whose owners never answer.
  constexpr std::size_t count = 2000;
  std::vector<std::unique_ptr<Stranger>> strangers;
  const Endpoint server = pair.server_node.endpoint(4433);
  std::size_t sent = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (strangers.size() < 200) {
      strangers.push_back(std::make_unique<Stranger>(
          pair.relay_node, static_cast<std::uint16_t>(8000 + strangers.size())));
    }
    const Stranger& one = *strangers[i % strangers.size()];
    const Bytes packet = i % 2 == 0 ? relay.first
                                    : changed(changed(relay.first, 6, static_cast<std::uint8_t>(i)),
                                              7, static_cast<std::uint8_t>(i >> 8));
    (void)one.socket->try_send(server, packet);
    sent += packet.size();
    if (i % 20 == 0) pair.simulation.run_for(milliseconds(1));
    const QuicCounts now = pair.server_counts();
    ASSERT_LE(now.gate.unauthenticated, limits::quic_retry_from_handshakes);
  }
  pair.simulation.run_for(milliseconds(500));
  std::size_t heard = 0;
  for (const auto& one : strangers) {
    for (const Bytes& datagram : one->heard) heard += datagram.size();
  }
  EXPECT_LE(heard, 3 * sent);
  const QuicCounts after = pair.server_counts();
  EXPECT_LE(after.stateless_bytes_out - before.stateless_bytes_out,
            after.unvalidated_bytes_in - before.unvalidated_bytes_in);
  EXPECT_LE(pair.budgets[0]->used(), idle + (std::size_t{1} << 20));
  // Who was there goes on, and afterwards nothing is left of it.
  pair.client.send("still here", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  ASSERT_TRUE(pair.until([&] { return pair.server_counts().gate.connections == 1; }));
  EXPECT_EQ(pair.server_counts().gate.unauthenticated, 0U);
}

TEST(QuicPath, ADatagramOfNothingIsIgnored) {
  Pair pair(12);
  ASSERT_FALSE(pair.connect().has_value());
  Stranger stranger(pair.relay_node, 7000);
  const QuicCounts before = pair.server_counts();
  (void)stranger.socket->try_send(pair.server_node.endpoint(4433), as_bytes(""));
  ASSERT_TRUE(pair.until(
      [&] { return pair.server_counts().datagrams_ignored == before.datagrams_ignored + 1; }));
  pair.client.send("undisturbed", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
}

TEST(QuicPath, NoiseIsIgnored) {
  Pair pair(10);
  Relay relay(pair);
  ASSERT_FALSE(pair.connect(relay.front()).has_value());
  Stranger stranger(pair.relay_node, 7000);
  const Endpoint server = pair.server_node.endpoint(4433);
  std::size_t sent = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string packet = relay.first.to_string();
    const std::size_t changes = 1 + pair.simulation.random().below(20);
    for (std::size_t k = 0; k < changes; ++k) {
      const std::size_t at = pair.simulation.random().below(packet.size());
      packet[at] = static_cast<char>(pair.simulation.random().next());
    }
    packet.resize(1 + pair.simulation.random().below(packet.size()));
    (void)stranger.socket->try_send(server, as_bytes(packet));
    sent += packet.size();
    if (i % 10 == 0) pair.simulation.run_for(milliseconds(1));
  }
  pair.simulation.run_for(seconds(6));
  std::size_t heard = 0;
  for (const Bytes& datagram : stranger.heard) heard += datagram.size();
  EXPECT_LE(heard, 3 * sent);
  pair.client.send("undisturbed", 1);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  EXPECT_EQ(pair.server_counts().gate.unauthenticated, 0U);
}

}  // namespace velo::transport
