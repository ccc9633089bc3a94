// SPDX-License-Identifier: Apache-2.0
// The comparison of books, and the books of nodes as others see them.

#include "testing/cluster.hpp"

#include <velo/messenger/balance.hpp>

namespace velo::messenger::balance_test {

using testing::Cluster;
using testing::ClusterOptions;
using testing::echo;
using testing::NodeSetup;
using testing::outcome;

using namespace std::chrono_literals;

static InstanceId id_of(std::uint8_t last) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[0] = 0x10;
  bytes[15] = last;
  return InstanceId(bytes);
}

/// a sent b ten unary requests, eight of which b handled; b received nine.
struct Two {
  NodeBooks a;
  NodeBooks b;

  Two() {
    a.instance = id_of(1);
    b.instance = id_of(2);
    a.totals.unary.sent = 10;
    a.totals.unary.ends[static_cast<std::size_t>(Fate::handled)] = 8;
    a.totals.unary.ends[static_cast<std::size_t>(Fate::expired)] = 2;
    PeerBooks to_b;
    to_b.peer = b.instance;
    to_b.unary.accepted = 10;
    to_b.unary.ends = a.totals.unary.ends;
    a.peers.push_back(to_b);
    b.totals.received.requests = 9;
    b.totals.received.succeeded = 9;
    PeerBooks from_a;
    from_a.peer = a.instance;
    from_a.requests[2] = 9;
    from_a.succeeded = 9;
    b.peers.push_back(from_a);
  }

  Balance compared(Moving moving = Moving::maybe) const {
    const NodeBooks nodes[] = {a, b};
    return compare(nodes, moving);
  }
};

TEST(Balance, WhatArrivedIsBetweenWhatIsCertainAndWhatWasTaken) {
  Two two;
  EXPECT_TRUE(two.compared().ok());
  ASSERT_EQ(two.compared().flows.size(), 1U);
  EXPECT_EQ(two.compared().flows[0].at_least[2], 8U);
  two.b.totals.received.requests = two.b.totals.received.succeeded = two.b.peers[0].requests[2] = 7;
  ASSERT_EQ(two.compared().complaints.size(), 1U);
  EXPECT_EQ(two.compared().complaints[0],
            "10000000 sent 8 to 10 unary to 10000000, which received 7");
  two.b.totals.received.requests = two.b.totals.received.succeeded = two.b.peers[0].requests[2] =
      11;
  EXPECT_EQ(two.compared().complaints.size(), 1U);
}

TEST(Balance, WhenNothingMovesAllThatAnUnbrokenConnectionTookHasArrived) {
  Two two;
  EXPECT_FALSE(two.compared(Moving::no).ok());
  two.b.peers[0].closed = 1;
  EXPECT_TRUE(two.compared(Moving::no).ok()) << "a connection that broke may have lost one";
}

TEST(Balance, SumsThatDoNotAddUpAreNamed) {
  Two two;
  two.a.totals.unary.sent = 11;
  two.a.totals.rejected_by["messenger.not_sent"] = 1;
  two.b.totals.received.running = 1;
  const Balance balance = two.compared();
  ASSERT_EQ(balance.complaints.size(), 3U);
  EXPECT_EQ(balance.complaints[0], "10000000: 11 unary sends, but 0 in flight and 10 ended");
  EXPECT_EQ(balance.complaints[1], "10000000: 0 sends rejected, but 1 reasons counted");
  EXPECT_EQ(balance.complaints[2], "10000000: 9 requests received, but 1 running and 9 over");
}

TEST(Balance, APeerThatMayBeAmongTheOthersIsNotJudged) {
  Two two;
  two.b.peers[0].peer = InstanceId();
  EXPECT_TRUE(two.compared().ok());
  EXPECT_FALSE(two.compared().flows.at(0).known);
}

TEST(Balance, BooksOfAnotherNodeAreAskedForAndAgree) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  }
  ASSERT_TRUE(cluster.wait(cluster[0].am_sync("echo").instance(cluster.id(1)).send()));
  ASSERT_TRUE(cluster.wait(cluster[0].am_send("echo").instance(cluster.id(1)).send()));
  auto none = cluster.wait(cluster[0].unary("none").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(none), "messenger.unknown_handler");

  auto theirs = cluster.wait(cluster[0].books_of(cluster.id(1)));
  ASSERT_TRUE(theirs) << theirs.error().to_string();
  EXPECT_EQ(theirs->instance, cluster.id(1));
  EXPECT_EQ(theirs->totals.received.requests, 10U);
  EXPECT_EQ(theirs->totals.received.succeeded, 9U);
  const PeerBooks* from_us = theirs->with(cluster.id(0));
  ASSERT_NE(from_us, nullptr);
  EXPECT_EQ(from_us->requests, (std::array<std::uint64_t, 3>{1, 1, 8}));
  EXPECT_EQ(from_us->rejected, 1U);
  const NodeBooks ours = cluster[0].node_books();
  const PeerBooks* to_them = ours.with(cluster.id(1));
  ASSERT_NE(to_them, nullptr);
  EXPECT_EQ(to_them->unary.accepted, 8U);
  EXPECT_EQ(to_them->unary[Fate::handled], 7U);
  EXPECT_EQ(to_them->unary[Fate::rejected], 1U);
  EXPECT_EQ(to_them->fire[Fate::written], 1U);
  EXPECT_EQ(ours.totals.rejected_by.at("messenger.unknown_handler"), 1U);
  EXPECT_EQ(ours.totals.stages.accepted, 10U);
  EXPECT_EQ(ours.totals.stages.waited_for_connection, 1U);
  EXPECT_TRUE(testing::books_agree(cluster[0], cluster[1]));
}

TEST(Balance, ANodeAgreesWithItself) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(0)).send()));
  auto books = cluster.wait(cluster[0].books_of(cluster.id(0)));
  ASSERT_TRUE(books);
  ASSERT_NE(books->with(cluster.id(0)), nullptr);
  EXPECT_EQ(books->with(cluster.id(0))->unary[Fate::handled], 1U);
  EXPECT_EQ(books->with(cluster.id(0))->requests[2], 1U);
}

TEST(Balance, APeerOfThePublicVeloHasNoBooks) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == 1;
  };
  Cluster cluster(2, std::move(options));
  auto books = cluster.wait(cluster[0].books_of(cluster.id(1)));
  EXPECT_FALSE(books);
}

TEST(Balance, WhatABrokenConnectionLostIsNeitherCertainNorReceived) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  auto lost = cluster[0].unary("echo").instance(cluster.id(1)).timeout(2s).send();
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  EXPECT_FALSE(cluster.wait(std::move(lost)));
  const NodeBooks ours = cluster[0].node_books();
  EXPECT_GE(ours.with(cluster.id(1))->closed, 1U);
  EXPECT_TRUE(testing::books_agree(cluster[0], cluster[1]));
}

}  // namespace velo::messenger::balance_test
