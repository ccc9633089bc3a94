// SPDX-License-Identifier: Apache-2.0
// Every pattern, to every kind of handler (synchronous or Task, inline or spawned), by every kind
// of target (instance, worker, oneself).

#include "testing/cluster.hpp"

#include <tuple>

namespace velo::messenger::testing::patterns_test {

struct Word {
  std::string text;
};
VELO_DESCRIBE(Word, text);

enum class Style : std::uint8_t { sync_inline, sync_spawn, task_inline, task_spawn };
enum class Target : std::uint8_t { instance, worker, own_instance, own_worker };

static Task<Result<Bytes>> echo_task(Context context) {
  Op<void> ready = Op<void>::ready(context.msg().world().pool(), {});
  const Result<void> passed = co_await ready;
  if (!passed) co_return passed.error();
  Bytes reply = context.payload_bytes();
  co_return reply;
}

static Task<void> note_task(Context context, std::string* seen) {
  *seen += as_text(context.payload());
  co_return;
}

static Task<Word> shout_task(TypedContext<Word> context) {
  Word reply;
  reply.text = context.input.text + "!";
  co_return reply;
}

class EveryPattern : public ::testing::TestWithParam<std::tuple<Style, Target>> {
 protected:
  EveryPattern() : cluster(2) {}

  static bool is_task() {
    return std::get<0>(GetParam()) == Style::task_inline ||
           std::get<0>(GetParam()) == Style::task_spawn;
  }
  static Handler build(Handler::Builder&& builder) {
    const Style style = std::get<0>(GetParam());
    if (style == Style::sync_inline || style == Style::task_inline) {
      return std::move(builder).inline_().build();
    }
    return std::move(builder).spawn().build();
  }
  Messenger& receiver() {
    const Target target = std::get<1>(GetParam());
    return target == Target::instance || target == Target::worker ? cluster[1] : cluster[0];
  }
  template <class R>
  Send<R> aimed(Send<R> send) {
    const Target target = std::get<1>(GetParam());
    if (target == Target::instance || target == Target::own_instance) {
      send.instance(receiver().instance_id());
    } else {
      send.worker(receiver().worker_id());
    }
    return send;
  }
  void add_note_handler() {
    auto added = receiver().register_handler(build(
        is_task()
            ? Handler::am_handler_async(
                  "note", [this](Context context) { return note_task(std::move(context), &seen); })
            : Handler::am_handler(
                  "note", [this](Context& context) { seen += as_text(context.payload()); })));
    ASSERT_TRUE(added) << added.error().to_string();
  }

  std::string seen;
  Cluster cluster;
};

TEST_P(EveryPattern, FireIsWrittenAndRunsTheHandlerOnce) {
  add_note_handler();
  const auto sent = cluster.wait(aimed(cluster[0].am_send("note").raw_payload("a")).send());
  ASSERT_TRUE(sent) << sent.error().to_string();
  EXPECT_TRUE(cluster.until([&] { return receiver().books().received.succeeded == 1; }));
  EXPECT_EQ(seen, "a");
  EXPECT_EQ(cluster[0].books().fire[Fate::written], 1u);
  EXPECT_EQ(receiver().books().received.requests, 1u);
}

TEST_P(EveryPattern, SyncEndsWhenTheHandlerEnded) {
  add_note_handler();
  const auto done = cluster.wait(aimed(cluster[0].am_sync("note").raw_payload("b")).send());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(seen, "b");
  EXPECT_EQ(cluster[0].books().sync[Fate::acknowledged], 1u);
}

TEST_P(EveryPattern, UnaryBringsTheReply) {
  ASSERT_TRUE(receiver().register_handler(
      build(is_task() ? Handler::unary_handler_async(
                            "echo", [](Context context) { return echo_task(std::move(context)); })
                      : Handler::unary_handler(
                            "echo", [](Context& context) { return context.payload_bytes(); }))));
  const auto reply = cluster.wait(aimed(cluster[0].unary("echo").raw_payload("c")).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "c");
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1u);
}

