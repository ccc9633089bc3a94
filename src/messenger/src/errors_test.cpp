// SPDX-License-Identifier: Apache-2.0
// How a call ends other than well: what the handler returned or threw, what could not be decoded,
// and what never reached a handler.

#include "testing/cluster.hpp"

#include <stdexcept>

namespace velo::messenger::testing::errors_test {

struct Point {
  int x = 0;
  std::string label;
};
VELO_DESCRIBE(Point, x, label);

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

static void expect_same(const Error& got, const Error& wanted) {
  EXPECT_EQ(got.code(), wanted.code()) << got.to_string();
  EXPECT_EQ(got.retry(), wanted.retry());
  EXPECT_EQ(got.context(), wanted.context());
}

/// `error`, returned by a handler on node 1, as unary and sync bring it to node 0.
static void expect_arrives(const Error& error) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler("fail", [error](Context&) -> Result<Bytes> {
        return error;
      }).build()));
  const auto unary = cluster.wait(cluster[0].unary("fail").instance(cluster.id(1)).send());
  const auto sync = cluster.wait(cluster[0].am_sync("fail").instance(cluster.id(1)).send());
  ASSERT_FALSE(unary);
  ASSERT_FALSE(sync);
  expect_same(unary.error(), error);
  expect_same(sync.error(), error);
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1u);
  EXPECT_EQ(cluster[0].books().sync[Fate::acknowledged], 1u);
  EXPECT_EQ(cluster[1].books().received.failed, 2u);
  expect_balanced(cluster);
}

TEST(Errors, AHandlersErrorOfBaseArrivesExactly) {
  expect_arrives(velo::make_error(velo::Errc::not_found, "no such thing"));
}

TEST(Errors, AnUnusualRetryClassArrivesToo) {
  expect_arrives(Error(error_code(velo::Errc::not_found), Retry::later, "soon"));
  expect_arrives(Error(error_code(Errc::failed), Retry::elsewhere, "not here"));
}

TEST(Errors, AnErrorOfTheUsersRoomArrivesExactly) {
  expect_arrives(Error({Room::user, 777}, Retry::elsewhere, "größer als erlaubt"));
  expect_arrives(Error({Room::user, 65'535}, Retry::never, std::string(100'000, 'c')));
}

TEST(Errors, AnErrorWithoutAContextArrivesWithoutOne) {
  expect_arrives(Error({Room::user, 1}, Retry::later));
  expect_arrives(make_error(Errc::failed));
}

TEST(Errors, AnErrorThatTheHandlerPassesOnStillCountsAsHandled) {
  expect_arrives(make_error(Errc::unknown_handler, "two nodes further"));
  expect_arrives(make_error(Errc::deadline_exceeded, "two nodes further"));
  expect_arrives(make_error(Errc::cancelled, "by the handler"));
  expect_arrives(make_error(Errc::overloaded, "the handler's own queue"));
  expect_arrives(make_error(Errc::connection_lost, "two nodes further"));
  expect_arrives(velo::make_error(velo::Errc::cancelled, "by the handler"));
  expect_arrives(velo::make_error(velo::Errc::deadline_exceeded, "of the database"));
}

static Task<Result<Bytes>> throwing_task(Context context, bool with_int) {
  auto ready = Op<void>::ready(context.msg().world().pool(), {});
  const Result<void> passed = co_await ready;
  if (!passed) co_return Result<Bytes>(passed.error());
  if (with_int) throw 42;
  throw std::runtime_error("boom");
}

