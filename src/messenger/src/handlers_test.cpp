// SPDX-License-Identifier: Apache-2.0
// What a handler may return, where it runs, what it knows of its message, and what it may do with
// the messenger; registration and its errors.

#include "testing/cluster.hpp"

#include <algorithm>

namespace velo::messenger::testing::handlers_test {

struct Number {
  int value = 0;
};
VELO_DESCRIBE(Number, value);

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

static std::string text_of(const Result<Bytes>& reply) {
  return reply ? std::string(reply->text()) : outcome(reply);
}

/// Registers on node 1, calls from node 0.
static std::string reply_of(Handler::Builder&& builder, DispatchMode mode) {
  Cluster cluster(2);
  auto handler = mode == DispatchMode::inline_ ? std::move(builder).inline_().build()
                                               : std::move(builder).spawn().build();
  const std::string name = handler.name();
  EXPECT_TRUE(cluster[1].register_handler(std::move(handler)));
  const auto reply = cluster.wait(cluster[0].unary(name).instance(cluster.id(1)).send());
  expect_balanced(cluster);
  return text_of(reply);
}

constexpr DispatchMode both_modes[] = {DispatchMode::inline_, DispatchMode::spawn};

TEST(Handlers, AFunctionMayReturnBytesOrAnOptionalOrAResultOfEither) {
  for (const DispatchMode mode : both_modes) {
    EXPECT_EQ(
        reply_of(Handler::unary_handler("h", [](Context&) { return Bytes::copy("a"); }), mode),
        "a");
    EXPECT_EQ(reply_of(Handler::unary_handler(
                           "h", [](Context&) -> std::optional<Bytes> { return Bytes::copy("b"); }),
                       mode),
              "b");
    EXPECT_EQ(reply_of(Handler::unary_handler(
                           "h", [](Context&) -> Result<Bytes> { return Bytes::copy("c"); }),
                       mode),
              "c");
    EXPECT_EQ(reply_of(Handler::unary_handler("h",
                                              [](Context&) -> Result<std::optional<Bytes>> {
                                                return std::optional<Bytes>();
                                              }),
                       mode),
              "");
  }
}

static Task<Bytes> bytes_task(Context /*context*/) { co_return Bytes::copy("a"); }
static Task<std::optional<Bytes>> optional_task(Context /*context*/) {
  co_return std::optional<Bytes>(Bytes::copy("b"));
}
static Task<Result<Bytes>> result_task(Context /*context*/) {
  co_return Result<Bytes>(Bytes::copy("c"));
}
static Task<Result<std::optional<Bytes>>> result_optional_task(Context /*context*/) {
  co_return Result<std::optional<Bytes>>(std::optional<Bytes>());
}

TEST(Handlers, ATaskMayReturnBytesOrAnOptionalOrAResultOfEither) {
  for (const DispatchMode mode : both_modes) {
    EXPECT_EQ(reply_of(Handler::unary_handler_async("h", &bytes_task), mode), "a");
    EXPECT_EQ(reply_of(Handler::unary_handler_async("h", &optional_task), mode), "b");
    EXPECT_EQ(reply_of(Handler::unary_handler_async("h", &result_task), mode), "c");
    EXPECT_EQ(reply_of(Handler::unary_handler_async("h", &result_optional_task), mode), "");
  }
}

static Task<Result<void>> failing_am_task(Context /*context*/) {
  co_return Result<void>(velo::make_error(velo::Errc::io, "disk"));
}

TEST(Handlers, AnAcknowledgedHandlerMayFailAsAFunctionAndAsATask) {
  for (const DispatchMode mode : both_modes) {
    Cluster cluster(2);
    auto add = [&](Handler::Builder&& builder) {
      auto handler = mode == DispatchMode::inline_ ? std::move(builder).inline_().build()
                                                   : std::move(builder).spawn().build();
      ASSERT_TRUE(cluster[1].register_handler(std::move(handler)));
    };
    add(Handler::am_handler(
        "function", [](Context&) -> Result<void> { return velo::make_error(velo::Errc::io); }));
    add(Handler::am_handler_async("task", &failing_am_task));
    for (const char* name : {"function", "task"}) {
      const auto done = cluster.wait(cluster[0].am_sync(name).instance(cluster.id(1)).send());
      EXPECT_EQ(outcome(done), "base.io") << name;
    }
    EXPECT_EQ(cluster[1].books().received.failed, 2u);
    expect_balanced(cluster);
  }
}

static Task<Result<Number>> half_task(TypedContext<Number> context) {
  if (context.input.value % 2 != 0) {
    co_return Result<Number>(velo::make_error(velo::Errc::invalid_argument, "odd"));
  }
  Number half;
  half.value = context.input.value / 2;
  co_return Result<Number>(half);
}

TEST(Handlers, TypedHandlersMayReturnAResult) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::typed_unary("function", [](TypedContext<Number>& context) -> Result<Number> {
        if (context.input.value % 2 != 0) return velo::make_error(velo::Errc::invalid_argument);
        Number half;
        half.value = context.input.value / 2;
        return half;
      }).build()));
  ASSERT_TRUE(cluster[1].register_handler(Handler::typed_unary_async("task", &half_task).build()));
  for (const char* name : {"function", "task"}) {
    Number number;
    number.value = 8;
    const auto even = cluster.wait(
        cluster[0].typed_unary<Number>(name).payload(number).instance(cluster.id(1)).send());
    ASSERT_TRUE(even) << even.error().to_string();
    EXPECT_EQ(even->value, 4);
    number.value = 7;
    const auto odd = cluster.wait(
        cluster[0].typed_unary<Number>(name).payload(number).instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(odd), "base.invalid_argument");
  }
  expect_balanced(cluster);
}

