// SPDX-License-Identifier: Apache-2.0
// What becomes of sends when connections fail, start, or belong to somebody hostile.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <numeric>

namespace velo::messenger::testing::connections_test {

static Bytes number(int value) { return Bytes::copy(std::to_string(value)); }

/// An inline handler that writes down what it gets.
static Handler noting(std::vector<int>& seen) {
  return Handler::am_handler("note",
                             [&seen](Context& context) {
                               seen.push_back(std::stoi(std::string(as_text(context.payload()))));
                             })
      .inline_()
      .build();
}

static std::vector<int> counted(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(Connections, ACallToWhereNobodyListensWasNotSent) {
  Cluster cluster(2);
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  cluster.sim.run_for(1s);
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(gone).send())),
            "messenger.not_sent");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_sync("echo").instance(gone).send())),
            "messenger.not_sent");
  EXPECT_EQ(outcome(cluster.wait(cluster[0].am_send("echo").instance(gone).send())),
            "messenger.not_sent");
}

TEST(Connections, AResetEndsEveryCallInFlightAsLost) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(cluster[0].unary("hold").instance(cluster.id(1)).send());
  }
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 50; }));
  const TimePoint before = cluster.sim.now();
  cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
  for (auto& call : calls) {
    EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.connection_lost");
  }
  EXPECT_LT(cluster.sim.now() - before, 1s);
  EXPECT_EQ(cluster[0].books().unary[Fate::unknown], 50u);
  gate.open();
}

TEST(Connections, AResetStopsTheHandlersOfThatConnection) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
  ASSERT_FALSE(cluster.wait(std::move(call)));
  EXPECT_TRUE(cluster.until([&] { return cluster[1].books().received.abandoned == 1; }));
  gate.open();
  EXPECT_EQ(gate.waiting, 1);
}

TEST(Connections, TheNextCallAfterAResetConnectsAgain) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  for (int i = 0; i < 20; ++i) {
    const auto reply =
        cluster.wait(cluster[0].unary("echo").raw_payload("again").instance(cluster.id(1)).send());
    ASSERT_TRUE(reply) << reply.error().to_string();
    cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
    cluster.sim.run_for(1s);
  }
  EXPECT_EQ(cluster.sim.stats().connections_opened, 20u);
}

TEST(Connections, AResetNeverEndsACallThatRanAsNotSent) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    std::vector<int> seen;
    ASSERT_TRUE(cluster[1].register_handler(noting(seen)));
    ASSERT_TRUE(cluster.wait(cluster[0].available_handlers(cluster.id(1))));
    std::vector<Op<void>> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(
          cluster[0].am_sync("note").raw_payload(number(i)).instance(cluster.id(1)).send());
    }
    cluster.sim.run_for(std::chrono::microseconds(cluster.sim.random().below(800)));
    cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
    std::vector<int> not_sent;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto ended = cluster.wait(std::move(calls[i]));
      if (!ended && ended.error().is(Errc::not_sent)) not_sent.push_back(static_cast<int>(i));
    }
    cluster.sim.run_for(1s);
    for (const int i : not_sent) {
      EXPECT_EQ(std::count(seen.begin(), seen.end(), i), 0) << "seed " << seed << " call " << i;
    }
  }
}

TEST(Connections, ACrashedPeerEndsItsCallsSoon) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  const TimePoint before = cluster.sim.now();
  cluster.sim.crash(cluster.sim.node(1));
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.connection_lost");
  EXPECT_LT(cluster.sim.now() - before, 1s);
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("hold").instance(cluster.id(1)).send())),
            "messenger.not_sent");
  gate.open();
}

TEST(Connections, APeerWithoutPowerIsNoticedAtTheDeadline) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  cluster.sim.crash(cluster.sim.node(1), sim::CrashKind::power);
  const TimePoint before = cluster.sim.now();
  EXPECT_EQ(
      outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).timeout(3s).send())),
      "messenger.deadline_exceeded");
  EXPECT_EQ(cluster.sim.now() - before, 3s);
}

TEST(Connections, FireKeepsItsOrderWhileDiallingAndAfter) {
  Cluster cluster(2);
  std::vector<int> seen;
  ASSERT_TRUE(cluster[1].register_handler(noting(seen)));
  std::vector<Op<void>> sends;
  for (int i = 0; i < 500; ++i) {
    sends.push_back(
        cluster[0].am_send("note").raw_payload(number(i)).instance(cluster.id(1)).send());
    if (i >= 250) cluster.sim.step();
  }
  for (auto& send : sends) EXPECT_EQ(outcome(cluster.wait(std::move(send))), "ok");
  EXPECT_TRUE(cluster.until([&] { return seen.size() == 500; }));
  EXPECT_EQ(seen, counted(500));
}

TEST(Connections, TwoSendersEachKeepTheirOrder) {
  Cluster cluster(3);
  std::vector<int> seen;
  ASSERT_TRUE(cluster[2].register_handler(noting(seen)));
  std::vector<Op<void>> sends;
  for (int i = 0; i < 200; ++i) {
    for (int sender = 0; sender < 2; ++sender) {
      const Bytes payload = number(sender * 1000 + i);
      sends.push_back(cluster[static_cast<std::size_t>(sender)]
                          .am_send("note")
                          .raw_payload(payload)
                          .instance(cluster.id(2))
                          .send());
    }
    cluster.sim.step();
  }
  EXPECT_TRUE(cluster.until([&] { return seen.size() == 400; }));
  std::vector<int> first;
  std::vector<int> second;
  for (const int value : seen) (value < 1000 ? first : second).push_back(value % 1000);
  EXPECT_EQ(first, counted(200));
  EXPECT_EQ(second, counted(200));
}