TEST(Errors, WhateverAHandlerThrowsEndsTheCallAsHandlerThrew) {
  Cluster cluster(2);
  auto throw_std = [](Context&) -> Bytes { throw std::runtime_error("boom"); };
  auto throw_int = [](Context&) -> Bytes { throw 42; };
  std::vector<Handler> handlers;
  handlers.push_back(Handler::unary_handler("inline std", throw_std).inline_().build());
  handlers.push_back(Handler::unary_handler("inline int", throw_int).inline_().build());
  handlers.push_back(Handler::unary_handler("spawned std", throw_std).build());
  handlers.push_back(Handler::unary_handler("spawned int", throw_int).build());
  for (const bool with_int : {false, true}) {
    handlers.push_back(
        Handler::unary_handler_async(with_int ? "task int" : "task std", [with_int](
                                                                             Context context) {
          return throwing_task(std::move(context), with_int);
        }).build());
  }
  for (Handler& handler : handlers) {
    const std::string name = handler.name();
    ASSERT_TRUE(cluster[1].register_handler(std::move(handler)));
    const auto unary = cluster.wait(cluster[0].unary(name).instance(cluster.id(1)).send());
    const auto sync = cluster.wait(cluster[0].am_sync(name).instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(unary), "messenger.handler_threw") << name;
    EXPECT_EQ(outcome(sync), "messenger.handler_threw") << name;
    if (name.ends_with("std")) {
      EXPECT_NE(unary.error().context().find("boom"), std::string::npos) << name;
    }
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 6u);
  EXPECT_EQ(cluster[1].books().received.failed, 12u);
  expect_balanced(cluster);
}

TEST(Errors, ATypedBodyThatCannotBeDecodedIsABadRequestThatNamesThePath) {
  Cluster cluster(2);
  int ran = 0;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::typed_unary("move", [&ran](TypedContext<Point>& context) {
        ++ran;
        return context.input;
      }).build()));
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::typed_unary_async("move task", [&ran](TypedContext<Point> context) {
        ++ran;
        return [](Point point) -> Task<Point> { co_return point; }(context.input);
      }).build()));
  std::map<std::string, std::string> wrong{{"label", "a"}, {"x", "no number"}};
  for (const char* name : {"move", "move task"}) {
    const auto typed = cluster.wait(
        cluster[0].typed_unary<Point>(name).payload(wrong).instance(cluster.id(1)).send());
    ASSERT_FALSE(typed);
    EXPECT_EQ(outcome(typed), "messenger.bad_request");
    EXPECT_NE(typed.error().context().find('x'), std::string::npos) << typed.error().to_string();
    const auto raw =
        cluster.wait(cluster[0].unary(name).raw_payload("\xc1").instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(raw), "messenger.bad_request");
    const auto empty = cluster.wait(cluster[0].unary(name).instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(empty), "messenger.bad_request");
  }
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(cluster[1].books().received.failed, 6u);
  expect_balanced(cluster);
}

TEST(Errors, AReplyThatIsNotTheExpectedTypeIsABadReply) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("text", [](Context&) {
                                            return encode_body(std::string("x"), false);
                                          }).build()));
  const auto reply = cluster.wait(
      cluster[0].typed_unary<Point>("text").payload(Nothing()).instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(reply), "messenger.bad_reply");
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1u) << "the handler did run";
  expect_balanced(cluster);
}

TEST(Errors, ASendNeedsExactlyOneTarget) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").send())), "messenger.no_target");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_sync("echo").send())), "messenger.no_target");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_send("echo").send())), "messenger.no_target");
  const auto both = cluster.wait(
      cluster[0].unary("echo").instance(cluster.id(1)).worker(cluster[1].worker_id()).send());
  EXPECT_EQ(outcome(both), "messenger.no_target");
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 2u);
  expect_balanced(cluster);
}

TEST(Errors, AnUnknownHandlerIsNamedForEveryPatternAndTarget) {
  Cluster cluster(2);
  for (const std::size_t to : {std::size_t{0}, std::size_t{1}}) {
    const auto unary = cluster.wait(cluster[0].unary("nobody").instance(cluster.id(to)).send());
    const auto sync = cluster.wait(cluster[0].am_sync("nobody").instance(cluster.id(to)).send());
    const auto fire = cluster.wait(cluster[0].am_send("nobody").instance(cluster.id(to)).send());
    EXPECT_EQ(outcome(unary), "messenger.unknown_handler");
    EXPECT_EQ(outcome(sync), "messenger.unknown_handler");
    ASSERT_EQ(outcome(fire), "messenger.unknown_handler");
    EXPECT_NE(fire.error().context().find("nobody"), std::string::npos);
    ASSERT_FALSE(unary);
    EXPECT_EQ(unary.error().retry(), Retry::elsewhere);
  }
  EXPECT_EQ(cluster[0].books().fire[Fate::rejected], 2u);
  EXPECT_EQ(cluster[0].books().sync[Fate::rejected], 2u);
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 2u);
  expect_balanced(cluster);
}

