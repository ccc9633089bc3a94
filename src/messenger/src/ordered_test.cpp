// SPDX-License-Identifier: Apache-2.0
// Ordered handlers and limits of concurrency on simulated nodes: order, turns, overflow, and every
// way in which a request that waits can end.

#include "testing/cluster.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace velo::messenger::testing::ordered_test {

static void expect_balanced(Cluster& cluster) {
  for (const auto& messenger : cluster.messengers) EXPECT_TRUE(messenger->books().balanced());
}

/// A handler "work" on node 0 whose invocations say when they begin and end, and last until they
/// are told to end.
class Ordered : public ::testing::Test {
 protected:
  Ordered() : cluster(3) {}
  void TearDown() override {
    open = true;
    cluster.sim.run_until_quiet(2min);
    expect_balanced(cluster);
    EXPECT_EQ(cluster[0].books().received.running, 0u);
  }

  Handler::Builder work() {
    return Handler::unary_handler_async(
        "work", [this](Context context) { return worked(std::move(context), this); });
  }
  static Task<Result<Bytes>> worked(Context context, Ordered* test) {
    const std::string name(as_text(context.payload()));
    test->begun.push_back(name);
    test->most = std::max(test->most, ++test->running);
    if (!test->open) {
      test->held[name] = std::make_unique<Promise<void>>(context.msg().world().pool());
      auto op = test->held[name]->op();
      const Result<void> passed = co_await op;
      (void)passed;
    }
    --test->running;
    test->ended.push_back(name);
    if (name.starts_with("throw")) throw std::runtime_error("boom");
    Bytes reply = context.payload_bytes();
    co_return reply;
  }

  void add(Handler handler) { ASSERT_TRUE(cluster[0].register_handler(std::move(handler))); }
  Op<Bytes> call(std::size_t from, std::string_view name, Duration timeout = 1h) {
    return cluster[from]
        .unary("work")
        .raw_payload(name)
        .timeout(timeout)
        .instance(cluster.id(0))
        .send();
  }
  void let_go(const std::string& name) {
    ASSERT_TRUE(held.contains(name)) << name << " does not run";
    held[name]->set({});
    held.erase(name);
  }
  bool has_begun(std::size_t count) {
    return cluster.until([&] { return begun.size() == count; });
  }
  /// Long enough for every message to arrive, too short for a deadline.
  void settle() { cluster.sim.run_for(1s); }

  std::vector<std::string> begun;
  std::vector<std::string> ended;
  std::map<std::string, std::unique_ptr<Promise<void>>> held;
  bool open = false;
  int running = 0;
  int most = 0;
  Cluster cluster;
};

using Names = std::vector<std::string>;

TEST_F(Ordered, OneSendersMessagesRunOneAfterTheOther) {
  add(work().ordered().build());
  std::vector<Op<Bytes>> ops;
  Names names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("m" + std::to_string(i));
    ops.push_back(call(1, names.back()));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    ASSERT_TRUE(has_begun(i + 1));
    settle();
    ASSERT_EQ(begun.size(), i + 1) << "until its Task ends";
    let_go(names[i]);
  }
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  EXPECT_EQ(begun, names);
  EXPECT_EQ(most, 1);
}

TEST_F(Ordered, SendersDoNotWaitForEachOther) {
  add(work().ordered().build());
  auto first = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto behind = call(1, "b");
  auto other = call(2, "c");
  ASSERT_TRUE(has_begun(2));
  EXPECT_EQ(begun, (Names{"a", "c"}));
  let_go("c");
  EXPECT_EQ(outcome(cluster.wait(std::move(other))), "ok") << "while a still runs";
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(behind))), "ok");
}

TEST_F(Ordered, AGlobalLaneIsForAll) {
  add(work().ordered_global().build());
  auto first = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto second = call(2, "b");
  auto third = call(0, "c");
  settle();
  EXPECT_EQ(begun.size(), 1u);
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(second))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(third))), "ok");
  EXPECT_EQ(most, 1);
}

TEST_F(Ordered, PlainFunctionsKeepOrderToo) {
  std::map<std::string, std::vector<int>> seen;
  add(Handler::am_handler("note",
                          [&seen](Context& context) {
                            seen[context.sender_instance_id()->to_string()].push_back(
                                std::stoi(std::string(as_text(context.payload()))));
                          })
          .ordered()
          .build());
  std::vector<Op<void>> ops;
  for (int i = 0; i < 200; ++i) {
    for (const std::size_t from : {1u, 2u}) {
      auto send = i % 3 == 0 ? cluster[from].am_send("note") : cluster[from].am_sync("note");
      ops.push_back(send.raw_payload(std::to_string(i)).instance(cluster.id(0)).send());
    }
  }
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  settle();
  ASSERT_EQ(seen.size(), 2u);
  for (const auto& [sender, numbers] : seen) {
    EXPECT_EQ(numbers.size(), 200u);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << sender;
  }
}

