// SPDX-License-Identifier: Apache-2.0
// One of us and a peer of the public velo: no offer, JSON bodies, plain acknowledgements, and
// replies that travel on a connection of their own.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::legacy_sim_test {

struct Add {
  int a = 0;
  int b = 0;
};
VELO_DESCRIBE(Add, a, b);

struct Sum {
  int sum = 0;
};
VELO_DESCRIBE(Sum, sum);

/// Node 1 is the public velo; the parameter says who calls.
class Legacy : public ::testing::TestWithParam<std::size_t> {
 protected:
  Legacy() : cluster(2, options()) {}

  static ClusterOptions options() {
    ClusterOptions made;
    made.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
      setup.legacy = index == 1;
    };
    return made;
  }
  Messenger& caller() { return cluster[GetParam()]; }
  Messenger& callee() { return cluster[1 - GetParam()]; }
  const InstanceId& target() { return callee().instance_id(); }

  Cluster cluster;
};

TEST_P(Legacy, UnaryIsAnsweredOnAConnectionOfItsOwn) {
  ASSERT_TRUE(callee().register_handler(echo()));
  const auto reply =
      cluster.wait(caller().unary("echo").raw_payload("hello").instance(target()).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "hello");
  EXPECT_EQ(cluster.sim.stats().connections_opened, 2u);
}

TEST_P(Legacy, ManyCallsEndWithTheirOwnReplies) {
  ASSERT_TRUE(callee().register_handler(echo()));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(
        caller().unary("echo").raw_payload(std::to_string(i)).instance(target()).send());
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto reply = cluster.wait(std::move(calls[i]));
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->text(), std::to_string(i));
  }
}

TEST_P(Legacy, TypedBodiesAreJson) {
  std::string body;
  bool json = false;
  ASSERT_TRUE(
      callee().register_handler(Handler::typed_unary("add", [&](TypedContext<Add>& context) {
                                  body = as_text(context.payload());
                                  json = context.typed_bodies_are_json();
                                  Sum sum;
                                  sum.sum = context.input.a + context.input.b;
                                  return sum;
                                }).build()));
  Add add;
  add.a = 40;
  add.b = 2;
  const auto sum =
      cluster.wait(caller().typed_unary<Sum>("add").payload(add).instance(target()).send());
  ASSERT_TRUE(sum) << sum.error().to_string();
  EXPECT_EQ(sum->sum, 42);
  EXPECT_TRUE(json);
  EXPECT_EQ(body, R"({"a":40,"b":2})");
}

TEST_P(Legacy, SyncIsAcknowledged) {
  bool ran = false;
  ASSERT_TRUE(callee().register_handler(
      Handler::am_handler("work", [&ran](Context&) { ran = true; }).build()));
  EXPECT_EQ(outcome(cluster.wait(caller().am_sync("work").instance(target()).send())), "ok");
  EXPECT_TRUE(ran);
  EXPECT_EQ(caller().books().sync[Fate::acknowledged], 1u);
}

TEST_P(Legacy, AFailedSyncCarriesItsText) {
  ASSERT_TRUE(callee().register_handler(Handler::am_handler("work", [](Context&) -> Result<void> {
                                          return velo::make_error(velo::Errc::not_found,
                                                                  "no such thing");
                                        }).build()));
  const auto done = cluster.wait(caller().am_sync("work").instance(target()).send());
  EXPECT_EQ(outcome(done), "messenger.failed");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().context(), "no such thing");
}

TEST_P(Legacy, AFailedUnaryCarriesItsText) {
  ASSERT_TRUE(
      callee().register_handler(Handler::unary_handler("work", [](Context&) -> Result<Bytes> {
                                  return velo::make_error(velo::Errc::not_found, "no such thing");
                                }).build()));
  const auto done = cluster.wait(caller().unary("work").instance(target()).send());
  EXPECT_EQ(outcome(done), "messenger.failed");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().context(), "no such thing");
}

TEST_P(Legacy, FireReachesTheHandler) {
  int seen = 0;
  ASSERT_TRUE(callee().register_handler(
      Handler::am_handler("note", [&seen](Context&) { ++seen; }).inline_().build()));
  EXPECT_EQ(outcome(cluster.wait(caller().am_send("note").instance(target()).send())), "ok");
  EXPECT_TRUE(cluster.until([&] { return seen == 1; }));
}