TEST(Handlers, InlineOnesRunOnTheShardAndSpawnedOnesOnThePool) {
  Cluster cluster(2);
  std::vector<Executor*> seen;
  auto note = [&seen](Context&) { seen.push_back(Executor::current()); };
  auto note_task = [&seen](Context /*context*/) -> Task<void> {
    seen.push_back(Executor::current());
    co_return;
  };
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("a", note).inline_().build()));
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("b", note).spawn().build()));
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("c", note).build()));
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::am_handler_async("d", note_task).inline_().build()));
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler_async("e", note_task).build()));
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(cluster.wait(cluster[0].am_sync(name).instance(cluster.id(1)).send())) << name;
  }
  Executor* const shard = &cluster[1].world().shard(0);
  Executor* const pool = &cluster[1].world().pool();
  EXPECT_EQ(seen, (std::vector<Executor*>{shard, pool, pool, shard, pool}));
  expect_balanced(cluster);
}

TEST(Handlers, AUnaryHandlerThatIsFiredAtRunsAndItsReplyIsDropped) {
  Cluster cluster(2);
  int ran = 0;
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("answer", [&ran](Context&) {
                                            ++ran;
                                            return Bytes::copy("unread");
                                          }).build()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_send("answer").instance(cluster.id(1)).send()));
  EXPECT_TRUE(cluster.until([&] { return ran == 1; }));
  EXPECT_EQ(cluster[0].books().fire[Fate::written], 1u);
  EXPECT_EQ(cluster[0].books().unary.sent, 0u);
  expect_balanced(cluster);
}

TEST(Handlers, AUnaryHandlerThatIsCalledAsSyncIsAcknowledged) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto done =
      cluster.wait(cluster[0].am_sync("echo").raw_payload("x").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(done), "ok");
  EXPECT_EQ(cluster[0].books().sync[Fate::acknowledged], 1u);
  expect_balanced(cluster);
}

