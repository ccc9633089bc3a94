// SPDX-License-Identifier: Apache-2.0
// Our messenger over QUIC against a node by another QUIC, another TLS and another messenger.

#include "peer_process.hpp"
#include "quic_node.hpp"

#include <velo/codec/peer_info.hpp>
#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace velo::quic_interop_test {

using codec::JsonValue;
using interop::is_true;
using interop::PeerProcess;
using interop::QuicNode;
using interop::Scratch;
using interop::text_of;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static std::string hex(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string made;
  for (const char c : text) {
    made += digits[static_cast<unsigned char>(c) >> 4U];
    made += digits[static_cast<unsigned char>(c) & 0x0fU];
  }
  return made;
}

class QuicInterop : public testing::Test {
 protected:
  /// False: it is not to be had here.
  bool start(std::vector<std::string> options = {}, transport::QuicOptions of_ours = {}) {
    const auto identity = transport::conformance::make_identity(
        transport::conformance::test_authority(), 42,
        transport::conformance::issue_options("the other one"));
    scratch_.write("authority.der", transport::conformance::test_authority().certificate.der());
    scratch_.write("certificate.der", identity.certificate.der());
    scratch_.write("key.der", identity.key.to_der());
    options.insert(options.begin(), {"--identity", scratch_.path()});
    const char* const python = std::getenv("VELO_AIOQUIC_PYTHON");
    theirs_ = std::make_unique<PeerProcess>("quic_peer.py", options,
                                            python != nullptr ? python : "python3");
    if (!theirs_->missing().empty()) return false;
    world_ = *runtime::RealWorld::create();
    ours_ = std::make_unique<QuicNode>(*world_, std::move(of_ours));
    EXPECT_TRUE((*ours_)->register_peer(theirs_->peer_info()));
    return true;
  }
  std::string why() const { return theirs_->missing() + " (VELO_AIOQUIC_PYTHON names one)"; }

  Result<Bytes> ask(std::string_view handler, std::string_view payload) {
    return (*ours_)
        ->unary(handler)
        .raw_payload(Bytes::copy(payload))
        .instance(theirs_->peer_info().instance_id)
        .send()
        .get();
  }
  JsonValue be_asked(std::string_view handler, const std::string& payload,
                     std::string_view kind = "unary", const std::string& more = "") {
    return theirs_->call((*ours_)->peer_info(), handler, kind,
                         R"({"payload_hex":")" + hex(payload) + "\"" + more + "}");
  }
  JsonValue command(const std::string& name) {
    JsonValue command;
    command.set(name, *JsonValue::parse(codec::to_json((*ours_)->peer_info())));
    return theirs_->run(std::move(command));
  }

  Scratch scratch_{"quic-interop"};
  std::unique_ptr<PeerProcess> theirs_;
  std::unique_ptr<runtime::RealWorld> world_;
  std::unique_ptr<QuicNode> ours_;
};

TEST_F(QuicInterop, OursCallsItAndKnowsWhoItIs) {
  if (!start()) GTEST_SKIP() << why();
  const auto name = ask("name", "");
  ASSERT_TRUE(name) << name.error().to_string();
  EXPECT_EQ(name->text(), "velo/1");
  const std::string large(1'000'000, 'x');
  const auto echoed = ask("echo", large);
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  EXPECT_EQ(echoed->text(), large);
  const auto unknown = ask("nothing", "");
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().is(messenger::Errc::unknown_handler)) << unknown.error().to_string();
  const auto seen = (*ours_)->identity_of(theirs_->peer_info().instance_id);
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->authentic());
  EXPECT_EQ(seen->certificate->common_name, "the other one");
}

TEST_F(QuicInterop, ItCallsOursAndIsKnown) {
  if (!start()) GTEST_SKIP() << why();
  const JsonValue who = be_asked("who", "");
  EXPECT_EQ(text_of(who, "payload_hex"), hex("the other one")) << who.dump();
  const std::string large(1'000'000, 'y');
  const JsonValue echoed = be_asked("echo", large);
  EXPECT_TRUE(text_of(echoed, "payload_hex") == hex(large)) << text_of(echoed, "error");
  EXPECT_TRUE(is_true(be_asked("note", "acknowledged", "sync"), "ok"));
  EXPECT_EQ(ours_->notes(), 1);
}

TEST_F(QuicInterop, WhatMayBeLostTravelsAsADatagram) {
  if (!start()) GTEST_SKIP() << why();
  EXPECT_TRUE(is_true(be_asked("note", "greets", "sync"), "ok"));
  // Sent again until one has come, as datagrams may be lost; what follows on a stream arrives.
  for (int i = 0; i < 10 && ours_->notes() < 2; ++i) {
    EXPECT_TRUE(is_true(be_asked("note", "lossy", "fire", R"(,"datagram":true)"), "ok"));
    EXPECT_TRUE(is_true(be_asked("echo", "after"), "ok"));
  }
  EXPECT_GE(ours_->notes(), 2);
}

TEST_F(QuicInterop, ItMovesToAnotherPortAndChangesItsKeysOnTheWay) {
  if (!start()) GTEST_SKIP() << why();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(is_true(be_asked("echo", "before"), "ok"));
    ASSERT_TRUE(is_true(command("move"), "ok"));
    ASSERT_TRUE(is_true(be_asked("echo", std::string(100'000, 'm')), "ok"));
    ASSERT_TRUE(is_true(command("update_keys"), "ok"));
    ASSERT_TRUE(is_true(be_asked("echo", "after"), "ok"));
  }
  EXPECT_EQ(ours_->counts().gate.admitted, 1U) << "it is one connection";
}

TEST_F(QuicInterop, EachShowsWhereItIsWhenAskedByRetry) {
  transport::QuicOptions careful;
  careful.always_retry = true;
  if (!start({"--retry"}, std::move(careful))) GTEST_SKIP() << why();
  ASSERT_TRUE(is_true(be_asked("echo", "a"), "ok"));
  EXPECT_GE(ours_->counts().retries_sent, 1U);
  const auto echoed = ask("echo", "b");
  ASSERT_TRUE(echoed) << echoed.error().to_string();
}

TEST_F(QuicInterop, AVersionThatOnlyItKnowsIsTalkedOver) {
  if (!start({"--versions", "2", "1"})) GTEST_SKIP() << why();
  const JsonValue echoed = be_asked("echo", "v");
  EXPECT_TRUE(is_true(echoed, "ok")) << echoed.dump();
  EXPECT_EQ(ours_->counts().versions_sent, 1U);
}

TEST_F(QuicInterop, WhoShowsNoCertificateIsRefused) {
  if (!start({"--no-certificate"})) GTEST_SKIP() << why();
  const JsonValue refused = be_asked("echo", "x");
  EXPECT_FALSE(is_true(refused, "ok")) << refused.dump();
  EXPECT_NE(text_of(refused, "error").find("closed: code 0x1"), std::string::npos)
      << "an alert: " << refused.dump();
  EXPECT_EQ(ours_->counts().gate.authenticated, 0U);
}

TEST_F(QuicInterop, AnotherProtocolIsRefusedInBothDirections) {
  if (!start({"--alpn", "h3"})) GTEST_SKIP() << why();
  const JsonValue refused = be_asked("echo", "x");
  EXPECT_NE(text_of(refused, "error").find("0x178"), std::string::npos) << refused.dump();
  const auto failed = ask("echo", "x");
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().is(messenger::Errc::not_sent)) << failed.error().to_string();
  EXPECT_EQ(ours_->counts().gate.authenticated, 0U);
}

}  // namespace velo::quic_interop_test
