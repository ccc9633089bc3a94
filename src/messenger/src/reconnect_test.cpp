// SPDX-License-Identifier: Apache-2.0
// How often, and when, a peer is dialled again, and what becomes of the sends that wait for it.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/discovery/backends/static.hpp>

#include <algorithm>
#include <map>
#include <numeric>

namespace velo::messenger::testing::reconnect_test {

/// TCP that writes down when it was asked to connect.
class CountedTransport final : public transport::Transport {
 public:
  CountedTransport(sim::SimNode& node, std::vector<TimePoint>& dials)
      : tcp_(transport::make_tcp(tcp_of(node))), dials_(dials) {}
  std::string_view key() const noexcept override { return tcp_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    return tcp_->start(context);
  }
  Bytes address_entry() const override { return tcp_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return tcp_->check_entry(entry); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    dials_.push_back(shard.now());
    return tcp_->connect(shard, entry, std::move(done));
  }
  void stop() noexcept override { tcp_->stop(); }

 private:
  std::unique_ptr<transport::Transport> tcp_;
  std::vector<TimePoint>& dials_;
};

/// A cluster whose dials are counted for each node.
struct Dials {
  std::map<std::size_t, std::vector<TimePoint>> of;

  ClusterOptions options(std::uint64_t seed = 1) {
    ClusterOptions made;
    made.seed = seed;
    made.setup = [this](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
      setup.transport = std::make_unique<CountedTransport>(node, of[index]);
    };
    return made;
  }
};

/// Sends a call as soon as the last one ended, for so long, and says how they ended.
static std::map<std::string, int> hammer(Cluster& cluster, const InstanceId& peer,
                                         Duration for_so_long) {
  std::map<std::string, int> ends;
  const TimePoint until = cluster.sim.now() + for_so_long;
  while (cluster.sim.now() < until) {
    ++ends[outcome(cluster.wait(cluster[0].unary("echo").instance(peer).send()))];
  }
  return ends;
}

TEST(Reconnect, ATightLoopOfSendsDialsADeadPeerAFewTimesAMinute) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Dials dials;
    Cluster cluster(2, dials.options(seed));
    const InstanceId gone = cluster.id(1);
    cluster.messengers[1].reset();
    cluster.sim.run_for(1s);
    const auto ends = hammer(cluster, gone, 1min);
    EXPECT_EQ(ends.size(), 1u) << "seed " << seed;
    EXPECT_TRUE(ends.contains("messenger.not_sent")) << "seed " << seed;
    EXPECT_GE(dials.of[0].size(), 10u) << "seed " << seed;
    EXPECT_LE(dials.of[0].size(), 40u) << "seed " << seed;
  }
}

TEST(Reconnect, AThousandSendsDuringAPauseAreOneDial) {
  Dials dials;
  Cluster cluster(2, dials.options());
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  (void)hammer(cluster, gone, 5s);
  const std::size_t before = dials.of[0].size();
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(cluster[0].unary("echo").instance(gone).send());
  for (auto& call : calls) EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.not_sent");
  EXPECT_EQ(dials.of[0].size(), before + 1);
}

TEST(Reconnect, ASendThatWaitsForThePauseEndsAtItsDeadline) {
  Cluster cluster(2);
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  bool waited = false;
  for (int i = 0; i < 200 && !waited; ++i) {
    const TimePoint before = cluster.sim.now();
    const auto ended = cluster.wait(cluster[0].unary("echo").instance(gone).timeout(300ms).send());
    if (outcome(ended) != "messenger.deadline_exceeded") continue;
    EXPECT_EQ(cluster.sim.now() - before, 300ms);
    EXPECT_EQ(ended.error().context(), "not sent in time");
    waited = true;
  }
  EXPECT_TRUE(waited);
}

TEST(Reconnect, SendsThatExpiredDuringThePauseCauseNoDial) {
  Dials dials;
  Cluster cluster(2, dials.options());
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  (void)hammer(cluster, gone, 30s);
  const std::size_t before = dials.of[0].size();
  const TimePoint last = dials.of[0].back();
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(gone).timeout(1us).send())),
            "messenger.deadline_exceeded");
  cluster.sim.run_for(limits::redial_pause_longest);
  EXPECT_EQ(dials.of[0].size(), before) << (cluster.sim.now() - last).count();
}

