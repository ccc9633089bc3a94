// SPDX-License-Identifier: Apache-2.0
// A TLS listener under attack, and credentials that change, in simulated time.

#include <velo/transport/backends/tls.hpp>

#include "testing/tls_arena.hpp"

#include <velo/transport/framing.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace velo::transport {
namespace tls_attack_test {

namespace conf = velo::transport::conformance;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using tls::testing::End;
using tls::testing::Foreign;
using tls::testing::ForeignPeer;
using tls::testing::TlsArena;

class TlsAttack : public TlsArena {};

static std::size_t handshakes(std::size_t count) { return count * tls::handshake_memory_bytes; }

}  // namespace tls_attack_test

using namespace tls_attack_test;  // NOLINT(google-build-using-namespace)

TEST_F(TlsAttack, AHalfOpenFloodOfOneSourceHoldsLittleAndKeepsNobodyElseOut) {
  start();
  sim::SimNode& attacker = simulation.add_node("attacker");
  for (int i = 0; i < 500; ++i) reach_from(attacker);
  simulation.run_for(1s);
  GateCounts counts = server->gate_counts();
  EXPECT_EQ(counts.unauthenticated, limits::unauthenticated_per_source_max);
  EXPECT_GT(counts.refused_for(GateRefusal::source_unauthenticated), 300U);
  EXPECT_LE(budget->used(), handshakes(limits::unauthenticated_per_source_max));
  const auto honest = dial();
  ASSERT_TRUE(honest) << honest.error().to_string();
  simulation.run_for(limits::handshake_time_max);
  counts = server->gate_counts();
  EXPECT_EQ(counts.unauthenticated, 0U);
  EXPECT_EQ(counts.refused_for(GateRefusal::time), limits::unauthenticated_per_source_max);
  EXPECT_EQ(accepted.size(), 1U);
}

TEST_F(TlsAttack, AHalfOpenFloodOfManySourcesIsBoundedInAll) {
  start();
  for (int i = 0; i < 12; ++i) {
    sim::SimNode& attacker = simulation.add_node("attacker" + std::to_string(i));
    for (int k = 0; k < 60; ++k) reach_from(attacker);
  }
  simulation.run_for(1s);
  GateCounts counts = server->gate_counts();
  EXPECT_EQ(counts.unauthenticated, limits::unauthenticated_max);
  EXPECT_EQ(counts.refused_for(GateRefusal::unauthenticated),
            12 * 60 - limits::unauthenticated_max);
  EXPECT_LE(budget->used(), handshakes(limits::unauthenticated_max));
  simulation.run_for(limits::handshake_time_max);
  EXPECT_EQ(server->gate_counts().unauthenticated, 0U);
  EXPECT_TRUE(dial());
}

TEST_F(TlsAttack, ASlowHandshakeIsCutWhenItsTimeIsUp) {
  start();
  const TimePoint begin = simulation.now();
  reach_from(other);
  ASSERT_TRUE(simulation.run_until([&] { return !streams.empty(); }, 1s));
  Foreign slow(tls::testing::foreign_node(9));
  slow.use_memory();
  slow.step();
  const std::string hello = slow.take();
  bool cut = false;
  for (const char byte : hello) {
    const iovec vector{const_cast<char*>(&byte), 1};
    if (streams[0]->try_write(std::span(&vector, 1)).status == IoResult::Status::error) {
      cut = true;
      break;
    }
    simulation.run_for(100ms);
    EXPECT_LE(budget->used(), handshakes(1));
  }
  EXPECT_TRUE(cut);
  EXPECT_LT(simulation.now() - begin, limits::handshake_time_max + 1s);
  EXPECT_EQ(server->gate_counts().refused_for(GateRefusal::time), 1U);
  EXPECT_TRUE(accepted.empty());
}

TEST_F(TlsAttack, ASourceThatTriesTooOftenIsTurnedAway) {
  start();
  sim::SimNode& attacker = simulation.add_node("attacker");
  for (int i = 0; i < 600; ++i) {
    reach_from(attacker);
    simulation.run_for(1ms);
    streams.clear();
    EXPECT_LE(budget->used(), handshakes(limits::unauthenticated_per_source_max));
  }
  simulation.run_for(1s);
  const GateCounts counts = server->gate_counts();
  EXPECT_GT(counts.refused_for(GateRefusal::source_rate), 200U);
  EXPECT_GT(counts.refused_for(GateRefusal::gone), 200U);
  EXPECT_EQ(counts.unauthenticated, 0U);
  EXPECT_TRUE(dial());
}

TEST_F(TlsAttack, WithoutMemoryNobodyIsGreeted) {
  budget = std::make_shared<MemoryBudget>(std::size_t{1} << 20);
  start();
  for (int i = 0; i < 60; ++i) reach_from(other);
  simulation.run_for(1s);
  EXPECT_LE(budget->used(), budget->bytes_max());
  EXPECT_GT(server->gate_counts().refused_for(GateRefusal::memory), 10U);
  simulation.run_for(limits::handshake_time_max);
}

