// SPDX-License-Identifier: Apache-2.0
// Messengers that prove who they are, and what happens to those who cannot.

#include "binding.hpp"
#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"
#include "testing/vouched_transport.hpp"

namespace velo::messenger::testing::proof_test {

static crypto::PrivateKey key_of(std::size_t node) {
  std::array<std::byte, 32> seed{};
  seed[0] = static_cast<std::byte>(node + 1);
  auto key = crypto::PrivateKey::ed25519_from_seed(seed);
  EXPECT_TRUE(key) << key.error().to_string();
  return *key;
}

static std::string name_of(std::size_t node) { return "node" + std::to_string(node); }

/// Each node has an instance key. With `certificates`, both ends of each connection show one: the
/// dialler's is that of the other of two nodes, or of `stranger`.
struct Bound {
  bool certificates = false;
  std::string stranger;
  std::function<void(MessengerBuilder&)> configure;

  ClusterOptions options() {
    ClusterOptions made;
    made.setup = [this](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
      setup.configure = [this, index](MessengerBuilder& builder) {
        builder.instance_key(key_of(index));
        if (configure) configure(builder);
      };
      if (!certificates) return;
      setup.transport = std::make_unique<VouchedTransport>(
          transport::make_tcp(tcp_of(node)), [this, index](bool dialed) {
            const bool strange = !stranger.empty() && !dialed;
            return secured(name_of(index), strange ? stranger : name_of(1 - index));
          });
    };
    return made;
  }
};

class ProvenCluster : public ::testing::Test {
 protected:
  void start(std::size_t count = 2) {
    cluster = std::make_unique<Cluster>(count, bound.options());
    for (auto& messenger : cluster->messengers) EXPECT_TRUE(messenger->register_handler(echo()));
  }
  std::string call(std::size_t from, std::size_t to) {
    return outcome(cluster->wait(
        (*cluster)[from].unary("echo").raw_payload("x").instance(cluster->id(to)).send()));
  }

  Bound bound;
  std::unique_ptr<Cluster> cluster;
};

TEST_F(ProvenCluster, ItsIdsAreThoseOfTheKeys) {
  start(1);
  EXPECT_EQ((*cluster)[0].instance_id(), *instance_of_key(key_of(0).public_key()));
  EXPECT_EQ((*cluster)[0].worker_id(), (*cluster)[0].instance_id().worker_id());
}

TEST_F(ProvenCluster, TalksWithoutCertificates) {
  start();
  EXPECT_EQ(call(0, 1), "ok");
  EXPECT_EQ(call(1, 0), "ok");
  const auto seen = (*cluster)[1].identity_of(cluster->id(0));
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->instance_proven);
  EXPECT_FALSE(seen->authenticated());
  EXPECT_FALSE(seen->authentic()) << "whoever is on the way could have played it back";
}

TEST_F(ProvenCluster, TalksOverConnectionsWithCertificates) {
  bound.certificates = true;
  start();
  EXPECT_EQ(call(0, 1), "ok");
  const auto caller = (*cluster)[1].identity_of(cluster->id(0));
  ASSERT_TRUE(caller);
  EXPECT_TRUE(caller->authentic());
  EXPECT_EQ(caller->node(), NodeId::of(key_named("node0")));
  const auto called = (*cluster)[0].identity_of(cluster->id(1));
  ASSERT_TRUE(called);
  EXPECT_TRUE(called->authentic());
  EXPECT_EQ(called->certificate->common_name, "node1");
}

TEST_F(ProvenCluster, AHandlerSeesWhoCalls) {
  bound.certificates = true;
  start();
  std::optional<ConnectionIdentity> seen;
  std::optional<InstanceId> sender;
  ASSERT_TRUE(
      (*cluster)[1].register_handler(Handler::unary_handler("who",
                                                            [&](Context& context) {
                                                              seen = context.peer_identity();
                                                              sender = context.sender_instance_id();
                                                              return Bytes();
                                                            })
                                         .inline_()
                                         .build()));
  EXPECT_EQ(outcome(cluster->wait((*cluster)[0].unary("who").instance(cluster->id(1)).send())),
            "ok");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->instance, cluster->id(0));
  EXPECT_TRUE(seen->authentic());
  EXPECT_EQ(seen->certificate->names, std::vector<std::string>{"node0.example"});
  EXPECT_EQ(seen->transport, "tcp");
  EXPECT_EQ(sender, cluster->id(0));
}