TEST(Reconnect, APeerThatIsBackIsReachedWithinTheLongestPause) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    cluster.sim.partition(cluster.sim.node(0), cluster.sim.node(1));
    std::vector<Op<Bytes>> lost;
    for (int i = 0; i < 60; ++i) {
      lost.push_back(cluster[0].unary("echo").instance(cluster.id(1)).timeout(500ms).send());
      cluster.sim.run_for(1s);
    }
    cluster.sim.heal();
    const TimePoint healed = cluster.sim.now();
    EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())), "ok")
        << "seed " << seed;
    // The dial under way when the network healed may have to run into its own time-out first.
    EXPECT_LE(cluster.sim.now() - healed, limits::redial_pause_longest + limits::hello_timeout + 1s)
        << "seed " << seed;
  }
}

TEST(Reconnect, AfterAHealthyConnectionThePeerIsDialledAtOnce) {
  Dials dials;
  Cluster cluster(2, dials.options());
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  cluster.sim.run_for(limits::connection_lived_min);
  cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
  cluster.sim.run_for(100ms);
  const TimePoint before = cluster.sim.now();
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  ASSERT_EQ(dials.of[0].size(), 2u);
  EXPECT_EQ(dials.of[0].back(), before);
}

TEST(Reconnect, APeerThatGreetsAndBreaksAgainAndAgainIsLeftAloneLonger) {
  Dials dials;
  Cluster cluster(1, dials.options());
  RawPeer flapping(cluster);
  ASSERT_TRUE(cluster[0].register_peer(flapping.info));
  std::vector<Duration> until_accepted;
  for (std::size_t i = 0; i < 14; ++i) {
    auto call = cluster[0].unary("echo").instance(flapping.info.instance_id).timeout(1min).send();
    const TimePoint before = cluster.sim.now();
    RawEnd& end = flapping.wait_accepted(i);
    until_accepted.push_back(cluster.sim.now() - before);
    end.answer_greeting(flapping.next(end), {"echo"},
                        local_offer(flapping.info.worker_id().value()));
    EXPECT_EQ(flapping.next(end).request().name, "echo");
    end.close();
    EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.connection_lost");
  }
  EXPECT_LT(until_accepted.front(), 100ms);
  EXPECT_GT(*std::max_element(until_accepted.begin(), until_accepted.end()), 1s);
}

TEST(Reconnect, RegisteringAgainEndsThePause) {
  Dials dials;
  Cluster cluster(2, dials.options());
  const PeerInfo gone = cluster[1].peer_info();
  cluster.messengers[1].reset();
  (void)hammer(cluster, gone.instance_id, 30s);
  const std::size_t before = dials.of[0].size();
  auto call = cluster[0].unary("echo").instance(gone.instance_id).send();
  cluster.sim.run_for(1ms);
  ASSERT_EQ(dials.of[0].size(), before) << "a pause is under way";
  ASSERT_TRUE(cluster[0].register_peer(gone));
  cluster.sim.run_for(1ms);
  EXPECT_EQ(dials.of[0].size(), before + 1);
  EXPECT_EQ(outcome(cluster.wait(std::move(call))), "messenger.not_sent");
}

TEST(Reconnect, AGreetingOfThePeerEndsThePause) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    ASSERT_TRUE(cluster[1].register_handler(echo()));
    cluster.sim.partition_one_way(cluster.sim.node(0), cluster.sim.node(1));
    // Each ends with a dial that failed, after which a pause begins.
    (void)hammer(cluster, cluster.id(1), 2min);
    cluster.sim.heal();
    (void)cluster.wait(cluster[1].available_handlers(cluster.id(0)));
    const TimePoint before = cluster.sim.now();
    EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())), "ok");
    EXPECT_LT(cluster.sim.now() - before, 100ms) << "seed " << seed;
  }
}

TEST(Reconnect, NodesThatLostTheSamePeerComeBackAtTimesOfTheirOwnAndReplay) {
  auto run = [](std::uint64_t seed) {
    Dials dials;
    Cluster cluster(9, dials.options(seed));
    const InstanceId gone = cluster.id(0);
    cluster.messengers[0].reset();
    std::vector<Op<Bytes>> calls;
    for (int round = 0; round < 12; ++round) {
      for (std::size_t i = 1; i < 9; ++i) {
        calls.push_back(cluster[i].unary("echo").instance(gone).timeout(1s).send());
      }
      cluster.sim.run_for(1s);
    }
    return dials.of;
  };
  auto first = run(7);
  std::vector<TimePoint> last;
  for (std::size_t i = 1; i < 9; ++i) {
    ASSERT_GT(first[i].size(), 2u);
    last.push_back(first[i].back());
  }
  std::sort(last.begin(), last.end());
  EXPECT_EQ(std::adjacent_find(last.begin(), last.end()), last.end()) << "two dialled together";
  EXPECT_GT(last.back() - last.front(), 100ms) << "a herd";
  EXPECT_EQ(run(7), first);
  EXPECT_NE(run(8), first);
}