struct Number {
  int value = 0;
};
VELO_DESCRIBE(Number, value);

TEST_F(Ordered, TypedOnesAreOrderedToo) {
  std::vector<int> seen;
  add(Handler::typed_unary("double",
                           [&seen](TypedContext<Number>& context) {
                             seen.push_back(context.input.value);
                             Number twice;
                             twice.value = context.input.value * 2;
                             return twice;
                           })
          .ordered()
          .build());
  std::vector<Op<Number>> ops;
  for (int i = 0; i < 20; ++i) {
    Number number;
    number.value = i;
    ops.push_back(
        cluster[1].typed_unary<Number>("double").payload(number).instance(cluster.id(0)).send());
  }
  for (int i = 0; i < 20; ++i) {
    const auto twice = cluster.wait(std::move(ops[static_cast<std::size_t>(i)]));
    ASSERT_TRUE(twice) << twice.error().to_string();
    EXPECT_EQ(twice->value, 2 * i);
  }
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(Ordered, ALimitHoldsAcrossLanes) {
  add(work().ordered().max_concurrent(1).build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(2, "b");
  settle();
  EXPECT_EQ(begun.size(), 1u);
  let_go("a");
  ASSERT_TRUE(has_begun(2));
  let_go("b");
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "ok");
}

TEST_F(Ordered, WithoutOrderALimitOfTwoRunsTwo) {
  add(work().max_concurrent(2).build());
  std::vector<Op<Bytes>> ops;
  for (const char* name : {"a", "b", "c"}) ops.push_back(call(1, name));
  ASSERT_TRUE(has_begun(2));
  settle();
  EXPECT_EQ(begun.size(), 2u);
  let_go("b");
  ASSERT_TRUE(has_begun(3)) << "the second of a sender may end first";
  let_go("a");
  let_go("c");
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  EXPECT_EQ(most, 2);
}

TEST_F(Ordered, WhatAFullLaneCannotHoldIsOverloaded) {
  OrderedConfig config;
  config.max_queue_depth = 2;
  add(work().ordered_with(config).build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(1, "b");
  auto c = call(1, "c");
  const auto refused = cluster.wait(call(1, "d"));
  EXPECT_EQ(outcome(refused), "messenger.overloaded");
  EXPECT_EQ(refused.error().retry(), Retry::later);
  EXPECT_EQ(cluster[0].books().received.rejected, 1u);
  EXPECT_EQ(cluster[1].books().unary[Fate::rejected], 1u);
  auto elsewhere = call(2, "e");
  ASSERT_TRUE(has_begun(2)) << "another sender's lane has room";
  open = true;
  let_go("e");
  let_go("a");
  for (auto* op : {&a, &b, &c, &elsewhere}) EXPECT_EQ(outcome(cluster.wait(std::move(*op))), "ok");
}

TEST_F(Ordered, TheOldestMakesRoomWhereThatIsWanted) {
  OrderedConfig config;
  config.max_queue_depth = 1;
  config.overflow = LaneOverflow::displace_oldest;
  add(work().ordered_with(config).build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(1, "b");
  auto c = call(1, "c");
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "messenger.overloaded");
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(c))), "ok");
  EXPECT_EQ(begun, (Names{"a", "c"}));
}

TEST_F(Ordered, OneThatThrowsEndsOnlyItself) {
  open = true;
  add(work().ordered().build());
  add(Handler::am_handler("bad", [](Context&) { throw std::runtime_error("boom"); })
          .ordered()
          .build());
  auto bad = call(1, "throw");
  auto good = call(1, "b");
  EXPECT_EQ(outcome(cluster.wait(std::move(bad))), "messenger.handler_threw");
  EXPECT_EQ(outcome(cluster.wait(std::move(good))), "ok");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(outcome(cluster.wait(cluster[1].am_sync("bad").instance(cluster.id(0)).send())),
              "messenger.handler_threw");
  }
}

TEST_F(Ordered, ACancelledOneThatWaitsIsNeverRun) {
  add(work().ordered().build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(1, "b");
  auto c = call(1, "c");
  settle();
  b.cancel();
  ASSERT_TRUE(cluster.until([&] { return cluster[0].books().received.abandoned == 1; }));
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(c))), "ok");
  EXPECT_EQ(begun, (Names{"a", "c"}));
}