TEST(Errors, AReplyOverTheFrameLimitIsTooLargeAtTheCaller) {
  for (const std::size_t to : {std::size_t{0}, std::size_t{1}}) {
    Cluster cluster(2);
    ASSERT_TRUE(cluster[to].register_handler(Handler::unary_handler("huge", [](Context&) {
                                               return Bytes::own(
                                                   std::string(velo::limits::frame_bytes_max, 'h'));
                                             }).build()));
    const auto reply = cluster.wait(cluster[0].unary("huge").instance(cluster.id(to)).send());
    EXPECT_EQ(outcome(reply), "messenger.too_large");
    EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1u) << "the handler did run";
    expect_balanced(cluster);
  }
}

TEST(Errors, AnErrorsContextOverTheFrameLimitIsTooLargeAtTheCaller) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("huge", [](Context&) -> Result<void> {
        return velo::make_error(velo::Errc::io, std::string(velo::limits::frame_bytes_max, 'h'));
      }).build()));
  const auto done = cluster.wait(cluster[0].am_sync("huge").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(done), "messenger.too_large");
  expect_balanced(cluster);
}

TEST(Errors, ARequestOverTheFrameLimitIsNotSent) {
  Cluster cluster(2);
  for (const std::size_t node : {std::size_t{0}, std::size_t{1}}) {
    ASSERT_TRUE(cluster[node].register_handler(echo()));
  }
  const Bytes large = Bytes::own(std::string(velo::limits::frame_bytes_max, 'h'));
  for (const std::size_t to : {std::size_t{0}, std::size_t{1}}) {
    const InstanceId& target = cluster.id(to);
    auto unary = cluster.wait(cluster[0].unary("echo").raw_payload(large).instance(target).send());
    auto sync = cluster.wait(cluster[0].am_sync("echo").raw_payload(large).instance(target).send());
    auto fire = cluster.wait(cluster[0].am_send("echo").raw_payload(large).instance(target).send());
    EXPECT_EQ(outcome(unary), "messenger.too_large");
    EXPECT_EQ(outcome(sync), "messenger.too_large");
    EXPECT_EQ(outcome(fire), "messenger.too_large");
    EXPECT_EQ(cluster[to].books().received.requests, 0u);
  }
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 2u);
  EXPECT_EQ(cluster[0].books().fire[Fate::rejected], 2u);
  expect_balanced(cluster);
}

static Task<Result<Bytes>> deserted_task(Context context, std::unique_ptr<Promise<void>>* promise) {
  *promise = std::make_unique<Promise<void>>(context.msg().world().pool());
  auto op = (*promise)->op();
  const Result<void> passed = co_await op;
  if (!passed) co_return Result<Bytes>(passed.error());
  co_return Result<Bytes>(Bytes());
}

TEST(Errors, ATaskWhoseAwaitedPromiseGoesAwayEndsTheCall) {
  Cluster cluster(2);
  std::unique_ptr<Promise<void>> promise;
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler_async("wait", [&promise](Context context) {
                                    return deserted_task(std::move(context), &promise);
                                  }).build()));
  auto op = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return promise != nullptr; }));
  promise.reset();
  const auto reply = cluster.wait(std::move(op));
  EXPECT_EQ(outcome(reply), "base.cancelled");
  expect_balanced(cluster);
}

TEST(Errors, AHandlerThatDropsItsDoneEndsTheCallAsFailed) {
  Cluster cluster(2);
  auto drop = [](const char* name) {
    return Handler::Builder(name, HandlerKind::unary,
                            Handler::Async([](Context /*context*/, HandlerDone /*done*/) {}));
  };
  ASSERT_TRUE(cluster[1].register_handler(drop("spawned").spawn().build()));
  ASSERT_TRUE(cluster[1].register_handler(drop("inline").inline_().build()));
  for (const char* name : {"spawned", "inline"}) {
    const auto unary = cluster.wait(cluster[0].unary(name).instance(cluster.id(1)).send());
    const auto sync = cluster.wait(cluster[0].am_sync(name).instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(unary), "messenger.failed");
    EXPECT_EQ(outcome(sync), "messenger.failed");
  }
  EXPECT_EQ(cluster[1].books().received.failed, 4u);
  expect_balanced(cluster);
}

}  // namespace velo::messenger::testing::errors_test
