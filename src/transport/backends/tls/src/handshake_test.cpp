// SPDX-License-Identifier: Apache-2.0
// The handshake against OpenSSL at the other end, and against those who are not who they say.

#include "handshake.hpp"

#include "testing/tls_testing.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/transport.hpp>

#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::tls {
namespace handshake_test {

namespace conf = velo::transport::conformance;
using testing::Foreign;
using testing::foreign_node;
using testing::ForeignOptions;

constexpr Duration year = std::chrono::hours(24 * 365);
constexpr WallTime now{conf::identities_begin.unix_nanoseconds + year.count()};

static std::shared_ptr<const Context> context_of(
    const std::shared_ptr<crypto::CredentialSource>& source) {
  return Context::create(source->current()).value();
}

static std::unique_ptr<Handshake> make(StreamRole role, std::uint8_t number = 1) {
  return std::make_unique<Handshake>(context_of(conf::test_credentials(number)), role,
                                     limits::handshake_bytes_max);
}

using State = Handshake::State;

/// Lets ours and a foreign one talk until ours is over or nobody has anything to say.
static State meet(Handshake& ours, Foreign& theirs, WallTime at = now) {
  theirs.use_memory();
  State state = ours.advance({}, at);
  for (int round = 0; round < 20; ++round) {
    theirs.give(ours.take_output());
    if (state != State::working) break;
    theirs.step();
    const std::string said = theirs.take();
    state = ours.advance(as_bytes(said), at);
  }
  theirs.give(ours.take_output());
  return state;
}

/// How ours accepts a client like that: refused for `reason`, and told `alert`.
static void expect_refused(const ForeignOptions& client, GateRefusal reason, int alert,
                           WallTime at = now,
                           std::shared_ptr<crypto::CredentialSource> as = nullptr) {
  if (as == nullptr) as = conf::test_credentials(1);
  Handshake server(context_of(as), StreamRole::accepted, limits::handshake_bytes_max);
  Foreign foreign(client);
  ASSERT_EQ(meet(server, foreign, at), State::failed);
  EXPECT_EQ(server.refusal().reason, reason) << server.refusal().error.to_string();
  EXPECT_TRUE(server.refusal().error.is(reason == GateRefusal::identity ? Errc::not_authenticated
                                                                        : Errc::handshake_failed))
      << server.refusal().error.to_string();
  EXPECT_EQ(foreign.alert(), alert) << server.refusal().error.to_string();
}

static ForeignOptions presenting(const conf::Identity& identity) {
  ForeignOptions options;
  options.identity = identity;
  return options;
}

/// Two of ours, until both are over.
static std::pair<State, State> meet(Handshake& client, Handshake& server, std::size_t piece = 0) {
  State c = client.advance({}, now);
  State s = State::working;
  for (int round = 0; round < 20; ++round) {
    const auto pass = [piece](Handshake& from, Handshake& to, State& state) {
      const auto bytes = from.take_output();
      const std::size_t step = piece == 0 ? bytes.size() : piece;
      for (std::size_t i = 0; i < bytes.size(); i += step) {
        state = to.advance(ByteSpan(bytes).subspan(i, std::min(step, bytes.size() - i)), now);
      }
    };
    pass(client, server, s);
    pass(server, client, c);
  }
  return {c, s};
}

}  // namespace handshake_test

using namespace handshake_test;  // NOLINT(google-build-using-namespace)

TEST(Handshake, TellsBothEndsWhoTheOtherOneIs) {
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1}}) {
    const auto client = make(StreamRole::dialled, 1);
    const auto server = make(StreamRole::accepted, 2);
    ASSERT_EQ(meet(*client, *server, piece), std::pair(State::done, State::done));
    Established c = client->take_established();
    Established s = server->take_established();
    ASSERT_TRUE(c.security.authenticated() && s.security.authenticated());
    EXPECT_EQ(c.security.peer->common_name, "node 2");
    EXPECT_EQ(s.security.peer->common_name, "node 1");
    EXPECT_EQ(c.security.peer->public_key, s.security.own_public_key);
    EXPECT_EQ(s.security.peer->public_key, c.security.own_public_key);
    EXPECT_TRUE(c.security.is_private);
    EXPECT_EQ(c.security.protocol, "TLS 1.3, TLS_AES_128_GCM_SHA256");
    EXPECT_TRUE(c.rest.empty() && s.rest.empty());
    std::vector<std::byte> record(5 + record_overhead_bytes);
    ASSERT_TRUE(c.sealer.seal(ContentType::application_data, as_bytes("hello"), record.data()));
    std::vector<std::byte> target(RecordOpener::target_bytes(record));
    const auto opened = s.opener.open(record, target.data());
    ASSERT_TRUE(opened);
    EXPECT_EQ(as_text(ByteSpan(target).first(opened->bytes)), "hello");
  }
}

TEST(Handshake, SpeaksWithOpenSslAsAnybodyHasIt) {
  const auto server = make(StreamRole::accepted);
  Foreign client(foreign_node(9));
  ASSERT_EQ(meet(*server, client), State::done);
  EXPECT_EQ(server->take_established().security.peer->common_name, "foreign");
}