TEST_F(Ordered, AnExpiredOneThatWaitsIsNeverRun) {
  add(work().ordered().build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(1, "b", 5s);
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "messenger.deadline_exceeded");
  settle();
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(a))), "ok");
  settle();
  EXPECT_EQ(begun, Names{"a"});
  EXPECT_EQ(cluster[0].books().received.abandoned, 1u);
}

TEST_F(Ordered, ACancelledOneThatRunsKeepsItsLaneUntilItIsOver) {
  add(work().ordered().build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto b = call(1, "b");
  a.cancel();
  settle();
  EXPECT_EQ(begun.size(), 1u);
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "ok");
  EXPECT_EQ(ended, (Names{"a", "b"}));
}

TEST_F(Ordered, ALaneOutlivesItsSendersConnection) {
  add(work().ordered().build());
  auto a = call(1, "a");
  ASSERT_TRUE(has_begun(1));
  auto lost = call(1, "lost");
  settle();
  cluster.sim.reset_connections(cluster.sim.node(1));
  EXPECT_EQ(outcome(cluster.wait(std::move(lost))), "messenger.connection_lost");
  auto b = call(1, "b");
  settle();
  EXPECT_EQ(begun, Names{"a"}) << "the new connection's messages queue behind the one that runs";
  open = true;
  let_go("a");
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "ok");
  EXPECT_EQ(begun, (Names{"a", "b"})) << "what waited for the old one is dropped";
}

TEST_F(Ordered, DrainingWaitsForWhatIsQueued) {
  add(work().ordered().build());
  std::vector<Op<Bytes>> ops;
  for (const char* name : {"a", "b", "c"}) ops.push_back(call(1, name));
  ASSERT_TRUE(has_begun(1));
  settle();
  auto over = cluster[0].shutdown(ShutdownPolicy(1min));
  settle();
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(cluster.until([&] { return held.contains(name); }));
    EXPECT_FALSE(over.done());
    let_go(name);
  }
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  EXPECT_EQ(outcome(cluster.wait(std::move(over))), "ok");
}

TEST_F(Ordered, OutOfPatienceAnswersWhatIsQueuedUnrun) {
  add(work().ordered().build());
  auto a = call(1, "a");
  auto b = call(1, "b");
  auto c = call(1, "c");
  ASSERT_TRUE(has_begun(1));
  settle();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].shutdown(ShutdownPolicy(2s)))),
            "base.deadline_exceeded");
  EXPECT_EQ(outcome(cluster.wait(std::move(b))), "messenger.shutting_down");
  EXPECT_EQ(outcome(cluster.wait(std::move(c))), "messenger.shutting_down");
  EXPECT_EQ(cluster[1].books().unary[Fate::rejected], 2u) << "nothing ran: safe to send elsewhere";
  open = true;
  let_go("a");
  cluster.sim.run_until_quiet(1min);
  EXPECT_EQ(begun, Names{"a"});
}

TEST_F(Ordered, IdleLanesAreForgottenInTime) {
  open = true;
  OrderedConfig config;
  config.idle_lane_ttl = 10s;
  add(work().ordered_with(config).build());
  EXPECT_EQ(outcome(cluster.wait(call(1, "a"))), "ok");
  EXPECT_EQ(outcome(cluster.wait(call(2, "b"))), "ok");
  EXPECT_EQ(cluster[0].handler_lanes("work"), 2u);
  cluster.sim.run_for(9s);
  EXPECT_EQ(cluster[0].handler_lanes("work"), 2u);
  EXPECT_EQ(outcome(cluster.wait(call(2, "c"))), "ok");
  cluster.sim.run_for(2s);
  EXPECT_EQ(cluster[0].handler_lanes("work"), 1u) << "the used one stays";
  cluster.sim.run_for(10s);
  EXPECT_EQ(cluster[0].handler_lanes("work"), 0u);
  EXPECT_EQ(outcome(cluster.wait(call(1, "d"))), "ok");
}

TEST_F(Ordered, TheLastWordOfTheBuilderCounts) {
  EXPECT_EQ(work().ordered().inline_().build().mode(), DispatchMode::inline_);
  EXPECT_FALSE(work().ordered().inline_().build().order());
  EXPECT_FALSE(work().ordered().spawn().build().order());
  EXPECT_EQ(work().inline_().ordered().build().mode(), DispatchMode::spawn);
  EXPECT_EQ(work().inline_().max_concurrent(2).build().mode(), DispatchMode::spawn);
  EXPECT_EQ(work().ordered().max_concurrent(3).build().max_concurrent(), 3u);
  EXPECT_EQ(work().ordered().build().max_queue_depth(), limits::lane_depth_default);
}

}  // namespace velo::messenger::testing::ordered_test