TEST(Handlers, AnAcknowledgedHandlerCannotBeCalledAsUnary) {
  Cluster cluster(2);
  int ran = 0;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("note", [&ran](Context&) { ++ran; }).build()));
  const auto reply = cluster.wait(cluster[0].unary("note").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(reply), "messenger.wrong_kind");
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 1u);
  EXPECT_EQ(cluster[1].books().received.rejected, 1u);
  expect_balanced(cluster);
}

TEST(Handlers, TheContextNamesTheHandlerAndTheSender) {
  Cluster cluster(2);
  std::string name;
  WorkerId worker;
  std::optional<InstanceId> instance;
  MessageId id;
  ASSERT_TRUE(cluster[1].register_handler(Handler::am_handler("who", [&](Context& context) {
                                            name = context.handler();
                                            worker = context.sender_worker_id();
                                            instance = context.sender_instance_id();
                                            id = context.message_id();
                                          }).build()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("who").instance(cluster.id(1)).send()));
  EXPECT_EQ(name, "who");
  EXPECT_EQ(worker, cluster[0].worker_id());
  EXPECT_EQ(instance, cluster.id(0));
  EXPECT_EQ(id.requester(), cluster[0].worker_id());
  expect_balanced(cluster);
}

static Task<Result<Bytes>> forward_task(Context context, InstanceId to) {
  Messenger& messenger = context.msg();
  Bytes payload = context.payload_bytes();
  auto op = messenger.unary("echo").raw_payload(payload).instance(to).send();
  Result<Bytes> reply = co_await op;
  co_return reply;
}

TEST(Handlers, AHandlerMayCallAnotherPeer) {
  for (const DispatchMode mode : both_modes) {
    Cluster cluster(3);
    auto builder = Handler::unary_handler_async("forward", [to = cluster.id(2)](Context context) {
      return forward_task(std::move(context), to);
    });
    ASSERT_TRUE(cluster[1].register_handler(mode == DispatchMode::inline_
                                                ? std::move(builder).inline_().build()
                                                : std::move(builder).build()));
    ASSERT_TRUE(cluster[2].register_handler(echo()));
    const auto reply =
        cluster.wait(cluster[0].unary("forward").raw_payload("far").instance(cluster.id(1)).send());
    EXPECT_EQ(text_of(reply), "far");
    EXPECT_EQ(cluster[1].books().unary[Fate::handled], 1u);
    expect_balanced(cluster);
  }
}

TEST(Handlers, AHandlerMayListPeers) {
  Cluster cluster(3);
  std::vector<InstanceId> listed;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler("list",
                          [&listed](Context& context) {
                            for (const PeerInfo& peer : context.msg().peers())
                              listed.push_back(peer.instance_id);
                          })
          .inline_()
          .build()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("list").instance(cluster.id(1)).send()));
  std::vector<InstanceId> expected{cluster.id(0), cluster.id(2)};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(listed, expected);
  expect_balanced(cluster);
}

TEST(Handlers, AHandlerMayRegisterAnotherThatIsCallableAtOnce) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::am_handler(
          "install",
          [](Context& context) { return context.msg().register_handler(echo("installed")); })
          .inline_()
          .build()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("install").instance(cluster.id(1)).send()));
  const auto reply =
      cluster.wait(cluster[0].unary("installed").raw_payload("x").instance(cluster.id(1)).send());
  EXPECT_EQ(text_of(reply), "x");
  const auto fired = cluster.wait(cluster[0].am_send("installed").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(fired), "ok") << "the names told at greeting are stale, and are asked again";
  EXPECT_TRUE(cluster.until([&] { return cluster[1].books().received.succeeded == 3; }));
  expect_balanced(cluster);
}

TEST(Handlers, ANameIsTakenOnce) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  EXPECT_EQ(outcome(cluster[0].register_handler(echo())), "messenger.duplicate_handler");
  EXPECT_EQ(outcome(cluster[0].register_handler(echo("Echo"))), "ok") << "names are case-sensitive";
}