TEST_F(ProvenCluster, SeesItselfAsItself) {
  start(1);
  const auto self = (*cluster)[0].identity_of(cluster->id(0));
  ASSERT_TRUE(self);
  EXPECT_TRUE(self->self && self->authentic());
}

TEST_F(ProvenCluster, AGreetingMadeForAnotherCertificateIsRefused) {
  // Somebody relays the greeting of node 0 over a connection of its own.
  bound.certificates = true;
  bound.stranger = "relay";
  start();
  EXPECT_EQ(call(0, 1), "messenger.not_sent");
  EXPECT_EQ((*cluster)[1].books().received.requests, 0u);
  EXPECT_FALSE((*cluster)[1].identity_of(cluster->id(0)));
}

/// A raw peer that says what it likes to node 0 (whom node 1 may know, too).
class Impostor : public ProvenCluster {
 protected:
  void SetUp() override {
    start();
    raw = std::make_unique<RawPeer>(*cluster);
    own = raw->info;
  }
  void TearDown() override { raw.reset(); }

  /// Greets node 0 as `info`, with that proof.
  std::uint8_t greet(RawEnd& end, const PeerInfo& info, std::optional<Binding> binding) {
    Offer offer = local_offer(info.worker_id().value());
    offer.bind = binding;
    end.greet(info, offer);
    return raw->next(end).response().outcome;
  }
  Binding proof(std::size_t key, const InstanceId& who, WorkerId receiver,
                BindingRole role = BindingRole::request) {
    return *bind(key_of(key), {who, receiver, role, NodeId()});
  }
  PeerInfo as(std::size_t key) {
    PeerInfo info = own;
    info.instance_id = *instance_of_key(key_of(key).public_key());
    return info;
  }
  WorkerId node0() { return (*cluster)[0].worker_id(); }
  static constexpr std::uint8_t not_authenticated = 14;

  std::unique_ptr<RawPeer> raw;
  PeerInfo own;
};

TEST_F(Impostor, WithAProofOfItsOwnIdIsTaken) {
  RawEnd& end = raw->dial((*cluster)[0]);
  const PeerInfo info = as(9);
  EXPECT_EQ(greet(end, info, proof(9, info.instance_id, node0())), 0);
  EXPECT_TRUE((*cluster)[0].identity_of(info.instance_id)->instance_proven);
}

TEST_F(Impostor, WithARandomIdIsTakenAsAClaim) {
  RawEnd& end = raw->dial((*cluster)[0]);
  EXPECT_EQ(greet(end, own, std::nullopt), 0);
  EXPECT_FALSE((*cluster)[0].identity_of(own.instance_id)->instance_proven);
}

TEST_F(Impostor, ClaimingAnotherInstanceWithoutProofIsRefusedAndClosed) {
  RawEnd& end = raw->dial((*cluster)[0]);
  EXPECT_EQ(greet(end, as(1), std::nullopt), not_authenticated);
  EXPECT_TRUE(cluster->until([&] { return end.over(); }));
  EXPECT_EQ(call(0, 1), "ok") << "the true node 1 is still reached";
}

TEST_F(Impostor, ClaimingAnotherInstanceWithItsOwnKeyIsRefused) {
  RawEnd& end = raw->dial((*cluster)[0]);
  EXPECT_EQ(greet(end, as(1), proof(9, cluster->id(1), node0())), not_authenticated);
}

TEST_F(Impostor, PlayingBackAProofForAnotherReceiverIsRefused) {
  // Node 1 greeted the impostor, which hands that on to node 0.
  RawEnd& end = raw->dial((*cluster)[0]);
  EXPECT_EQ(greet(end, as(1), proof(1, cluster->id(1), own.worker_id())), not_authenticated);
}

