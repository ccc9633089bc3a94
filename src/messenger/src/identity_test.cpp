// SPDX-License-Identifier: Apache-2.0
// Who answers is who was asked: instances that took over an address, replies and greetings of
// somebody else.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::identity_test {

/// A messenger that listens at a fixed port of `node`.
static std::unique_ptr<Messenger> at_port(sim::SimNode& node, std::uint16_t port) {
  transport::TcpOptions tcp = tcp_of(node);
  tcp.bind = node.endpoint(port);
  auto builder = Messenger::builder(node);
  builder.add_transport(transport::make_tcp(std::move(tcp)));
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  EXPECT_TRUE((*built)->register_handler(echo()));
  return std::move(*built);
}

class Successor : public ::testing::Test {
 protected:
  Successor() : cluster(1), node(cluster.sim.add_node("server")) {
    cluster.outsiders = true;
    first = at_port(node, 7000);
    old = first->peer_info();
    EXPECT_TRUE(cluster[0].register_peer(old));
  }
  ~Successor() override {
    first.reset();
    second.reset();
  }
  void take_over() {
    first.reset();
    cluster.sim.run_for(10s);
    second = at_port(node, 7000);
  }
  Result<Bytes> call_old() {
    return cluster.wait(cluster[0].unary("echo").instance(old.instance_id).send());
  }

  Cluster cluster;
  sim::SimNode& node;
  std::unique_ptr<Messenger> first;
  std::unique_ptr<Messenger> second;
  PeerInfo old;
};

TEST_F(Successor, AtTheAddressOfACalledPeerIsNotTakenForIt) {
  EXPECT_EQ(outcome(call_old()), "ok");
  take_over();
  EXPECT_EQ(outcome(call_old()), "messenger.not_sent");
  EXPECT_EQ(second->books().received.requests, 0u);
}

TEST_F(Successor, AtTheAddressOfAPeerNeverCalledIsNotTakenForIt) {
  take_over();
  EXPECT_EQ(outcome(call_old()), "messenger.not_sent");
  EXPECT_EQ(second->books().received.requests, 0u);
}

TEST_F(Successor, IsReachedUnderItsOwnId) {
  take_over();
  ASSERT_TRUE(cluster[0].register_peer(second->peer_info()));
  const auto reply = cluster.wait(cluster[0].unary("echo").instance(second->instance_id()).send());
  EXPECT_EQ(outcome(reply), "ok");
}

/// Node 1 holds a call of node 0, whose id the raw peer has learnt.
class Forger : public ::testing::Test {
 protected:
  Forger() : cluster(2), forger(cluster) {
    EXPECT_TRUE(
        cluster[1].register_handler(Handler::unary_handler_async("hold", [this](Context context) {
                                      stolen = context.message_id();
                                      return wait_at(std::move(context), &gate);
                                    }).build()));
    call.emplace(cluster[0].unary("hold").raw_payload("true").instance(cluster.id(1)).send());
    EXPECT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  }
  void expect_the_true_reply() {
    cluster.sim.run_for(1s);
    EXPECT_FALSE(call->done());
    gate.open();
    const auto reply = cluster.wait(std::move(*call));
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->text(), "true");
  }

  Cluster cluster;
  Gate gate;
  MessageId stolen;
  std::optional<Op<Bytes>> call;
  RawPeer forger;
};

TEST_F(Forger, CannotAnswerTheCallOfAnother) {
  RawEnd& end = forger.dial(cluster[0]);
  end.send(transport::FrameType::response, response_header(stolen), as_bytes("forged"));
  expect_the_true_reply();
}

TEST_F(Forger, WhoGreetedCannotAnswerTheCallOfAnother) {
  RawEnd& end = forger.dial(cluster[0]);
  end.greet(forger.info, local_offer(forger.info.worker_id().value()));
  (void)forger.next(end);
  end.send(transport::FrameType::response, response_header(stolen, 2), as_bytes("forged"));
  expect_the_true_reply();
}

TEST_F(Forger, CannotAcknowledgeTheCallOfAnother) {
  RawEnd& end = forger.dial(cluster[0]);
  end.send(transport::FrameType::ack, ack_header(stolen, true), as_bytes("forged"));
  expect_the_true_reply();
}

