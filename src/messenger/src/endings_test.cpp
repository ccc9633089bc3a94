// SPDX-License-Identifier: Apache-2.0
// Endings that once were silent, and destruction in every state.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::endings_test {

/// Announces nobody.
class RefusingDiscovery final : public discovery::PeerDiscovery {
 public:
  explicit RefusingDiscovery(Executor& callbacks) : callbacks_(callbacks) {}
  std::string_view name() const noexcept override { return "refusing"; }
  Op<std::unique_ptr<discovery::Registration>> announce(const PeerInfo& /*self*/) override {
    return Op<std::unique_ptr<discovery::Registration>>::ready(
        callbacks_, velo::make_error(velo::Errc::permission_denied, "not here"));
  }
  Op<PeerInfo> discover_by_instance_id(const InstanceId& /*id*/) override { return nobody(); }
  Op<PeerInfo> discover_by_worker_id(WorkerId /*id*/) override { return nobody(); }
  Op<std::vector<PeerInfo>> list() override {
    return Op<std::vector<PeerInfo>>::ready(callbacks_, std::vector<PeerInfo>());
  }
  std::unique_ptr<discovery::Registration> watch(Executor& /*executor*/,
                                                 discovery::PeerWatcher /*watcher*/) override {
    return nullptr;
  }

 private:
  Op<PeerInfo> nobody() {
    return Op<PeerInfo>::ready(callbacks_, velo::make_error(velo::Errc::not_found));
  }
  Executor& callbacks_;
};

static Handler large(std::size_t bytes) {
  return Handler::unary_handler("large",
                                [bytes](Context&) { return Bytes::copy(std::string(bytes, 'l')); })
      .inline_()
      .build();
}

static Offer small_frames(const RawPeer& peer) {
  Offer offer = local_offer(peer.info.worker_id().value());
  offer.frame_bytes_max = 1'000;
  return offer;
}

TEST(EndingsOfSends, ARequestOverTheAgreedFrameLimitIsTooLarge) {
  Cluster cluster(1);
  RawPeer peer(cluster);
  ASSERT_TRUE(cluster[0].register_peer(peer.info));
  auto small = cluster[0].am_send("note").instance(peer.info.instance_id).send();
  RawEnd& end = peer.wait_accepted();
  end.answer_greeting(peer.next(end), {"note"}, small_frames(peer));
  EXPECT_EQ(outcome(cluster.wait(std::move(small))), "ok");
  auto over = cluster[0].am_sync("note").raw_payload(std::string(1'000, 'x'));
  EXPECT_EQ(outcome(cluster.wait(over.instance(peer.info.instance_id).send())),
            "messenger.too_large");
  auto within = cluster[0].am_send("note").raw_payload(std::string(900, 'x'));
  EXPECT_EQ(outcome(cluster.wait(within.instance(peer.info.instance_id).send())), "ok");
}

TEST(EndingsOfSends, AReplyOverTheAgreedFrameLimitIsTooLargeAtTheCaller) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(large(1'000)));
  RawPeer peer(cluster);
  RawEnd& end = peer.dial(cluster[0]);
  end.greet(peer.info, small_frames(peer));
  (void)peer.next(end);
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, peer.id(3), "large"));
  const RawFrame reply = peer.next(end);
  EXPECT_EQ(reply.response().id, peer.id(3));
  EXPECT_EQ(reply.response().outcome, static_cast<std::uint8_t>(Errc::too_large));
}

// It was dropped in silence, and the caller waited for its deadline.
TEST(EndingsOfSends, AnOversizedReplyThatIsDialledBackFailsTheCall) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == 0;
  };
  Cluster cluster(2, options);
  ASSERT_TRUE(cluster[1].register_handler(large(velo::limits::frame_bytes_max)));
  for (int i = 0; i < 2; ++i) {
    const auto ended = cluster.wait(cluster[0].unary("large").instance(cluster.id(1)).send());
    EXPECT_EQ(outcome(ended), "messenger.failed");
  }
}

TEST(EndingsOfAnnouncements, AFailedOneIsSaid) {
  ClusterOptions options;
  options.setup = [](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
    if (index == 0) setup.discovery = std::make_shared<RefusingDiscovery>(node.pool());
  };
  Cluster cluster(2, options);
  cluster.sim.run_for(1ms);
  EXPECT_EQ(cluster[0].announcement().kind, AnnouncementState::Kind::failed);
  ASSERT_TRUE(cluster[0].announcement().error);
  EXPECT_TRUE(cluster[0].announcement().error->is(velo::Errc::permission_denied));
  EXPECT_EQ(cluster[1].announcement().kind, AnnouncementState::Kind::none);
}

/// Everything that a messenger may be in the middle of, at once; destroyed after each step.
TEST(EndingsOfMessengers, DestructionAtAnyStepEndsEverything) {
  for (int steps = 0; steps < 300; steps += 3) {
    Gate gate;
    Cluster cluster(3);
    cluster.outsiders = true;
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(cluster[i].register_handler(gated("hold", gate)));
      ASSERT_TRUE(cluster[i].register_handler(echo()));
    }
    std::vector<Op<Bytes>> calls;
    std::vector<Op<void>> sends;
    for (std::size_t to = 0; to < 3; ++to) {
      for (const char* handler : {"echo", "hold", "nobody"}) {
        calls.push_back(cluster[0].unary(handler).instance(cluster.id(to)).send());
        sends.push_back(cluster[0].am_send(handler).instance(cluster.id(to)).send());
        calls.push_back(cluster[to].unary(handler).instance(cluster.id(0)).send());
      }
    }
    auto waits = cluster[0].wait_for_handler(cluster.id(1), "never", 1min);
    std::optional<Op<void>> over;
    for (int i = 0; i < steps; ++i) {
      if (i == 100) over.emplace(cluster[0].shutdown(ShutdownPolicy(1min)));
      if (!cluster.sim.step()) break;
    }
    cluster.messengers[0].reset();
    for (auto& call : calls) {
      EXPECT_NE(outcome(cluster.wait(std::move(call), 10s)), "base.deadline_exceeded") << steps;
    }
    for (auto& send : sends) {
      EXPECT_NE(outcome(cluster.wait(std::move(send), 10s)), "base.deadline_exceeded") << steps;
    }
    EXPECT_FALSE(cluster.wait(std::move(waits), 10s));
    if (over) {
      EXPECT_TRUE(cluster.sim.run_until([&] { return over->done(); }, 10s)) << steps;
    }
    gate.open();
  }
}

TEST(EndingsOfMessengers, OneMayBeDestroyedInsideItsOwnCallback) {
  for (const bool drained : {false, true}) {
    Gate gate;
    Cluster cluster(2);
    cluster.outsiders = true;
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
    auto held = cluster[0].unary("hold").instance(cluster.id(1)).send();
    ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
    bool destroyed = false;
    auto destroy = [&] {
      cluster.messengers[0].reset();
      destroyed = true;
    };
    if (drained) {
      cluster[0].shutdown().then(cluster.sim.node(0).shard(0), [&](Result<void>) { destroy(); });
    } else {
      cluster[0]
          .unary("echo")
          .instance(cluster.id(1))
          .send()
          .then(cluster.sim.node(0).shard(0), [&](Result<Bytes>) { destroy(); });
    }
    EXPECT_TRUE(cluster.until([&] { return destroyed; }));
    EXPECT_EQ(outcome(cluster.wait(std::move(held), 10s)), "messenger.shutting_down");
    gate.open();
  }
}

}  // namespace velo::messenger::testing::endings_test