TEST_P(EveryPattern, TypedUnaryBringsTheStruct) {
  ASSERT_TRUE(receiver().register_handler(build(
      is_task()
          ? Handler::typed_unary_async(
                "shout", [](TypedContext<Word> context) { return shout_task(std::move(context)); })
          : Handler::typed_unary("shout", [](TypedContext<Word>& context) {
              Word reply;
              reply.text = context.input.text + "!";
              return reply;
            }))));
  Word word;
  word.text = "hé";
  const auto reply =
      cluster.wait(aimed(cluster[0].typed_unary<Word>("shout").payload(word)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text, "hé!");
}

TEST_P(EveryPattern, LargePayloadsArriveWhole) {
  ASSERT_TRUE(receiver().register_handler(
      build(is_task() ? Handler::unary_handler_async(
                            "echo", [](Context context) { return echo_task(std::move(context)); })
                      : Handler::unary_handler(
                            "echo", [](Context& context) { return context.payload_bytes(); }))));
  std::string large(3'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>('a' + i % 26);
  const auto reply = cluster.wait(aimed(cluster[0].unary("echo").raw_payload(large)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_TRUE(reply->text() == large);
}

static std::string name_of(const ::testing::TestParamInfo<EveryPattern::ParamType>& param) {
  const char* const styles[] = {"SyncInline", "SyncSpawn", "TaskInline", "TaskSpawn"};
  const char* const targets[] = {"ByInstance", "ByWorker", "ToOneself", "ToOneselfByWorker"};
  return std::string(styles[static_cast<int>(std::get<0>(param.param))]) +
         targets[static_cast<int>(std::get<1>(param.param))];
}

INSTANTIATE_TEST_SUITE_P(
    Messenger, EveryPattern,
    ::testing::Combine(::testing::Values(Style::sync_inline, Style::sync_spawn, Style::task_inline,
                                         Style::task_spawn),
                       ::testing::Values(Target::instance, Target::worker, Target::own_instance,
                                         Target::own_worker)),
    name_of);

TEST(Patterns, AUnaryHandlerMayBeFiredAtAndAcknowledged) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto fired = cluster.wait(cluster[0].am_send("echo").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(fired), "ok");
  const auto acknowledged = cluster.wait(cluster[0].am_sync("echo").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(acknowledged), "ok");
}

TEST(Patterns, AUnaryHandlerMayReplyWithNothing) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler("quiet", [](Context&) { return std::optional<Bytes>(); }).build()));
  const auto reply = cluster.wait(cluster[0].unary("quiet").instance(cluster.id(1)).send());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_TRUE(reply->empty());
}

TEST(Patterns, ABodyThatIsNothingNeedsNoBytes) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::typed_unary("nothing", [](TypedContext<Nothing>& context) {
        EXPECT_TRUE(context.payload().empty());
        return Nothing();
      }).build()));
  const auto reply =
      cluster.wait(cluster[0].typed_unary<Nothing>("nothing").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(reply), "ok");
}

TEST(Patterns, CallsToOneselfInsideHandlersNestWithoutEnd) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(
      Handler::am_handler("down",
                          [](Context& context) {
                            const int depth = std::stoi(std::string(as_text(context.payload())));
                            if (depth == 0) return;
                            (void)context.msg()
                                .am_send("down")
                                .raw_payload(std::to_string(depth - 1))
                                .instance(context.msg().instance_id())
                                .send();
                          })
          .inline_()
          .build()));
  ASSERT_TRUE(
      cluster.wait(cluster[0].am_send("down").raw_payload("1000").instance(cluster.id(0)).send()));
  EXPECT_TRUE(cluster.until([&] { return cluster[0].books().received.succeeded == 1001; }));
}

}  // namespace velo::messenger::testing::patterns_test
