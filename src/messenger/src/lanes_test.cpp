// SPDX-License-Identifier: Apache-2.0
// What may overtake what: lanes of requests, cancellations and answers over a connection that keeps
// order within lanes only, and sends that may be lost.

#include "lanes.hpp"

#include "testing/cluster.hpp"
#include "testing/laned_transport.hpp"

#include <algorithm>
#include <deque>

namespace velo::messenger::testing::lanes_test {

/// A name whose lane is none of theirs.
static std::string apart_from(const std::vector<std::string>& names) {
  for (int i = 0;; ++i) {
    std::string name = "handler" + std::to_string(i);
    if (std::none_of(names.begin(), names.end(),
                     [&](const auto& other) { return lane_of(other) == lane_of(name); })) {
      return name;
    }
  }
}

class Lanes : public ::testing::Test {
 protected:
  void start(std::size_t window_calls = 0) {
    ClusterOptions options;
    options.setup = [this, window_calls](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
      auto made = std::make_unique<LanedTransport>(transport::make_tcp(tcp_of(node)), roads[index]);
      transports[index] = made.get();
      setup.transport = std::move(made);
      setup.window_calls = window_calls;
    };
    cluster = std::make_unique<Cluster>(2, options);
    for (const std::string& name : {std::string("a"), other}) {
      ASSERT_TRUE((*cluster)[1].register_handler(echo(name)));
    }
    ASSERT_TRUE((*cluster)[1].register_handler(gated("held", gate)));
    ASSERT_TRUE((*cluster)[1].register_handler(
        Handler::am_handler(
            "note", [this](Context& context) { notes.emplace_back(as_text(context.payload())); })
            .inline_()
            .build()));
  }
  void TearDown() override {
    gate.open();
    cluster.reset();
  }
  Op<Bytes> call(std::string_view name, Duration timeout = 30s) {
    return (*cluster)[0]
        .unary(name)
        .raw_payload("x")
        .timeout(timeout)
        .instance(cluster->id(1))
        .send();
  }
  void open(std::uint32_t lane) {
    roads[0].blocked.erase(lane);
    transports[0]->flush();
  }

  const std::string other = apart_from({"a", "held", "note"});
  Road roads[2];
  LanedTransport* transports[2] = {};
  Gate gate;
  std::vector<std::string> notes;
  std::unique_ptr<Cluster> cluster;
};

TEST(LaneOf, IsTheSameForANameAndWithinItsBounds) {
  std::set<std::uint32_t> used;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "handler" + std::to_string(i);
    EXPECT_EQ(lane_of(name), lane_of(std::string(name)));
    used.insert(lane_of(name));
  }
  EXPECT_EQ(*used.begin(), 1u);
  EXPECT_EQ(*used.rbegin(), request_lanes);
  EXPECT_EQ(used.size(), request_lanes);
  EXPECT_EQ(lane_of("_hello"), 0u);
}

TEST_F(Lanes, RequestsGoByTheirNamesAndAnswersByNone) {
  start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcome(cluster->wait(call("a"))), "ok");
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  EXPECT_EQ(roads[0].lanes_of("a"), std::vector<std::uint32_t>(3, lane_of("a")));
  EXPECT_EQ(roads[0].lanes_of(other), std::vector<std::uint32_t>{lane_of(other)});
  EXPECT_EQ(roads[0].lanes_of("_hello"), std::vector<std::uint32_t>{0});
  ASSERT_FALSE(roads[1].sent.empty());
  for (const Sent& answer : roads[1].sent) {
    EXPECT_EQ(answer.lane, transport::OutFrame::any_lane);
  }
}

TEST_F(Lanes, OneThatStandsStillDelaysNoOther) {
  start();
  EXPECT_EQ(outcome(cluster->wait(call("a"))), "ok");
  roads[0].blocked.insert(lane_of("a"));
  auto slow = call("a");
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  EXPECT_FALSE(slow.done());
  open(lane_of("a"));
  EXPECT_EQ(outcome(cluster->wait(std::move(slow))), "ok");
}

TEST_F(Lanes, ACancellationComesAfterItsRequest) {
  start();
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  roads[0].blocked.insert(lane_of("held"));
  {
    auto dropped = call("held");
  }
  EXPECT_EQ(roads[0].lanes_of("_cancel"), std::vector<std::uint32_t>{lane_of("held")});
  cluster->sim.run_for(1s);
  EXPECT_EQ(gate.waiting, 0);
  open(lane_of("held"));
  ASSERT_TRUE(cluster->until([&] { return gate.waiting == 1; }));
  cluster->sim.run_for(1s);
  gate.open();
  cluster->sim.run_for(1s);
  EXPECT_EQ(gate.stopped, 1) << "the cancellation found its request";
  cluster->outsiders = true;
}

