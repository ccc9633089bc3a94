// SPDX-License-Identifier: Apache-2.0
// Our messenger against a peer of the public velo, over TCP, in both directions.

#include "peer_process.hpp"

#include <velo/codec/describe.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

namespace velo::legacy_interop_test {

using codec::JsonValue;
using interop::is_true;
using interop::PeerProcess;
using interop::text_of;
using namespace std::chrono_literals;

struct Add {
  std::int64_t a = 0;
  std::int64_t b = 0;
};
VELO_DESCRIBE(Add, a, b);
struct Sum {
  std::int64_t sum = 0;
};
VELO_DESCRIBE(Sum, sum);

/// One messenger of ours that serves what the legacy peer serves.
class LegacyInterop : public testing::Test {
 protected:
  void SetUp() override {
    auto world = runtime::RealWorld::create();
    ASSERT_TRUE(world) << world.error().to_string();
    world_ = std::move(*world);
    ours_ = make({});
    ASSERT_TRUE(ours_);
    (void)ours_->register_handler(
        Handler::unary_handler("echo", [](Context& c) { return c.payload_bytes(); }).build());
    (void)ours_->register_handler(Handler::typed_unary("add", [](TypedContext<Add>& c) {
                                    return Sum{c.input.a + c.input.b};
                                  }).build());
    (void)ours_->register_handler(Handler::am_handler("sink", [](Context&) {}).build());
    (void)ours_->register_handler(Handler::unary_handler("fail", [](Context& c) -> Result<Bytes> {
                                    return make_error(Errc::not_found,
                                                      std::string(as_text(c.payload())));
                                  }).build());
    (void)ours_->register_handler(Handler::unary_handler("tagged", [](Context& c) {
                                    c.set_response_header("mine", "1");
                                    return Bytes::copy(c.header("k"));
                                  }).build());
  }

  std::unique_ptr<Messenger> make(transport::TcpOptions options) {
    auto builder = Messenger::builder(*world_);
    builder.add_transport(transport::make_tcp(std::move(options)));
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    return built ? std::move(*built) : nullptr;
  }

  std::unique_ptr<runtime::RealWorld> world_;
  PeerProcess legacy_{"legacy_peer.py"};
  std::unique_ptr<Messenger> ours_;
};

TEST_F(LegacyInterop, OursCallsItInAllPatterns) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  auto echoed = ours_->unary("echo").raw_payload("ping").instance(id).send().get();
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  EXPECT_EQ(echoed->text(), "ping");

  auto sum = ours_->typed_unary<Sum>("add").payload(Add{2, 40}).instance(id).send().get();
  ASSERT_TRUE(sum) << sum.error().to_string();
  EXPECT_EQ(sum->sum, 42);

  auto acked = ours_->am_sync("sink").raw_payload("1").instance(id).send().get();
  EXPECT_TRUE(acked) << acked.error().to_string();
  auto sent = ours_->am_send("sink").raw_payload("2").instance(id).send().get();
  EXPECT_TRUE(sent) << sent.error().to_string();

  const std::string large(300'000, 'x');
  echoed = ours_->unary("echo").raw_payload(large).instance(id).send().get();
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  EXPECT_EQ(echoed->text(), large);
}

TEST_F(LegacyInterop, ItCallsOursInAllPatterns) {
  const PeerInfo& ours = ours_->peer_info();
  EXPECT_EQ(
      text_of(legacy_.call(ours, "echo", "unary", R"({"payload_hex":"00ff"})"), "payload_hex"),
      "00ff");
  const JsonValue sum = legacy_.call(ours, "add", "typed", R"({"json":{"a":2,"b":40}})");
  ASSERT_NE(sum.find("json"), nullptr) << sum.dump();
  EXPECT_EQ(sum.find("json")->find("sum")->to_int64(), 42);
  EXPECT_TRUE(is_true(legacy_.call(ours, "sink", "sync"), "ack"));
  EXPECT_TRUE(is_true(legacy_.call(ours, "sink", "fire"), "ok"));
  EXPECT_EQ(legacy_.count("ignored on a dialed connection"), 0U);
}

TEST_F(LegacyInterop, ErrorsBecomeTextInBothDirections) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  auto failed = ours_->unary("fail").raw_payload("why").instance(id).send().get();
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().is(messenger::Errc::failed)) << failed.error().to_string();
  EXPECT_EQ(failed.error().context(), "why");
  auto nacked = ours_->am_sync("fail").raw_payload("why").instance(id).send().get();
  ASSERT_FALSE(nacked);
  EXPECT_TRUE(nacked.error().is(messenger::Errc::failed)) << nacked.error().to_string();

  for (const char* kind : {"unary", "sync"}) {
    const JsonValue result =
        legacy_.call(ours_->peer_info(), "fail", kind, R"({"payload_hex":"776879"})");
    EXPECT_FALSE(is_true(result, "ok"));
    EXPECT_EQ(text_of(result, "error"), "why") << result.dump();
  }
}