TEST_F(Impostor, PlayingBackAnAnswerAsARequestIsRefused) {
  RawEnd& end = raw->dial((*cluster)[0]);
  EXPECT_EQ(greet(end, as(1), proof(1, cluster->id(1), node0(), BindingRole::answer)),
            not_authenticated);
}

TEST_F(Impostor, GreetingAgainAsSomebodyElseIsClosed) {
  RawEnd& end = raw->dial((*cluster)[0]);
  const PeerInfo info = as(9);
  EXPECT_EQ(greet(end, info, proof(9, info.instance_id, node0())), 0);
  end.greet(own, local_offer(own.worker_id().value()));
  EXPECT_TRUE(cluster->until([&] { return end.over(); }));
  EXPECT_TRUE(end.frames.empty());
}

TEST_F(Impostor, GreetingAgainWithoutTheProofIsRefused) {
  RawEnd& end = raw->dial((*cluster)[0]);
  const PeerInfo info = as(9);
  EXPECT_EQ(greet(end, info, proof(9, info.instance_id, node0())), 0);
  EXPECT_EQ(greet(end, info, std::nullopt), not_authenticated);
}

TEST_F(Impostor, GreetingAgainWithTheSameProofIsTheSamePeer) {
  RawEnd& end = raw->dial((*cluster)[0]);
  const PeerInfo info = as(9);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(greet(end, info, proof(9, info.instance_id, node0())), 0);
  }
}

TEST_F(Impostor, RequestsInTheNameOfAProvenPeerHaveNoSender) {
  EXPECT_EQ(call(1, 0), "ok");
  std::optional<InstanceId> sender = cluster->id(1);
  bool ran = false;
  ASSERT_TRUE((*cluster)[0].register_handler(Handler::am_handler("who",
                                                                 [&](Context& context) {
                                                                   sender =
                                                                       context.sender_instance_id();
                                                                   ran = true;
                                                                 })
                                                 .inline_()
                                                 .build()));
  RawEnd& end = raw->dial((*cluster)[0]);
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::fire, MessageId(cluster->id(1).worker_id(), 1),
                          "who"));
  ASSERT_TRUE(cluster->until([&] { return ran; }));
  EXPECT_EQ(sender, std::nullopt);
}

TEST_F(Impostor, WhoHasProvenAnIdSpeaksForNobodyElse) {
  RawEnd& end = raw->dial((*cluster)[0]);
  const PeerInfo info = as(9);
  EXPECT_EQ(greet(end, info, proof(9, info.instance_id, node0())), 0);
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, MessageId(cluster->id(1).worker_id(), 1),
                          "echo"));
  EXPECT_TRUE(cluster->until([&] { return end.over(); }));
  EXPECT_EQ((*cluster)[0].books().received.requests, 0u);
}

TEST_F(Impostor, AnswersToRequestsInTheNameOfAnotherDoNotGoToIt) {
  EXPECT_EQ(call(1, 0), "ok");
  const auto dialled = (*cluster)[1].drain_state().connections;
  RawEnd& end = raw->dial((*cluster)[0]);
  for (std::uint64_t i = 0; i < 10; ++i) {
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::unary, MessageId(cluster->id(1).worker_id(), i),
                            "echo"),
             as_bytes("x"));
    EXPECT_EQ(raw->next(end).response().outcome, 0);
  }
  EXPECT_EQ((*cluster)[1].drain_state().connections, dialled);
}

