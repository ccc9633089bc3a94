// SPDX-License-Identifier: Apache-2.0
// Large payloads of messages between simulated nodes: staged at the sender, pulled before the
// handler runs, in the order of the messages, and never left behind.

#include "testing.hpp"

#include <velo/messenger/error.hpp>
#include <velo/rendezvous/error.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::rendezvous::testing::staged_test {

using messenger::testing::echo;
using messenger::testing::Gate;
using messenger::testing::gated;

/// What arrived at a handler, with the size of frames that its connection could have carried.
struct Seen {
  std::vector<std::size_t> sizes;
  Headers headers;
};

static Handler taking(std::string name, Seen& seen) {
  return Handler::am_handler(std::move(name),
                             [&seen](Context& context) {
                               seen.sizes.push_back(context.payload().size());
                               seen.headers = context.headers();
                             })
      .ordered()
      .build();
}

TEST(StagedPayloads, TravelBesideTheirMessagesBothWays) {
  StagedCluster cluster(2);
  std::size_t most_staged = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::unary_handler("echo", [&](Context& context) {
        most_staged = std::max(most_staged, cluster.data[0].use().entries);
        EXPECT_TRUE(context.header("_rv").empty());
        EXPECT_EQ(context.header("mine"), "yes");
        context.set_response_header("theirs", "too");
        return context.payload_bytes();
      }).build()));
  const std::string contents = pattern(large);
  const auto reply = cluster.nodes.wait(cluster.nodes[0]
                                            .unary("echo")
                                            .raw_payload(contents)
                                            .header("mine", "yes")
                                            .instance(cluster.nodes.id(1))
                                            .send_for_response());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->payload.text(), contents);
  EXPECT_EQ(reply->headers.at("theirs"), "too");
  EXPECT_FALSE(reply->headers.contains("_rv"));
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, OverTheFrameLimitWorkInEveryPattern) {
  StagedCluster cluster(2);
  Seen seen;
  ASSERT_TRUE(cluster.nodes[1].register_handler(taking("take", seen)));
  ASSERT_TRUE(cluster.nodes[1].register_handler(echo()));
  const Bytes contents = Bytes::copy(pattern(velo::limits::frame_bytes_max + 100));
  auto send = [&](auto sending) {
    return cluster.nodes.wait(sending.raw_payload(contents).instance(cluster.nodes.id(1)).send());
  };
  EXPECT_EQ(outcome(send(cluster.nodes[0].am_send("take"))), "ok");
  EXPECT_EQ(outcome(send(cluster.nodes[0].am_sync("take"))), "ok");
  const auto reply = send(cluster.nodes[0].unary("echo"));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(*reply, contents);
  EXPECT_EQ(seen.sizes, (std::vector<std::size_t>{contents.size(), contents.size()}));
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, KeepTheirPlaceAmongSmallOnesOfAnOrderedHandler) {
  StagedCluster cluster(2);
  Seen seen;
  ASSERT_TRUE(cluster.nodes[1].register_handler(taking("take", seen)));
  std::vector<std::size_t> sizes;
  std::vector<Op<void>> ops;
  for (std::size_t i = 0; i < 12; ++i) {
    sizes.push_back(i % 3 == 0 ? large + i : i);
    ops.push_back(cluster.nodes[0]
                      .am_sync("take")
                      .raw_payload(pattern(sizes.back()))
                      .instance(cluster.nodes.id(1))
                      .send());
  }
  for (auto& op : ops) EXPECT_EQ(outcome(cluster.nodes.wait(std::move(op))), "ok");
  EXPECT_EQ(seen.sizes, sizes);
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, AreThereForInlineSpawnedAndLimitedHandlers) {
  StagedCluster cluster(2);
  const auto size_of = [](Context& context) {
    return Bytes::copy(std::to_string(context.payload().size()));
  };
  ASSERT_TRUE(
      cluster.nodes[1].register_handler(Handler::unary_handler("a", size_of).inline_().build()));
  ASSERT_TRUE(
      cluster.nodes[1].register_handler(Handler::unary_handler("b", size_of).spawn().build()));
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::unary_handler("c", size_of).max_concurrent(1).build()));
  for (const char* name : {"a", "b", "c"}) {
    const auto reply = cluster.nodes.wait(cluster.nodes[0]
                                              .unary(name)
                                              .raw_payload(pattern(large))
                                              .instance(cluster.nodes.id(1))
                                              .send());
    ASSERT_TRUE(reply) << name << ": " << reply.error().to_string();
    EXPECT_EQ(reply->text(), std::to_string(large)) << name;
  }
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, OneSendsToOneselfWithoutStaging) {
  StagedCluster cluster(1);
  std::size_t staged = 0;
  ASSERT_TRUE(
      cluster.nodes[0].register_handler(Handler::unary_handler("echo", [&](Context& context) {
                                          staged += cluster.staged();
                                          return context.payload_bytes();
                                        }).build()));
  const Bytes contents = Bytes::copy(pattern(large));
  auto send = [&](const Bytes& payload) {
    return cluster.nodes.wait(
        cluster.nodes[0].unary("echo").raw_payload(payload).instance(cluster.nodes.id(0)).send());
  };
  const auto reply = send(contents);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->data(), contents.data()) << "handed over";
  EXPECT_EQ(staged, 0U);
  const Bytes huge = Bytes::copy(pattern(velo::limits::frame_bytes_max + 1));
  const auto staged_reply = send(huge);
  ASSERT_TRUE(staged_reply) << staged_reply.error().to_string();
  EXPECT_EQ(*staged_reply, huge);
  cluster.expect_nothing_left();
}