TEST_P(Legacy, AnUnknownHandlerFailsEveryPattern) {
  // A plain refusal does not say whether a handler ran.
  cluster.outsiders = true;
  EXPECT_FALSE(cluster.wait(caller().unary("nobody").instance(target()).timeout(10s).send()));
  EXPECT_FALSE(cluster.wait(caller().am_sync("nobody").instance(target()).timeout(10s).send()));
  EXPECT_FALSE(cluster.wait(caller().am_send("nobody").instance(target()).timeout(10s).send()));
  for (const PatternBooks& books :
       {caller().books().unary, caller().books().sync, caller().books().fire}) {
    EXPECT_EQ(books[Fate::expired], 0u);
  }
}

TEST_P(Legacy, RequestHeadersArriveAndNoneComeBack) {
  std::string seen;
  ASSERT_TRUE(callee().register_handler(Handler::unary_handler("echo", [&seen](Context& context) {
                                          seen = context.header("color");
                                          context.set_response_header("answer", "blue");
                                          return context.payload_bytes();
                                        }).build()));
  const auto reply = cluster.wait(
      caller().unary("echo").header("color", "red").instance(target()).send_for_response());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(seen, "red");
  EXPECT_TRUE(reply->headers.empty());
}

TEST_P(Legacy, BothCallEachOtherAtOnce) {
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  auto there = caller().unary("echo").raw_payload("there").instance(target()).send();
  auto back = callee().unary("echo").raw_payload("back").instance(caller().instance_id()).send();
  const auto first = cluster.wait(std::move(there));
  const auto second = cluster.wait(std::move(back));
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(first->text(), "there");
  EXPECT_EQ(second->text(), "back");
}

TEST_P(Legacy, ADrainingPeerRefuses) {
  Gate gate;
  ASSERT_TRUE(callee().register_handler(gated("hold", gate)));
  auto running = caller().unary("hold").instance(target()).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto over = callee().shutdown();
  EXPECT_EQ(outcome(cluster.wait(caller().unary("hold").instance(target()).send())),
            "messenger.shutting_down");
  gate.open();
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
  // The reply travels on another connection than the one whose close ends the call: either may
  // arrive first.
  const std::string ended = outcome(cluster.wait(std::move(running)));
  EXPECT_TRUE(ended == "ok" || ended == "messenger.connection_lost") << ended;
}

INSTANTIATE_TEST_SUITE_P(Direction, Legacy, ::testing::Values(0, 1), [](const auto& direction) {
  return std::string(direction.param == 0 ? "WeCallIt" : "ItCallsUs");
});

TEST(LegacyPeer, EchoedRequestHeadersAreNoResponseHeaders) {
  Cluster cluster(1);
  RawPeer raw(cluster);
  ASSERT_TRUE(cluster[0].register_peer(raw.info));
  auto call = cluster[0]
                  .unary("echo")
                  .header("color", "red")
                  .instance(raw.info.instance_id)
                  .send_for_response();
  RawEnd& end = raw.wait_accepted();
  end.answer_greeting(raw.next(end), {"echo"}, std::nullopt);
  const RawFrame request = raw.next(end);
  protocol::ResponseHeader header;
  header.id = request.request().id;
  header.headers = request.request().headers;
  ASSERT_FALSE(header.headers.empty());
  std::vector<std::byte> bytes(protocol::encoded_size(header));
  protocol::encode_response(header, bytes);
  end.send(transport::FrameType::response, bytes, Bytes::copy("body"));
  const auto reply = cluster.wait(std::move(call));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->payload.text(), "body");
  EXPECT_TRUE(reply->headers.empty());
}

TEST(LegacyPeer, OneWhoDoesNotListenIsToldSoAfterTheGreeting) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == 0;
    setup.listens = index == 0;
  };
  Cluster cluster(2, options);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(outcome(cluster.wait(cluster[1].unary("echo").instance(cluster.id(0)).send())),
            "messenger.needs_listener");
  const Duration took = cluster.sim.now() - before;
  EXPECT_GE(took, limits::hello_timeout);
  EXPECT_LT(took, limits::hello_timeout + 1s);
}

}  // namespace velo::messenger::testing::legacy_sim_test