TEST(Connections, BothSidesMayDialAtOnce) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    ASSERT_TRUE(cluster[0].register_handler(echo()));
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    auto there = cluster[0].unary("echo").raw_payload("there").instance(cluster.id(1)).send();
    auto back = cluster[1].unary("echo").raw_payload("back").instance(cluster.id(0)).send();
    const auto first = cluster.wait(std::move(there));
    const auto second = cluster.wait(std::move(back));
    ASSERT_TRUE(first) << first.error().to_string();
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(first->text(), "there");
    EXPECT_EQ(second->text(), "back");
  }
}

/// Two that talk to each other while a third does its worst.
class Hostile : public ::testing::Test {
 protected:
  Hostile() : cluster(2), raw(cluster), end(raw.dial(cluster[1])) {
    EXPECT_TRUE(cluster[1].register_handler(gated("hold", gate)));
    EXPECT_TRUE(cluster[1].register_handler(echo()));
    held.emplace(cluster[0].unary("hold").raw_payload("mine").instance(cluster.id(1)).send());
    EXPECT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }
  /// The call that was in flight all the time ends well, and so does a new one.
  void expect_others_unaffected() {
    cluster.sim.run_for(1s);
    EXPECT_FALSE(held->done());
    gate.open();
    const auto reply = cluster.wait(std::move(*held));
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->text(), "mine");
    EXPECT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  }
  std::uint64_t malformed() { return cluster[1].books().received.malformed; }

  Gate gate;
  Cluster cluster;
  RawPeer raw;
  RawEnd& end;
  std::optional<Op<Bytes>> held;
};

TEST_F(Hostile, GarbageEndsOnlyItsConnection) {
  end.send_bytes(std::string(4'096, '\xfe'));
  EXPECT_TRUE(cluster.until([&] { return end.over(); }));
  expect_others_unaffected();
}

TEST_F(Hostile, AMalformedRequestIsCountedAndEndsOnlyItsConnection) {
  end.send(transport::FrameType::message, Bytes::copy("no header"), Bytes::copy("body"));
  EXPECT_TRUE(cluster.until([&] { return end.over(); }));
  EXPECT_EQ(malformed(), 1u);
  expect_others_unaffected();
}

TEST_F(Hostile, AMalformedResponseIsCountedAndEndsOnlyItsConnection) {
  end.send(transport::FrameType::response, Bytes::copy("x"));
  EXPECT_TRUE(cluster.until([&] { return end.over(); }));
  EXPECT_EQ(malformed(), 1u);
  expect_others_unaffected();
}

TEST_F(Hostile, CancellingUnknownCallsDoesNothing) {
  for (std::uint64_t local = 0; local < 100; ++local) {
    std::array<std::byte, protocol::id_bytes> body;
    protocol::encode_id(raw.id(local), body);
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::fire, raw.id(0), "_cancel"), ByteSpan(body));
  }
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::fire, raw.id(0), "_cancel"),
           Bytes::copy("short"));
  expect_others_unaffected();
  EXPECT_FALSE(end.over());
}

TEST_F(Hostile, NobodyCancelsTheCallsOfAnother) {
  const WorkerId victim = cluster[0].worker_id();
  for (std::uint64_t slot = 0; slot < 8; ++slot) {
    for (std::uint64_t generation = 0; generation < 64; ++generation) {
      std::array<std::byte, protocol::id_bytes> body;
      protocol::encode_id(MessageId(victim, slot | generation << 16U), body);
      end.send(transport::FrameType::message,
               request_header(protocol::ResponseType::fire, raw.id(0), "_cancel"), ByteSpan(body));
    }
  }
  expect_others_unaffected();
}

TEST_F(Hostile, AGreetingForAnotherIsRefused) {
  HelloRequest hello;
  hello.peer_info = cluster[0].peer_info();
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, raw.id(7), "_hello"),
           encode_hello_request(hello));
  const RawFrame answer = raw.next(end);
  EXPECT_EQ(answer.response().id, raw.id(7));
  EXPECT_NE(answer.response().outcome, 0);
  expect_others_unaffected();
}

TEST_F(Hostile, AGreetingThatIsNoJsonIsRefused) {
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, raw.id(7), "_hello"),
           Bytes::copy("{\"peer_info\":"));
  EXPECT_NE(raw.next(end).response().outcome, 0);
  expect_others_unaffected();
}

TEST_F(Hostile, ForgedResponsesEndNoCall) {
  // The messenger that is attacked has a call of its own in flight.
  ASSERT_TRUE(cluster[0].register_handler(gated("hold back", gate)));
  auto own = cluster[1].unary("hold back").raw_payload("own").instance(cluster.id(0)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 2; }));
  const WorkerId victim = cluster[1].worker_id();
  for (std::uint64_t local = 0; local < 512; ++local) {
    const MessageId forged(victim, local);
    end.send(transport::FrameType::response, response_header(forged), Bytes::copy("forged"));
    end.send(transport::FrameType::ack, ack_header(forged, false));
    end.send(transport::FrameType::response,
             response_header(MessageId(cluster[0].worker_id(), local)), Bytes::copy("forged"));
    end.send(transport::FrameType::shutting_down,
             request_header(protocol::ResponseType::unary, forged, "hold back"));
  }
  expect_others_unaffected();
  const auto reply = cluster.wait(std::move(own));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "own");
}

TEST_F(Hostile, AnUnknownSystemHandlerIsAnsweredAsUnknown) {
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, raw.id(9), "_secret"));
  EXPECT_NE(raw.next(end).response().outcome, 0);
  expect_others_unaffected();
}

}  // namespace velo::messenger::testing::connections_test
