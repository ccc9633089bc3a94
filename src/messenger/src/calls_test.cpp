// SPDX-License-Identifier: Apache-2.0
// The four patterns between simulated nodes, and to oneself.

#include "testing/cluster.hpp"

namespace velo::messenger {
namespace testing::calls_test {

struct Add {
  int a = 0;
  int b = 0;
};
VELO_DESCRIBE(Add, a, b);

struct Sum {
  int sum = 0;
};
VELO_DESCRIBE(Sum, sum);

TEST(Calls, UnaryReturnsWhatTheHandlerReturned) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("hello").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "hello");
  EXPECT_TRUE(cluster[0].books().balanced());
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1u);
  EXPECT_EQ(cluster[1].books().received.succeeded, 1u);
}

TEST(Calls, FireCompletesWhenWrittenAndReachesTheHandler) {
  Cluster cluster(2);
  int seen = 0;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("note", [&seen](Context&) { ++seen; }).inline_().build()));
  auto sent = cluster.wait(cluster[0].am_send("note").instance(cluster.id(1)).send());
  ASSERT_TRUE(sent) << sent.error().to_string();
  EXPECT_TRUE(cluster.sim.run_until([&] { return seen == 1; }, 10s));
  EXPECT_EQ(cluster[0].books().fire[Fate::written], 1u);
}

TEST(Calls, SyncCompletesWhenTheHandlerEnded) {
  Cluster cluster(2);
  bool ran = false;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("work", [&ran](Context&) { ran = true; }).build()));
  auto done = cluster.wait(cluster[0].am_sync("work").instance(cluster.id(1)).send());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(ran);
}

TEST(Calls, SyncOfAFailingHandlerCarriesItsError) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("work", [](Context&) -> Result<void> {
                                            return velo::make_error(velo::Errc::not_found,
                                                                    "no such thing");
                                          }).build()));
  auto done = cluster.wait(cluster[0].am_sync("work").instance(cluster.id(1)).send());
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().is(velo::Errc::not_found)) << done.error().to_string();
  EXPECT_EQ(done.error().context(), "no such thing");
  EXPECT_EQ(cluster[0].books().sync[Fate::acknowledged], 1u);
}

TEST(Calls, TypedUnaryCarriesStructs) {
  Cluster cluster(2);
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::typed_unary("add", [](TypedContext<Add>& context) {
                                    Sum sum;
                                    sum.sum = context.input.a + context.input.b;
                                    return sum;
                                  }).build()));
  Add add;
  add.a = 40;
  add.b = 2;
  auto sum = cluster.wait(
      cluster[0].typed_unary<Sum>("add").payload(add).worker(cluster[1].worker_id()).send());
  ASSERT_TRUE(sum) << sum.error().to_string();
  EXPECT_EQ(sum->sum, 42);
}

TEST(Calls, OnesOwnInstanceIsATarget) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("me").instance(cluster.id(0)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "me");
}

TEST(Calls, AnUnknownHandlerIsATypedErrorForEveryPattern) {
  Cluster cluster(2);
  const auto unary = cluster.wait(cluster[0].unary("nobody").instance(cluster.id(1)).send());
  const auto sync = cluster.wait(cluster[0].am_sync("nobody").instance(cluster.id(1)).send());
  const auto fire = cluster.wait(cluster[0].am_send("nobody").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(unary), "messenger.unknown_handler");
  EXPECT_EQ(outcome(sync), "messenger.unknown_handler");
  EXPECT_EQ(outcome(fire), "messenger.unknown_handler");
  EXPECT_TRUE(cluster[0].books().balanced());
}

TEST(Calls, ACallToAFrozenPeerEndsAtItsDeadline) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  cluster.sim.pause(cluster.sim.node(1));
  const TimePoint before = cluster.sim.now();
  const auto reply =
      cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).timeout(250ms).send());
  EXPECT_EQ(outcome(reply), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 250ms);
  EXPECT_EQ(cluster[0].books().unary[Fate::expired], 1u);
  cluster.sim.resume(cluster.sim.node(1));  // what was sent still arrives
}

TEST(Calls, ADroppedCallCancelsTheHandler) {
  Cluster cluster(2);
  std::stop_token token;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler_async("wait", [&token](Context context) -> Task<Result<Bytes>> {
        token = context.stop_token();
        Promise<Bytes> never(context.msg().world().pool());
        auto op = never.op();
        std::stop_callback stop(token,
                                [&never] { never.set(velo::make_error(velo::Errc::cancelled)); });
        auto result = co_await op;
        co_return result;
      }).build()));
  {
    auto op = cluster[0].unary("wait").instance(cluster.id(1)).send();
    ASSERT_TRUE(cluster.sim.run_until([&] { return token.stop_possible(); }, 10s));
    EXPECT_FALSE(token.stop_requested());
  }
  EXPECT_TRUE(cluster.sim.run_until([&] { return token.stop_requested(); }, 10s));
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 1u);
  EXPECT_EQ(cluster[1].books().received.abandoned, 1u);
}

}  // namespace testing::calls_test
}  // namespace velo::messenger