TEST(StagedPayloads, ACallThatEndsDuringThePullIsCancelledEverywhere) {
  StagedCluster cluster(2);
  int ran = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::am_handler("take", [&](Context&) { ++ran; }).ordered().build()));
  {
    auto op = cluster.nodes[0]
                  .am_sync("take")
                  .raw_payload(pattern(8 * large))
                  .instance(cluster.nodes.id(1))
                  .send();
    ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
    op.cancel();
    EXPECT_EQ(outcome(cluster.nodes.wait(std::move(op))), "messenger.cancelled");
  }
  cluster.expect_nothing_left();
  EXPECT_EQ(ran, 0);
  // The lane is free again.
  EXPECT_EQ(outcome(cluster.nodes.wait(
                cluster.nodes[0].am_sync("take").instance(cluster.nodes.id(1)).send())),
            "ok");
  EXPECT_EQ(ran, 1);
}

TEST(StagedPayloads, TheDeadlineHoldsDuringThePullOfARequestAndOfAReply) {
  StagedCluster cluster(2);
  int ran = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(Handler::unary_handler("make", [&](Context&) {
                                                  ++ran;
                                                  return Bytes::copy(pattern(8 * large));
                                                }).build()));
  const auto call = [&](std::size_t bytes) {
    return cluster.nodes[0]
        .unary("make")
        .raw_payload(pattern(bytes))
        .timeout(2s)
        .instance(cluster.nodes.id(1))
        .send();
  };
  auto request = call(8 * large);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  cluster.nodes.sim.partition(cluster.nodes.sim.node(0), cluster.nodes.sim.node(1));
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(request))), "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.data[0].use().leases, 1U) << "the reader could not say that it gave up";
  cluster.nodes.sim.heal();
  cluster.nodes.sim.run_for(limits::lease_ttl + 1s);
  EXPECT_EQ(ran, 0);

  auto reply = call(1);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[1].use().leases == 1; }));
  EXPECT_EQ(ran, 1);
  cluster.nodes.sim.partition(cluster.nodes.sim.node(0), cluster.nodes.sim.node(1));
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(reply))), "messenger.deadline_exceeded");
  cluster.nodes.sim.heal();
  cluster.nodes.sim.run_for(limits::lease_ttl + 1s);
  cluster.expect_nothing_left();
  cluster.nodes.outsiders = true;  // what was cut off may be counted on one side only
}

TEST(StagedPayloads, OfFireAndForgetThatNobodyPullsAreFreedInTime) {
  StagedCluster cluster(3);
  Seen seen;
  ASSERT_TRUE(cluster.nodes[1].register_handler(taking("take", seen)));
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.nodes[0]
                                           .am_send("take")
                                           .raw_payload(pattern(large))
                                           .instance(cluster.nodes.id(1))
                                           .send())),
            "ok");
  cluster.expect_nothing_left();
  EXPECT_EQ(seen.sizes, std::vector<std::size_t>{large});
  // Written, and lost with its reader.
  auto op = cluster.nodes[0]
                .am_send("take")
                .raw_payload(pattern(large))
                .instance(cluster.nodes.id(1))
                .send();
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().entries == 1; }));
  cluster.nodes.outsiders = true;
  cluster.nodes.messengers[1].reset();
  (void)cluster.nodes.wait(std::move(op));
  cluster.nodes.sim.run_for(70s);
  EXPECT_EQ(cluster.data[0].use().entries, 0U);
}

TEST(StagedPayloads, AreNotReadForOthers) {
  StagedCluster cluster(3);
  ASSERT_TRUE(cluster.nodes[1].register_handler(echo()));
  const auto handle = cluster.data[2].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  // Node 0 names data of node 2.
  const auto reply = cluster.nodes.wait(cluster.nodes[0]
                                            .unary("echo")
                                            .header("_rv", handle->to_string())
                                            .instance(cluster.nodes.id(1))
                                            .send());
  EXPECT_EQ(outcome(reply), "messenger.no_payload");
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.nodes[0]
                                           .unary("echo")
                                           .header("_rv", "nonsense")
                                           .instance(cluster.nodes.id(1))
                                           .send())),
            "messenger.no_payload");
  ASSERT_TRUE(cluster.data[2].withdraw(*handle));
}

TEST(StagedPayloads, ThatFindNoRoomAtTheReaderAreRefusedAndRunNothing) {
  StagedCluster cluster(2, SIZE_MAX, [](std::size_t index, NodeSetup& setup) {
    if (index == 1) setup.memory_bytes = std::size_t{2} << 20;
  });
  int ran = 0;
  ASSERT_TRUE(cluster.nodes[1].register_handler(
      Handler::am_handler("take", [&](Context&) { ++ran; }).build()));
  const auto sent = cluster.nodes.wait(cluster.nodes[0]
                                           .am_sync("take")
                                           .raw_payload(pattern(large))
                                           .instance(cluster.nodes.id(1))
                                           .send());
  EXPECT_EQ(outcome(sent), "messenger.over_budget");
  EXPECT_TRUE(sent.error().retry() == Retry::later && sent.error().without_effect());
  EXPECT_EQ(ran, 0);
  cluster.expect_nothing_left();
}

}  // namespace velo::rendezvous::testing::staged_test