TEST_F(TlsAttack, GarbageLengthBombsAndPlainTextAreCountedAndCut) {
  start();
  const std::string frame("\0\1\0\6\0\0\0\0\0\0\0_hello", 17);
  const std::string bomb("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9);
  for (const std::string& bytes : {frame, bomb, std::string(5000, '\xff')}) {
    reach_from(other);
    ASSERT_TRUE(simulation.run_until([&] { return !streams.empty(); }, 1s));
    const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    EXPECT_EQ(streams[0]->try_write(std::span(&vector, 1)).status, IoResult::Status::ok);
    simulation.run_for(1s);
    EXPECT_EQ(budget->used(), 0U);
    streams.clear();
  }
  EXPECT_EQ(server->gate_counts().refused_for(GateRefusal::protocol), 3U);
  EXPECT_TRUE(accepted.empty());
}

TEST_F(TlsAttack, StoppingDropsHandshakesThatRun) {
  start();
  for (int i = 0; i < 20; ++i) reach_from(other);
  simulation.run_for(1s);
  EXPECT_EQ(server->gate_counts().unauthenticated, 20U);
  server->stop();
  EXPECT_EQ(server->gate_counts().unauthenticated, 0U);
  EXPECT_EQ(budget->used(), 0U);
}

TEST_F(TlsAttack, TheReasonOfARefusalReachesTheDial) {
  start();
  const conf::Identity authority = conf::make_authority("elsewhere", 77);
  const conf::Identity stranger = conf::make_identity(authority, 7, conf::issue_options("him"));
  const auto refused =
      dial(conf::credentials_of(stranger, conf::trust_in({conf::test_authority().certificate})));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::not_authenticated)) << refused.error().to_string();
  const auto refusing =
      dial(conf::credentials_of(stranger, conf::trust_in({authority.certificate})));
  ASSERT_FALSE(refusing);
  EXPECT_TRUE(refusing.error().is(Errc::not_authenticated)) << refusing.error().to_string();
  EXPECT_NE(refusing.error().to_string().find("untrusted"), std::string::npos);
  // Our own judgement, and the alert of a client that did not believe us.
  simulation.run_for(1s);
  EXPECT_EQ(server->gate_counts().refused_for(GateRefusal::identity), 2U);
  EXPECT_TRUE(accepted.empty());
}

TEST_F(TlsAttack, CredentialsAreReplacedWithoutLosingAConnection) {
  const auto source = conf::test_credentials(1);
  TlsOptions options;
  options.credentials = source;
  start(std::move(options));
  End& old = **dial();
  EXPECT_EQ(old.connection->security().peer->common_name, "node 1");
  const conf::Identity next =
      conf::make_identity(conf::test_authority(), 11, conf::issue_options("node 1, renewed"));
  crypto::Credentials renewed = *source->current();
  renewed.key = next.key;
  renewed.chain = {next.certificate};
  ASSERT_TRUE(source->replace(std::move(renewed)));
  End& fresh = **dial();
  EXPECT_EQ(fresh.connection->security().peer->common_name, "node 1, renewed");
  EXPECT_EQ(accepted[1].connection->security().own_public_key, next.key.public_key().der());
  for (End* end : {&old, &fresh}) {
    end->connection->send({FrameType::message, {}, as_bytes("still here")});
  }
  simulation.run_for(1s);
  EXPECT_EQ(accepted[0].frames, std::vector<std::string>{"still here"});
  EXPECT_EQ(accepted[1].frames, std::vector<std::string>{"still here"});
  EXPECT_FALSE(old.closed);
  // Now nobody is trusted any more whom the old authority confirmed.
  const conf::Identity elsewhere = conf::make_authority("elsewhere", 77);
  crypto::Credentials wary = *source->current();
  wary.trust = conf::trust_in({elsewhere.certificate});
  ASSERT_TRUE(source->replace(std::move(wary)));
  EXPECT_FALSE(dial());
  EXPECT_FALSE(old.closed || fresh.closed);
}

TEST_F(TlsAttack, AStreamThatIsCutOrChangedIsALostConnection) {
  start();
  ForeignPeer& cut = meet(tls::testing::foreign_node(9));
  ASSERT_TRUE(cut.done());
  ASSERT_EQ(accepted.size(), 1U);
  cut.write_raw(std::string("\x17\x03\x03\x00\x40", 5) + std::string(64, 'x'));
  simulation.run_for(1s);
  ASSERT_TRUE(accepted[0].closed);
  EXPECT_TRUE(accepted[0].closed->is(Errc::malformed_frame)) << accepted[0].closed->to_string();
  EXPECT_EQ(cut.foreign.alert(), SSL_AD_BAD_RECORD_MAC);
  ForeignPeer& huge = meet(tls::testing::foreign_node(9));
  huge.write_raw(std::string("\x17\x03\x03\xff\xff", 5));
  simulation.run_for(1s);
  EXPECT_TRUE(accepted[1].closed);
  EXPECT_EQ(huge.foreign.alert(), SSL_AD_RECORD_OVERFLOW);
  static_cast<void>(meet(tls::testing::foreign_node(9)));
  foreign.pop_back();
  simulation.run_for(1s);
  ASSERT_TRUE(accepted[2].closed);
  EXPECT_TRUE(accepted[2].closed->is(Errc::connection_lost));
}

TEST_F(TlsAttack, KeyUpdatesAreFollowedAnsweredAndBounded) {
  start();
  ForeignPeer& peer = meet(tls::testing::foreign_node(9));
  ASSERT_EQ(accepted.size(), 1U);
  std::string frame(encoded_bytes({FrameType::message, {}, as_bytes("frame")}), '\0');
  encode_frame(std::as_writable_bytes(std::span(frame)),
               {FrameType::message, {}, as_bytes("frame")});
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(SSL_key_update(peer.foreign.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    peer.say(frame);
    simulation.run_for(10ms);
    accepted[0].connection->send({FrameType::response, {}, as_bytes("frame")});
    simulation.run_for(10ms);
  }
  EXPECT_EQ(accepted[0].frames.size(), 50U);
  EXPECT_EQ(peer.heard.size(), 50 * frame.size());
  EXPECT_FALSE(accepted[0].closed);
  for (int i = 0; i < 40; ++i) {
    SSL_key_update(peer.foreign.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(peer.foreign.ssl());
    peer.flush();
  }
  simulation.run_for(1s);
  EXPECT_TRUE(accepted[0].closed) << "it was kept busy for nothing";
}

}  // namespace velo::transport
