// SPDX-License-Identifier: Apache-2.0
// The memory budget of a node: who is refused, who is not, and that all of it comes back.

#include "testing/cluster.hpp"

namespace velo::messenger::testing::memory_test {

constexpr std::size_t mib = std::size_t{1} << 20;

/// Node `index` has this budget; all others the usual one.
static ClusterOptions budget_of(std::size_t index, std::size_t bytes) {
  ClusterOptions options;
  options.setup = [index, bytes](sim::SimNode&, std::size_t node, NodeSetup& setup) {
    if (node == index) setup.memory_bytes = bytes;
  };
  return options;
}

static Op<Bytes> call(Cluster& cluster, std::size_t to, const Bytes& payload,
                      std::string_view handler = "echo") {
  return cluster[0].unary(handler).raw_payload(payload).instance(cluster.id(to)).timeout(1h).send();
}

static Bytes payload_of(std::size_t bytes) { return Bytes::own(std::string(bytes, 'p')); }

/// Its replies need no room.
static Handler swallow() {
  return Handler::unary_handler("swallow", [](Context&) { return Bytes(); }).inline_().build();
}

TEST(Memory, ASlowReaderIsRefusedAndNobodyElseNotices) {
  Cluster cluster(3, budget_of(0, 64 * mib));
  for (const std::size_t node : {1U, 2U}) {
    ASSERT_TRUE(cluster[node].register_handler(echo()));
    ASSERT_TRUE(cluster[node].register_handler(swallow()));
    ASSERT_TRUE(cluster.wait(call(cluster, node, Bytes::of_static("warm"))));
  }
  TimePoint before = cluster.sim.now();
  const Bytes large = payload_of(100'000);
  ASSERT_TRUE(cluster.wait(call(cluster, 2, large)));
  const Duration usual = cluster.sim.now() - before;

  cluster.sim.slow_reader(cluster.sim.node(1), 1);
  std::vector<Op<Bytes>> accepted;
  std::size_t refused = 0;
  for (int i = 0; i < 1000; ++i) {
    auto op = call(cluster, 1, large, "swallow");
    if (!op.done()) {
      accepted.push_back(std::move(op));
      continue;
    }
    const auto ended = cluster.wait(std::move(op));
    ASSERT_EQ(outcome(ended), "messenger.over_budget");
    ASSERT_EQ(ended.error().retry(), Retry::later);
    ASSERT_NE(ended.error().context().find("the peer's part"), std::string::npos);
    ++refused;
  }
  EXPECT_GT(accepted.size(), 30U);
  EXPECT_GT(refused, 700U);
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], refused);
  EXPECT_LE(cluster[0].memory().used, 20 * mib);  // its queue, and behind it its window
  EXPECT_EQ(cluster[0].memory().refused, refused);

  before = cluster.sim.now();
  const auto other = cluster.wait(call(cluster, 2, large));
  ASSERT_TRUE(other) << other.error().to_string();
  EXPECT_LE(cluster.sim.now() - before, usual + usual / 2);

  cluster.sim.slow_reader(cluster.sim.node(1), 0);
  for (auto& op : accepted) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  EXPECT_EQ(cluster[0].memory().used, 0U);
}

TEST(Memory, AThousandSlowPeersLeaveRoomForOneMore) {
  constexpr std::size_t slow = 1000;
  Cluster cluster(slow + 2, [] {
    ClusterOptions options = budget_of(0, 64 * mib);
    options.introduced = false;
    return options;
  }());
  for (std::size_t node = 1; node < slow + 2; ++node) {
    ASSERT_TRUE(cluster[node].register_handler(swallow()));
    ASSERT_TRUE(cluster[0].register_peer(cluster[node].peer_info()));
  }
  std::vector<Op<Bytes>> warm;
  for (std::size_t node = 1; node < slow + 2; ++node) {
    warm.push_back(call(cluster, node, Bytes::of_static("warm"), "swallow"));
  }
  for (auto& op : warm) ASSERT_TRUE(cluster.wait(std::move(op)));
  for (std::size_t node = 1; node <= slow; ++node) {
    cluster.sim.slow_reader(cluster.sim.node(node), 1);
  }
  const Bytes payload = payload_of(32 << 10);
  std::vector<Op<Bytes>> accepted;
  std::size_t refused = 0;
  for (int round = 0; round < 20; ++round) {
    for (std::size_t node = 1; node <= slow; ++node) {
      auto op = call(cluster, node, payload, "swallow");
      if (!op.done()) {
        accepted.push_back(std::move(op));
      } else {
        ++refused;
        ASSERT_EQ(outcome(cluster.wait(std::move(op))), "messenger.over_budget");
      }
    }
    ASSERT_LE(cluster[0].memory().used, 60 * mib);
  }
  EXPECT_GT(accepted.size(), slow);
  EXPECT_GT(refused, slow);
  for (int i = 0; i < 20; ++i) {
    const auto other = cluster.wait(call(cluster, slow + 1, payload, "swallow"), 5s);
    ASSERT_TRUE(other) << other.error().to_string();
  }
  for (std::size_t node = 1; node <= slow; ++node) {
    cluster.sim.slow_reader(cluster.sim.node(node), 0);
  }
  for (auto& op : accepted) ASSERT_EQ(outcome(cluster.wait(std::move(op))), "ok");
  EXPECT_EQ(cluster[0].memory().used, 0U);
  const Books books = cluster[0].books();
  EXPECT_TRUE(books.balanced());
  EXPECT_EQ(books.unary[Fate::rejected], refused);
}