TEST_F(Forger, CannotRejectTheCallOfAnother) {
  RawEnd& end = forger.dial(cluster[0]);
  end.send(transport::FrameType::shutting_down,
           request_header(protocol::ResponseType::unary, stolen, "hold"));
  expect_the_true_reply();
}

/// The raw peer is called by node 0 and speaks as one of ours.
class Called : public ::testing::Test {
 protected:
  Called() : cluster(1), peer(cluster), offer(local_offer(peer.info.worker_id().value())) {
    EXPECT_TRUE(cluster[0].register_peer(peer.info));
  }
  /// Starts a call and returns its request.
  RawFrame called() {
    call.emplace(
        cluster[0].unary("anything").raw_payload("x").instance(peer.info.instance_id).send());
    RawEnd& end = peer.wait_accepted();
    if (!greeted) {
      const RawFrame greeting = peer.next(end);
      EXPECT_EQ(greeting.request().name, "_hello");
      end.answer_greeting(greeting, {"anything"}, offer);
      greeted = true;
    }
    return peer.next(end);
  }

  Cluster cluster;
  RawPeer peer;
  Offer offer;
  bool greeted = false;
  std::optional<Op<Bytes>> call;
};

TEST_F(Called, AReplyOnTheConnectionOfTheCallIsTaken) {
  const RawFrame request = called();
  peer.wait_accepted().send(transport::FrameType::response, response_header(request.request().id),
                            as_bytes("y"));
  const auto reply = cluster.wait(std::move(*call));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "y");
}

TEST_F(Called, TheSameReplyTwiceCountsOnce) {
  const RawFrame request = called();
  RawEnd& end = peer.wait_accepted();
  for (int i = 0; i < 2; ++i) {
    end.send(transport::FrameType::response, response_header(request.request().id), as_bytes("y"));
  }
  EXPECT_EQ(outcome(cluster.wait(std::move(*call))), "ok");
  const RawFrame second = called();
  EXPECT_EQ(second.request().id.slot(), request.request().id.slot());
  EXPECT_NE(second.request().id, request.request().id);
  end.send(transport::FrameType::response, response_header(request.request().id), as_bytes("old"));
  end.send(transport::FrameType::response, response_header(second.request().id), as_bytes("new"));
  EXPECT_EQ(cluster.wait(std::move(*call))->text(), "new");
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 2u);
}

TEST_F(Called, AGreetingFromTheCalledSideChangesNothingThatWasAgreedOn) {
  const RawFrame request = called();
  EXPECT_TRUE(request.request().timeout_us.has_value());
  RawEnd& end = peer.wait_accepted();
  end.greet(peer.info, std::nullopt);
  EXPECT_EQ(peer.next(end).type, transport::FrameType::response);
  end.send(transport::FrameType::response, response_header(request.request().id));
  EXPECT_EQ(outcome(cluster.wait(std::move(*call))), "ok");
  EXPECT_TRUE(called().request().timeout_us.has_value()) << "hdr2 was agreed on";
  call.reset();
}

TEST_F(Called, ALegacyPeerMayAnswerOnAConnectionOfItsOwn) {
  call.emplace(cluster[0].unary("anything").instance(peer.info.instance_id).send());
  RawEnd& end = peer.wait_accepted();
  const RawFrame greeting = peer.next(end);
  RawEnd& back = peer.dial(cluster[0]);
  back.answer_greeting(greeting, {"anything"}, std::nullopt);
  const RawFrame request = peer.next(end);
  EXPECT_FALSE(request.request().timeout_us.has_value());
  back.send(transport::FrameType::response, response_header(request.request().id), as_bytes("y"));
  EXPECT_EQ(cluster.wait(std::move(*call))->text(), "y");
}

TEST_F(Called, WhoGreetsWithTheIdOfTheGreetedIsRefused) {
  cluster.outsiders = true;
  RawEnd& end = peer.dial(cluster[0]);
  end.greet(cluster[0].peer_info(), offer);
  EXPECT_NE(peer.next(end).response().outcome, 0);
}

}  // namespace velo::messenger::testing::identity_test