TEST(Handshake, ADowngradeIsRefused) {
  ForeignOptions old = foreign_node(9);
  old.version = TLS1_2_VERSION;
  expect_refused(old, GateRefusal::protocol, SSL_AD_PROTOCOL_VERSION);
}

TEST(Handshake, WhoDoesNotSpeakTheProtocolIsRefused) {
  ForeignOptions silent = foreign_node(9);
  silent.protocol.clear();
  expect_refused(silent, GateRefusal::protocol, SSL_AD_NO_APPLICATION_PROTOCOL);
  for (const char* other : {"h2", "velo/2", "velo/", "velo/10"}) {
    ForeignOptions client = foreign_node(9);
    client.protocol = other;
    expect_refused(client, GateRefusal::protocol, SSL_AD_NO_APPLICATION_PROTOCOL);
  }
}

TEST(Handshake, WhoShowsNoCertificateIsRefused) {
  expect_refused(ForeignOptions(), GateRefusal::identity, TLS13_AD_CERTIFICATE_REQUIRED);
}

TEST(Handshake, AForgedIdentityIsRefused) {
  // An authority of the same name, and a leaf that says it is node 1.
  const conf::Identity forger = conf::make_authority("velo tests", 99);
  ForeignOptions forged = presenting(conf::make_identity(forger, 1, conf::issue_options("node 1")));
  expect_refused(forged, GateRefusal::identity, SSL_AD_UNKNOWN_CA);
  forged.chain = {forger.certificate};
  expect_refused(forged, GateRefusal::identity, SSL_AD_UNKNOWN_CA);
  // A node that plays authority.
  const conf::Identity node =
      conf::make_identity(conf::test_authority(), 5, conf::issue_options("node 5"));
  EXPECT_FALSE(crypto::issue(node.key, &node.certificate, conf::key_of(6).public_key(),
                             conf::issue_options("node 6")));
  // An authority that plays node.
  expect_refused(presenting(conf::test_authority()), GateRefusal::identity,
                 SSL_AD_UNSUPPORTED_CERTIFICATE);
}

TEST(Handshake, TimeIsJudgedByOurClock) {
  crypto::IssueOptions brief = conf::issue_options("brief");
  brief.lifetime = std::chrono::hours(1);
  const ForeignOptions client = presenting(conf::make_identity(conf::test_authority(), 9, brief));
  const WallTime begin = conf::identities_begin;
  const auto after = [begin](Duration d) { return WallTime{begin.unix_nanoseconds + d.count()}; };
  expect_refused(client, GateRefusal::identity, SSL_AD_CERTIFICATE_EXPIRED,
                 after(std::chrono::hours(2)));
  expect_refused(client, GateRefusal::identity, SSL_AD_BAD_CERTIFICATE,
                 after(-std::chrono::hours(1)));
  const auto server = make(StreamRole::accepted);
  Foreign foreign(client);
  EXPECT_EQ(meet(*server, foreign, after(std::chrono::minutes(30))), State::done);
}