TEST(Memory, ARequestWithoutRoomIsAnsweredAndTheConnectionGoesOn) {
  Cluster cluster(2, budget_of(1, 1 * mib));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto large = cluster.wait(call(cluster, 1, payload_of(mib / 2)));
  EXPECT_EQ(outcome(large), "messenger.over_budget");
  EXPECT_EQ(large.error().retry(), Retry::later);
  const auto small = cluster.wait(call(cluster, 1, payload_of(mib / 8)));
  ASSERT_TRUE(small) << small.error().to_string();
  EXPECT_EQ(small->size(), mib / 8);
  EXPECT_EQ(cluster[0].books().unary[Fate::rejected], 1U);
  EXPECT_EQ(cluster[1].books().received.rejected, 1U);
  EXPECT_EQ(cluster.sim.stats().connections_opened, 1U);
}

/// Answers with as many bytes as the request says.
static Handler answer_with() {
  return Handler::unary_handler(
             "answer",
             [](Context& context) {
               return payload_of(std::stoul(Bytes(context.payload_bytes()).to_string()));
             })
      .inline_()
      .build();
}

TEST(Memory, AReplyWithoutRoomAtEitherSideEndsItsCallAsHandled) {
  for (const std::size_t poor : {0U, 1U}) {
    Cluster cluster(2, budget_of(poor, 1 * mib));
    ASSERT_TRUE(cluster[1].register_handler(answer_with()));
    const auto large =
        cluster.wait(call(cluster, 1, Bytes::copy(std::to_string(mib / 2)), "answer"));
    EXPECT_EQ(outcome(large), "messenger.over_budget");
    EXPECT_EQ(large.error().retry(), Retry::never) << "it would run again";
    const auto small = cluster.wait(call(cluster, 1, Bytes::copy("100000"), "answer"));
    ASSERT_TRUE(small) << small.error().to_string();
    EXPECT_EQ(small->size(), 100'000U);
    EXPECT_EQ(cluster[0].books().unary[Fate::handled], 2U);
    EXPECT_EQ(cluster[1].books().received.succeeded, 2U);
    EXPECT_EQ(cluster.sim.stats().connections_opened, 1U);
  }
}

TEST(Memory, RunningRequestsAreChargedUntilTheirHandlersAreOver) {
  Gate gate;
  Cluster cluster(2, budget_of(1, 1 * mib));
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> running;
  for (int i = 0; i < 100; ++i) running.push_back(call(cluster, 1, payload_of(10'000), "hold"));
  ASSERT_TRUE(cluster.until([&] { return cluster[1].books().received.requests == 100; }));
  const std::size_t refused = cluster[1].books().received.rejected;
  EXPECT_GT(refused, 70U);
  EXPECT_LT(refused, 90U);
  // Those that nobody waits for any longer still run.
  const std::size_t used = cluster[1].memory().used;
  EXPECT_GT(used, 100'000U);
  running.erase(running.begin(), running.begin() + 10);
  ASSERT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 10; }));
  EXPECT_EQ(cluster[1].memory().used, used);
  gate.open();
  std::size_t over_budget = 0;
  for (auto& op : running) {
    const std::string ended = outcome(cluster.wait(std::move(op)));
    over_budget += ended == "messenger.over_budget" ? 1U : 0U;
  }
  EXPECT_EQ(over_budget, refused);
  EXPECT_TRUE(cluster.until([&] { return cluster[1].memory().used == 0; }));
}

TEST(Memory, WhatWaitsForAConnectionIsCharged) {
  Cluster cluster(2, budget_of(0, 4 * mib));
  cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  std::vector<Op<Bytes>> waiting;
  std::size_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    auto op = call(cluster, 1, payload_of(50'000));
    if (op.done()) {
      ++refused;
      EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.over_budget");
    } else {
      waiting.push_back(std::move(op));
    }
  }
  EXPECT_GT(refused, 70U);
  EXPECT_LE(cluster[0].memory().used, mib);
  EXPECT_GT(cluster[0].memory().used, mib / 2);
  for (auto& op : waiting) EXPECT_EQ(outcome(cluster.wait(std::move(op))), "messenger.not_sent");
  EXPECT_EQ(cluster[0].memory().used, 0U);
}

TEST(Memory, WhatACallerKeepsOfAReplyIsItsOwn) {
  Cluster cluster(2, budget_of(0, 1 * mib));
  ASSERT_TRUE(cluster[1].register_handler(answer_with()));
  std::vector<Bytes> kept;
  for (int i = 0; i < 50; ++i) {
    auto reply = cluster.wait(call(cluster, 1, Bytes::copy("100000"), "answer"));
    ASSERT_TRUE(reply) << i << ": " << reply.error().to_string();
    kept.push_back(std::move(*reply));
  }
  EXPECT_EQ(cluster[0].memory().used, 0U);
}

TEST(Memory, WhatAHandlerKeepsOfARequestIsItsOwn) {
  Cluster cluster(2, budget_of(1, 1 * mib));
  std::vector<Bytes> kept;
  const auto keep = [&kept](Context& context) {
    kept.push_back(context.payload_bytes());
    return Bytes();
  };
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("inline", keep).inline_().build()));
  ASSERT_TRUE(cluster[1].register_handler(Handler::unary_handler("pool", keep).spawn().build()));
  for (int i = 0; i < 50; ++i) {
    const auto reply =
        cluster.wait(call(cluster, 1, payload_of(100'000), i % 2 == 0 ? "inline" : "pool"));
    ASSERT_TRUE(reply) << i << ": " << reply.error().to_string();
  }
  EXPECT_EQ(kept.size(), 50U);
  EXPECT_TRUE(cluster.until([&] { return cluster[1].memory().used == 0; }));
}

}  // namespace velo::messenger::testing::memory_test