TEST(Reconnect, NothingThatMayHaveLeftIsSentAgain) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Cluster cluster(2, options);
    std::map<int, int> ran;
    ASSERT_TRUE(cluster[1].register_handler(
        Handler::am_handler(
            "count",
            [&ran](Context& context) { ++ran[std::stoi(std::string(as_text(context.payload())))]; })
            .inline_()
            .build()));
    std::vector<Op<void>> calls;
    int next = 0;
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 50; ++i) {
        auto call = cluster[0].am_sync("count");
        calls.push_back(call.raw_payload(std::to_string(next++)).instance(cluster.id(1)).send());
      }
      cluster.sim.run_for(std::chrono::microseconds(cluster.sim.random().below(3000)));
      cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
    }
    std::map<std::string, int> ends;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto ended = cluster.wait(std::move(calls[i]));
      ++ends[outcome(ended)];
      const int times = ran[static_cast<int>(i)];
      EXPECT_LE(times, 1) << "seed " << seed << ", call " << i;
      if (ended) {
        EXPECT_EQ(times, 1) << "seed " << seed << ", call " << i;
      }
      if (!ended && ended.error().is(Errc::not_sent)) {
        EXPECT_EQ(times, 0) << "seed " << seed << ", call " << i;
      }
    }
    EXPECT_GT(ends["ok"], 0) << "seed " << seed;
  }
}

TEST(Reconnect, ADiscoveredPeerIsLookedUpAgainWhenItsAddressLeadsNowhere) {
  auto directory = std::make_shared<std::shared_ptr<discovery::StaticDiscovery>>();
  Dials dials;
  ClusterOptions options = dials.options();
  options.introduced = false;
  auto counted = options.setup;
  options.setup = [directory, counted](sim::SimNode& node, std::size_t index, NodeSetup& setup) {
    if (!*directory) *directory = std::move(*discovery::StaticDiscovery::create(node.pool()));
    counted(node, index, setup);
    if (index == 0) setup.discovery = *directory;
  };
  Cluster cluster(3, options);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  PeerInfo wrong = cluster[1].peer_info();
  wrong.address = cluster[2].peer_info().address;
  const PeerInfo right = cluster[1].peer_info();
  ASSERT_TRUE((*directory)->add(wrong));
  const auto missed = cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send());
  EXPECT_EQ(outcome(missed), "messenger.not_sent");
  (void)(*directory)->remove(right.instance_id);
  ASSERT_TRUE((*directory)->add(right));
  EXPECT_EQ(outcome(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send())), "ok");
  EXPECT_EQ(dials.of[0].size(), 2u);
}

TEST(Reconnect, AMessengerMayBeDestroyedDuringAPause) {
  Cluster cluster(2);
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  (void)hammer(cluster, gone, 30s);
  auto call = cluster[0].unary("echo").instance(gone).send();
  cluster.sim.run_for(1us);
  EXPECT_FALSE(call.done());
  cluster.messengers[0].reset();
  EXPECT_EQ(outcome(cluster.wait(std::move(call), 1ms)), "messenger.shutting_down");
  EXPECT_TRUE(cluster.sim.run_until_idle(1s)) << "a timer was left behind";
}

TEST(Reconnect, UnregisteringDuringAPauseLeavesNoTimer) {
  Cluster cluster(2);
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  (void)hammer(cluster, gone, 30s);
  auto call = cluster[0].unary("echo").instance(gone).timeout(1s).send();
  ASSERT_TRUE(cluster[0].unregister_peer(gone));
  EXPECT_EQ(outcome(cluster.wait(std::move(call), 1ms)), "messenger.unknown_peer");
  EXPECT_TRUE(cluster.sim.run_until_idle(2s)) << "a timer was left behind";
}

}  // namespace velo::messenger::testing::reconnect_test