TEST(Handshake, ACertificateForAnotherPurposeIsRefused) {
  const auto of = [](crypto::Purpose purpose) {
    return conf::make_identity(conf::test_authority(), 9, conf::issue_options("nine", purpose));
  };
  expect_refused(presenting(of(crypto::Purpose::server)), GateRefusal::identity,
                 SSL_AD_UNSUPPORTED_CERTIFICATE);
  ForeignOptions server = presenting(of(crypto::Purpose::client));
  server.is_server = true;
  const auto client = make(StreamRole::dialled);
  Foreign foreign(server);
  SSL_CTX_set_alpn_select_cb(
      SSL_get_SSL_CTX(foreign.ssl()),
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
         void*) {
        *out = in + 1;
        *size = *in;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  ASSERT_EQ(meet(*client, foreign), State::failed);
  EXPECT_TRUE(client->refusal().error.is(Errc::not_authenticated));
  EXPECT_NE(client->refusal().error.to_string().find("wrong_purpose"), std::string::npos)
      << client->refusal().error.to_string();
}

TEST(Handshake, ARevokedCertificateIsRefused) {
  const conf::Identity& authority = conf::test_authority();
  const conf::Identity lost = conf::make_identity(authority, 9, conf::issue_options("lost"));
  crypto::RevocationOptions list;
  list.serials = {lost.certificate.serial()};
  list.now = conf::identities_begin;
  list.lifetime = 2 * year;
  crypto::TrustOptions trust;
  trust.authorities = {authority.certificate};
  trust.revocations = {crypto::revoke(authority.key, authority.certificate, list).value()};
  const conf::Identity own = conf::make_identity(authority, 1, conf::issue_options("own"));
  const auto careful =
      conf::credentials_of(own, crypto::TrustStore::create(std::move(trust)).value());
  expect_refused(presenting(lost), GateRefusal::identity, SSL_AD_CERTIFICATE_REVOKED, now, careful);
  Handshake server(context_of(careful), StreamRole::accepted, limits::handshake_bytes_max);
  Foreign other(foreign_node(8));
  EXPECT_EQ(meet(server, other), State::done);
}

TEST(Handshake, WhoIsRefusedLearnsItBeforeHeIsConnected) {
  const conf::Identity stranger_authority = conf::make_authority("elsewhere", 77);
  const conf::Identity stranger =
      conf::make_identity(stranger_authority, 7, conf::issue_options("stranger"));
  // It trusts the server, which does not trust it.
  Handshake client(context_of(conf::credentials_of(
                       stranger, conf::trust_in({conf::test_authority().certificate}))),
                   StreamRole::dialled, limits::handshake_bytes_max);
  const auto server = make(StreamRole::accepted);
  EXPECT_EQ(meet(client, *server), std::pair(State::failed, State::failed));
  EXPECT_TRUE(client.refusal().error.is(Errc::not_authenticated));
  EXPECT_NE(client.refusal().error.to_string().find("the other end refused: unknown CA"),
            std::string::npos)
      << client.refusal().error.to_string();
}

TEST(Handshake, PlainTextIsNoHandshake) {
  const auto server = make(StreamRole::accepted);
  std::string frame(encoded_bytes({FrameType::message, as_bytes("_hello"), ByteSpan()}), '\0');
  encode_frame(std::as_writable_bytes(std::span(frame)),
               {FrameType::message, as_bytes("_hello"), ByteSpan()});
  EXPECT_EQ(server->advance(as_bytes(frame), now), State::failed);
  EXPECT_EQ(server->refusal().reason, GateRefusal::protocol);
  EXPECT_FALSE(server->has_output());
}

TEST(Handshake, WhatLengthsClaimIsNotAllocated) {
  const std::string_view bombs[] = {
      // A ClientHello of 16 MiB, of 17 KiB, a record of 64 KiB, a certificate instead of a hello.
      std::string_view("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9),
      std::string_view("\x16\x03\x01\x40\x00\x01\x00\x44\x00", 9),
      std::string_view("\x16\x03\x01\xff\xff\x01\x00\x02\x00", 9),
      std::string_view("\x16\x03\x01\x01\x00\x0b\x00\x01\x00", 9)};
  for (const std::string_view bomb : bombs) {
    const auto server = make(StreamRole::accepted);
    const std::size_t before = ::mallinfo2().uordblks;
    server->advance(as_bytes(bomb), now);
    const std::size_t after = ::mallinfo2().uordblks;
    EXPECT_LT(after, before + handshake_memory_bytes);
    // What was not refused at once fails when it goes on.
    std::string more(20'000, '\x01');
    EXPECT_EQ(server->advance(as_bytes(more), now), State::failed);
    EXPECT_LT(::mallinfo2().uordblks, before + handshake_memory_bytes);
  }
}

TEST(Handshake, BytesAreBounded) {
  // A chain of large certificates, within what OpenSSL would take.
  Handshake server(context_of(conf::test_credentials(1)), StreamRole::accepted, 1000);
  ForeignOptions large = foreign_node(9);
  for (int i = 0; i < 6; ++i) large.chain.push_back(conf::test_authority().certificate);
  Foreign client(large);
  ASSERT_EQ(meet(server, client), State::failed);
  EXPECT_EQ(server.refusal().reason, GateRefusal::bytes);
}

TEST(Handshake, WhatItHoldsIsWhatItIsChargedFor) {
  const auto context = context_of(conf::test_credentials(1));
  // What OpenSSL makes once.
  Foreign first(foreign_node(9));
  Handshake warm(context, StreamRole::accepted, limits::handshake_bytes_max);
  ASSERT_EQ(meet(warm, first), State::done);
  Foreign client(foreign_node(9));
  client.use_memory();
  client.step();
  const std::string hello = client.take();
  const std::size_t before = ::mallinfo2().uordblks;
  Handshake server(context, StreamRole::accepted, limits::handshake_bytes_max);
  ASSERT_EQ(server.advance(as_bytes(hello), now), State::working);
  EXPECT_LT(::mallinfo2().uordblks, before + handshake_memory_bytes);
}

TEST(Handshake, GarbageIsRefusedWhereverItBegins) {
  Foreign client(foreign_node(9));
  client.use_memory();
  client.step();
  const std::string hello = client.take();
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    const auto server = make(StreamRole::accepted);
    std::string bytes = hello;
    const std::size_t from = random() % bytes.size();
    for (std::size_t k = from; k < bytes.size(); ++k) bytes[k] = static_cast<char>(random());
    State state = server->advance(as_bytes(bytes), now);
    for (int k = 0; k < 80 && state == State::working; ++k) {
      std::string more(1000, '\0');
      for (char& c : more) c = static_cast<char>(random());
      state = server->advance(as_bytes(more), now);
    }
    ASSERT_EQ(state, State::failed) << i;
  }
}

}  // namespace velo::transport::tls