TEST_F(LegacyInterop, AnUnknownHandlerEndsTheCall) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  auto unknown = ours_->unary("nothing").instance(id).timeout(10s).send().get();
  ASSERT_FALSE(unknown);
  EXPECT_FALSE(unknown.error().is(messenger::Errc::deadline_exceeded))
      << unknown.error().to_string();
  const JsonValue result = legacy_.call(ours_->peer_info(), "_nothing", "unary");
  EXPECT_FALSE(is_true(result, "ok"));
  EXPECT_NE(text_of(result, "error"), "no reply") << result.dump();
}

TEST_F(LegacyInterop, NothingOfOursIsAddedToWhatItGets) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  auto echoed = ours_->unary("echo").header("k", "v").instance(id).timeout(5s).send().get();
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  const JsonValue stats = legacy_.run(*JsonValue::parse(R"({"stats":{}})"));
  for (const JsonValue& request : *stats.find("requests")->if_array()) {
    EXPECT_EQ(request.find("schema")->to_int64(), 1) << request.dump();
    const bool hello = text_of(request, "handler") == "_hello";
    EXPECT_EQ(request.find("headers")->dump(), hello ? "null" : R"({"k":"v"})");
  }
  const JsonValue tagged =
      legacy_.call(ours_->peer_info(), "tagged", "unary", R"({"headers":{"k":"v"}})");
  EXPECT_EQ(text_of(tagged, "payload_hex"), "76") << tagged.dump();
  EXPECT_TRUE(tagged.find("headers") == nullptr || tagged.find("headers")->is_null())
      << tagged.dump();
}

TEST_F(LegacyInterop, ItsDrainRejectsAtOnce) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  ASSERT_TRUE(ours_->unary("echo").instance(id).send().get());
  ASSERT_TRUE(is_true(legacy_.run(*JsonValue::parse(R"({"drain":true})")), "ok"));
  auto rejected = ours_->unary("echo").instance(id).timeout(20s).send().get();
  ASSERT_FALSE(rejected);
  EXPECT_TRUE(rejected.error().is(messenger::Errc::shutting_down)) << rejected.error().to_string();
}

TEST_F(LegacyInterop, ItsSilenceEndsAtTheDeadline) {
  ASSERT_TRUE(ours_->register_peer(legacy_.peer_info()));
  const InstanceId id = legacy_.peer_info().instance_id;
  auto silent = ours_->unary("silence").instance(id).timeout(200ms).send().get();
  ASSERT_FALSE(silent);
  EXPECT_TRUE(silent.error().is(messenger::Errc::deadline_exceeded)) << silent.error().to_string();
}

TEST_F(LegacyInterop, WithoutAListenerItCannotBeCalled) {
  transport::TcpOptions options;
  options.bind = std::nullopt;
  const auto client = make(options);
  ASSERT_TRUE(client);
  ASSERT_TRUE(client->register_peer(legacy_.peer_info()));
  auto failed =
      client->unary("echo").instance(legacy_.peer_info().instance_id).timeout(30s).send().get();
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().is(messenger::Errc::needs_listener)) << failed.error().to_string();
}

TEST_F(LegacyInterop, TheOlderFormOfItsAddressWillDo) {
  PeerProcess old("legacy_peer.py", {"--old-endpoint", "--reads-dialed"});
  ASSERT_TRUE(ours_->register_peer(old.peer_info()));
  auto echoed =
      ours_->unary("echo").raw_payload("p").instance(old.peer_info().instance_id).send().get();
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  EXPECT_EQ(text_of(old.call(ours_->peer_info(), "echo", "unary", R"({"payload_hex":"aa"})"),
                    "payload_hex"),
            "aa");
}

}  // namespace velo::legacy_interop_test