TEST(Handlers, NamesThatStartWithAnUnderscoreAreReserved) {
  Cluster cluster(2);
  EXPECT_EQ(outcome(cluster[0].register_handler(echo("_mine"))), "messenger.reserved_name");
  EXPECT_EQ(outcome(cluster[0].register_handler(echo("_hello"))), "messenger.reserved_name");
  const auto called = cluster.wait(cluster[0].unary("_hello").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(called), "messenger.reserved_name");
  expect_balanced(cluster);
}

TEST(Handlers, EmptyOverlongAndIllFormedNamesAreInvalidToRegisterAndToCall) {
  Cluster cluster(2);
  for (const std::string& name : {std::string(), std::string(65'536, 'n'), std::string("caf\xe9"),
                                  std::string("\xc0\x80"), std::string("\xed\xa0\x80")}) {
    EXPECT_EQ(outcome(cluster[1].register_handler(echo(name))), "base.invalid_argument");
    const auto called = cluster.wait(cluster[0].unary(name).instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(called), "base.invalid_argument");
  }
  EXPECT_EQ(cluster[1].books().received.requests, 0u);
  expect_balanced(cluster);
}

TEST(Handlers, TheLongestNameAndOneWithAnyCharacterWork) {
  Cluster cluster(2);
  for (const std::string& name :
       {std::string(65'535, 'n'), std::string("größe/€ 𝄞\n"), std::string("a\0b", 3)}) {
    ASSERT_TRUE(cluster[1].register_handler(echo(name)));
    const auto reply =
        cluster.wait(cluster[0].unary(name).raw_payload("x").instance(cluster.id(1)).send());
    EXPECT_EQ(text_of(reply), "x");
  }
  expect_balanced(cluster);
}

TEST(Handlers, TheListOfLocalHandlersIsSortedAndHasVelosOwn) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo("zebra")));
  ASSERT_TRUE(cluster[0].register_handler(echo("ant")));
  EXPECT_EQ(cluster[0].list_local_handlers(),
            (std::vector<std::string>{"_books", "_cancel", "_drain", "_hello", "_list_handlers",
                                      "_watch", "ant", "zebra"}));
}

static Task<Result<Bytes>> descend_task(Context context) {
  const int depth = std::stoi(std::string(as_text(context.payload())));
  if (depth == 0) co_return Result<Bytes>(Bytes::copy("bottom"));
  Messenger& messenger = context.msg();
  auto op = messenger.unary("descend")
                .raw_payload(std::to_string(depth - 1))
                .instance(messenger.instance_id())
                .send();
  Result<Bytes> reply = co_await op;
  co_return reply;
}

TEST(Handlers, UnaryCallsToOneselfNestAHundredDeep) {
  for (const DispatchMode mode : both_modes) {
    Cluster cluster(1);
    auto builder = Handler::unary_handler_async("descend", &descend_task);
    ASSERT_TRUE(cluster[0].register_handler(mode == DispatchMode::inline_
                                                ? std::move(builder).inline_().build()
                                                : std::move(builder).build()));
    const auto reply =
        cluster.wait(cluster[0].unary("descend").raw_payload("100").instance(cluster.id(0)).send());
    EXPECT_EQ(text_of(reply), "bottom");
    EXPECT_EQ(cluster[0].books().received.succeeded, 101u);
    expect_balanced(cluster);
  }
}

TEST(Handlers, EveryPatternReachesOneself) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_send("echo").instance(cluster.id(0)).send())), "ok");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_sync("echo").instance(cluster.id(0)).send())), "ok");
  const auto reply =
      cluster.wait(cluster[0].unary("echo").raw_payload("x").worker(cluster[0].worker_id()).send());
  EXPECT_EQ(text_of(reply), "x");
  EXPECT_EQ(cluster[0].books().received.succeeded, 3u);
  expect_balanced(cluster);
}

}  // namespace velo::messenger::testing::handlers_test