TEST_F(Impostor, AProofOfTheWrongLengthIsNoGreetingAndHoldsNoMemory) {
  const auto used = (*cluster)[0].memory().used;
  for (const std::size_t digits : {std::size_t{0}, std::size_t{63}, std::size_t{129},
                                   std::size_t{60'000}, std::size_t{1'000'000}}) {
    RawEnd& end = raw->dial((*cluster)[0]);
    const std::string hex(digits, 'a');
    const std::string id = as(9).instance_id.to_string();
    const std::string json =
        R"({"peer_info":{"instance_id":")" + id +
        R"(","worker_address":[128]},"velo":{"v":1,"inc":"00000000000000ab",)" +
        R"("bind":{"key":")" + hex + R"(","sig":")" + hex + R"("}}})";
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::unary,
                            MessageId(as(9).instance_id.worker_id(), 0), "_hello"),
             as_bytes(json));
    EXPECT_EQ(raw->next(end).response().outcome, 7) << digits;
    EXPECT_LE((*cluster)[0].memory().used, used + (std::size_t{1} << 20));
  }
  EXPECT_EQ((*cluster)[0].peers().size(), 1u);
}

TEST_F(Impostor, TheAddressInARefusedGreetingIsNotBelieved) {
  EXPECT_EQ(call(1, 0), "ok");
  const auto before = (*cluster)[0].peers();
  RawEnd& end = raw->dial((*cluster)[0]);
  PeerInfo info = as(1);
  info.address = own.address;
  EXPECT_EQ(greet(end, info, std::nullopt), not_authenticated);
  EXPECT_EQ((*cluster)[0].peers(), before);
}

TEST_F(Impostor, AnsweringForAPeerItIsNotGetsNothing) {
  // The address of node 9 is the impostor's, who has no key of node 9.
  const PeerInfo wanted = as(9);
  ASSERT_TRUE((*cluster)[0].register_peer(wanted));
  auto call = (*cluster)[0].unary("secret").raw_payload("s").instance(wanted.instance_id).send();
  RawEnd& end = raw->wait_accepted();
  const RawFrame greeting = raw->next(end);
  Offer offer = local_offer(wanted.worker_id().value());
  offer.bind = proof(8, wanted.instance_id, node0(), BindingRole::answer);
  end.answer_greeting(greeting, {"secret"}, offer);
  const auto reply = cluster->wait(std::move(call));
  EXPECT_EQ(outcome(reply), "messenger.not_authenticated");
  EXPECT_FALSE(may_have_been_handled(reply.error()));
  EXPECT_TRUE(end.frames.empty()) << "nothing followed the greeting";
}

TEST_F(Impostor, AnsweringAsItselfIsCalled) {
  const PeerInfo wanted = as(9);
  ASSERT_TRUE((*cluster)[0].register_peer(wanted));
  auto call = (*cluster)[0].unary("secret").instance(wanted.instance_id).send();
  RawEnd& end = raw->wait_accepted();
  const RawFrame greeting = raw->next(end);
  const auto asked = decode_hello_request(greeting.payload);
  ASSERT_TRUE(asked && asked->offer && asked->offer->bind);
  EXPECT_TRUE(verify(*asked->offer->bind,
                     {cluster->id(0), wanted.worker_id(), BindingRole::request, NodeId()}));
  Offer offer = local_offer(wanted.worker_id().value());
  offer.bind = proof(9, wanted.instance_id, node0(), BindingRole::answer);
  end.answer_greeting(greeting, {"secret"}, offer);
  const RawFrame request = raw->next(end);
  end.send(transport::FrameType::response, response_header(request.request().id));
  EXPECT_EQ(outcome(cluster->wait(std::move(call))), "ok");
}

TEST_F(Impostor, ManyClaimsLeaveNothingBehind) {
  const auto before = (*cluster)[0].memory();
  for (int i = 0; i < 200; ++i) {
    RawEnd& end = raw->dial((*cluster)[0]);
    EXPECT_EQ(greet(end, as(1), proof(9, cluster->id(1), node0())), not_authenticated);
  }
  cluster->sim.run_for(1s);
  EXPECT_EQ((*cluster)[0].drain_state().connections, 0u);
  EXPECT_EQ((*cluster)[0].peers().size(), 1u);
  EXPECT_EQ((*cluster)[0].memory().used, before.used);
}

}  // namespace velo::messenger::testing::proof_test