TEST_F(Lanes, ACallThatExpiredIsCancelledInItsLane) {
  start();
  auto late = call("held", 1s);
  EXPECT_EQ(outcome(cluster->wait(std::move(late))), "messenger.deadline_exceeded");
  EXPECT_EQ(roads[0].lanes_of("_cancel"), std::vector<std::uint32_t>{lane_of("held")});
}

TEST_F(Lanes, ARequestThatOvertakesACancellationIsNotBeyondTheWindow) {
  start(1);
  auto first = call("held");
  ASSERT_TRUE(cluster->until([&] { return gate.waiting == 1; }));
  // Given up here; the other side does not hear of it yet, and counts one.
  roads[0].blocked.insert(lane_of("held"));
  {
    auto dropped = std::move(first);
  }
  const std::string apart = apart_from({"held", "a", "note", other});
  ASSERT_TRUE((*cluster)[1].register_handler(gated(apart, gate)));
  auto second = call(apart);
  cluster->sim.run_for(1s);
  gate.open();
  EXPECT_EQ(outcome(cluster->wait(std::move(second))), "ok");
  open(lane_of("held"));
}

TEST_F(Lanes, MessagesOfOneHandlerKeepTheirOrder) {
  start();
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  roads[0].blocked.insert(lane_of("note"));
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    expected.push_back(std::to_string(i));
    (void)(*cluster)[0]
        .am_send("note")
        .raw_payload(expected.back())
        .instance(cluster->id(1))
        .send();
    EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  }
  EXPECT_TRUE(notes.empty());
  open(lane_of("note"));
  ASSERT_TRUE(cluster->until([&] { return notes.size() == expected.size(); }));
  EXPECT_EQ(notes, expected);
}

TEST_F(Lanes, WhatMayBeLostIsMarkedAndTheBooksStillAddUp) {
  start();
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  const auto send = [&](bool may_be_lost) {
    auto message = (*cluster)[0].am_send("note");
    if (may_be_lost) message.may_be_lost();
    return outcome(cluster->wait(message.raw_payload("n").instance(cluster->id(1)).send()));
  };
  EXPECT_EQ(send(true), "ok");
  ASSERT_TRUE(cluster->until([&] { return notes.size() == 1; }));
  EXPECT_TRUE(roads[0].sent.back().may_be_lost);
  EXPECT_EQ(send(false), "ok");
  EXPECT_FALSE(roads[0].sent.back().may_be_lost);
  roads[0].lossy = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(true), "ok");
  cluster->sim.run_for(1s);
  EXPECT_EQ(notes.size(), 2u);
  const NodeBooks books = (*cluster)[0].node_books();
  EXPECT_EQ(books.totals.fire[Fate::written], 5u);
  EXPECT_EQ(books.with(cluster->id(1))->may_be_lost, 4u);
  EXPECT_TRUE(books_agree((*cluster)[0], (*cluster)[1]));
}

TEST_F(Lanes, MoreLostThanMayBeIsAComplaint) {
  start();
  EXPECT_EQ(outcome(cluster->wait(call(other))), "ok");
  auto sender = (*cluster)[0].node_books();
  auto receiver = (*cluster)[1].node_books();
  for (PeerBooks& peer : sender.peers) {
    if (peer.peer != cluster->id(1)) continue;
    peer.fire.accepted += 3;
    peer.fire.ends[static_cast<std::size_t>(Fate::written)] += 3;
    peer.may_be_lost = 2;
  }
  sender.totals.fire.sent += 3;
  sender.totals.fire.ends[static_cast<std::size_t>(Fate::written)] += 3;
  const NodeBooks lost_three[] = {sender, receiver};
  EXPECT_FALSE(books_agree(lost_three));
  for (PeerBooks& peer : sender.peers) {
    if (peer.peer == cluster->id(1)) peer.may_be_lost = 3;
  }
  const NodeBooks may_lose_three[] = {sender, receiver};
  EXPECT_TRUE(books_agree(may_lose_three));
}

TEST_F(Lanes, OnlyFireAndForgetMayBeLost) {
  start();
  EXPECT_EQ(outcome(cluster->wait(
                (*cluster)[0].unary("a").may_be_lost().instance(cluster->id(1)).send())),
            "base.invalid_argument");
  EXPECT_EQ(outcome(cluster->wait(
                (*cluster)[0].am_sync("note").may_be_lost().instance(cluster->id(1)).send())),
            "base.invalid_argument");
}

}  // namespace velo::messenger::testing::lanes_test
