// SPDX-License-Identifier: Apache-2.0
// Many nodes in a simulated network: loss, partitions, goodbyes that are lost, coming and going,
// attackers; and the options that are refused.

#include <velo/discovery/backends/multicast.hpp>

#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>

#include "testing/multicast_kit.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::discovery {
namespace multicast_test {

using multicast::kit::CheapSigning;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// A node that announces itself and watches the others.
struct Member {
  Member(sim::Simulation& sim, std::uint64_t number,
         const MulticastOptions& base = MulticastOptions())
      : node(sim.add_node("node" + std::to_string(number))) {
    MulticastOptions options = base;
    options.signing = std::make_shared<CheapSigning>(number + 1);
    discovery = std::move(*MulticastDiscovery::create(node, "demo", options));
    self = PeerInfo{InstanceId::random(node.random()), {{"tcp", Bytes::copy(node.host())}}};
    watching = discovery->watch(node.shard(0), [this](const PeerChange& change) {
      if (change.kind == ChangeKind::snapshot || change.kind == ChangeKind::resync) view.clear();
      for (const PeerInfo& peer : change.peers) {
        if (change.kind == ChangeKind::removed) {
          view.erase(peer.instance_id);
        } else {
          view.insert_or_assign(peer.instance_id, peer);
        }
      }
      ++changes;
    });
  }
  void announce(sim::Simulation& sim) {
    auto announced = sim.wait(discovery->announce(self), seconds(5));
    EXPECT_TRUE(announced);
    if (announced) registration = std::move(*announced);
  }

  sim::SimNode& node;
  std::unique_ptr<MulticastDiscovery> discovery;
  PeerInfo self;
  std::map<InstanceId, PeerInfo> view;
  int changes = 0;
  std::unique_ptr<Registration> watching;
  std::unique_ptr<Registration> registration;
};

using Members = std::vector<std::unique_ptr<Member>>;

static bool all_see(const Members& members, std::size_t count) {
  return std::ranges::all_of(members,
                             [&](const auto& member) { return member->view.size() == count; });
}

static sim::SimOptions lossy(std::uint32_t per_million) {
  sim::SimOptions options;
  options.link.datagram_loss_per_million = per_million;
  options.link.datagram_duplicate_per_million = 10'000;
  options.link.datagram_reorder_per_million = 50'000;
  return options;
}

static Members start(sim::Simulation& sim, std::size_t count) {
  Members members;
  for (std::size_t i = 0; i < count; ++i) members.push_back(std::make_unique<Member>(sim, i));
  for (const auto& member : members) member->announce(sim);
  return members;
}

TEST(Multicast, TwoHundredNodesFindEachOtherThroughLossAndStay) {
  sim::Simulation sim(1, lossy(200'000));
  const Members members = start(sim, 200);
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 200); }, seconds(30)));
  // A fifth of all datagrams is lost, and yet next to nobody is thought to be gone.
  std::size_t missing = 0;
  for (int i = 0; i < 20; ++i) {
    sim.run_for(seconds(1));
    for (const auto& member : members) missing += 200 - member->view.size();
  }
  RecordProperty("missing", std::to_string(missing));
  EXPECT_LE(missing, 24U) << "of 800,000 looks";
  std::uint64_t forged = 0;
  for (const auto& member : members) forged += member->discovery->counters().forged;
  EXPECT_EQ(forged, 0U);
}

TEST(Multicast, PartitionEndsInTwoTrueViewsAndHealsIntoOne) {
  sim::Simulation sim(2, lossy(50'000));
  const Members members = start(sim, 20);
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 20); }, seconds(20)));
  for (std::size_t a = 0; a < 10; ++a) {
    for (std::size_t b = 10; b < 20; ++b) sim.partition(members[a]->node, members[b]->node);
  }
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 10); }, seconds(60)));
  for (std::size_t a = 0; a < 10; ++a) {
    for (std::size_t b = 0; b < 10; ++b) {
      EXPECT_TRUE(members[a]->view.contains(members[b]->self.instance_id));
    }
  }
  members[0]->registration.reset();  // during the partition, unheard by the others
  members[15]->self.address["tcp"] = Bytes::copy("moved");
  members[15]->announce(sim);
  sim.heal();
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 19); }, seconds(60)));
  for (const auto& member : members) {
    EXPECT_FALSE(member->view.contains(members[0]->self.instance_id));
    EXPECT_EQ(member->view.at(members[15]->self.instance_id), members[15]->self);
  }
}

TEST(Multicast, RowsOfWhoDiedOrWhoseGoodbyeWasLostAreOver) {
  sim::Simulation sim(3);
  Members members = start(sim, 5);
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 5); }, seconds(20)));
  sim.crash(members[4]->node);
  sim.isolate(members[3]->node);
  members[3]->registration.reset();
  sim.run_for(seconds(40));
  sim.heal();
  sim.run_for(seconds(5));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(members[i]->view.size(), 3U) << i;
  EXPECT_EQ(members[3]->view.size(), 3U);
}

TEST(Multicast, ThousandJoinsAndLeavesWithAPartitionLeaveNothingStaleOrMissing) {
  sim::Simulation sim(4, lossy(50'000));
  Members members = start(sim, 3);
  const auto half = std::make_unique<Member>(sim, 50);
  std::map<InstanceId, std::pair<PeerInfo, std::unique_ptr<Registration>>> present;
  for (int joined = 0; joined < 1000; ++joined) {
    if (joined == 400) sim.isolate(half->node);
    if (joined == 600) sim.heal();
    Member& by = *members[static_cast<std::size_t>(joined) % 3];
    const PeerInfo peer{InstanceId::random(by.node.random()), {{"tcp", Bytes::copy("x")}}};
    auto registered = sim.wait(by.discovery->announce(peer), seconds(5));
    ASSERT_TRUE(registered);
    present.emplace(peer.instance_id, std::pair(peer, std::move(*registered)));
    if (present.size() > 30) present.erase(present.begin());
    sim.run_for(milliseconds(50));
  }
  const auto true_view = [&](const Member& member) {
    return member.view.size() == present.size() + 3 &&
           std::ranges::all_of(present,
                               [&](const auto& one) { return member.view.contains(one.first); });
  };
  EXPECT_TRUE(sim.run_until(
      [&] {
        return true_view(*half) &&
               std::ranges::all_of(members, [&](const auto& member) { return true_view(*member); });
      },
      seconds(60)));
  present.clear();
  EXPECT_TRUE(sim.run_until([&] { return half->view.size() == 3; }, seconds(60)));
  sim.run_for(minutes(3));
  const multicast::Counters counters = half->discovery->counters();
  EXPECT_EQ(counters.rows, 3U);
  EXPECT_EQ(counters.announcers, 3U);
  EXPECT_EQ(counters.refused, 0U);
}

TEST(Multicast, AnAttackerWhoHearsEverythingChangesNothing) {
  sim::Simulation sim(5);
  Members members = start(sim, 3);
  ASSERT_TRUE(sim.run_until([&] { return all_see(members, 3); }, seconds(20)));
  // Says again whatever it hears, for a minute, also after a member has left.
  struct Attacker final : DatagramEvents {
    void on_datagram(const NetAddress&, const NetAddress&, ByteSpan datagram) override {
      if (recorded.size() < 2'000) recorded.emplace_back(datagram.begin(), datagram.end());
    }
    std::vector<std::vector<std::byte>> recorded;
  } attacker;
  sim::SimNode& node = sim.add_node("attacker");
  DatagramOptions how;
  how.share_port = true;
  const MulticastOptions defaults;
  how.multicast_groups.push_back(defaults.group_v4);
  const Endpoint group = Endpoint::tcp(defaults.group_v4, defaults.port);
  auto socket = *node.network().open_datagram(node.shard(0), group, how, attacker);
  sim.run_for(seconds(20));
  members[2]->registration.reset();
  sim.run_for(seconds(5));
  ASSERT_TRUE(std::ranges::all_of(members, [](const auto& m) { return m->view.size() == 2; }));
  const int changes = members[0]->changes;
  const std::vector<std::vector<std::byte>> recorded = attacker.recorded;
  ASSERT_FALSE(recorded.empty());
  for (int second = 0; second < 60; ++second) {
    for (const auto& datagram : recorded) static_cast<void>(socket->try_send(group, datagram));
    sim.run_for(seconds(1));
  }
  EXPECT_EQ(members[0]->changes, changes);
  EXPECT_EQ(members[0]->view.size(), 2U);
  EXPECT_LE(members[0]->discovery->counters().announcers, 3U);
}

TEST(Multicast, LookupsAnswerFromWhoIsAskedAndSayWhoIsUnknown) {
  sim::Simulation sim(6, lossy(100'000));
  const Members members = start(sim, 10);
  for (const auto& member : members) {
    const auto found = sim.wait(
        members[0]->discovery->discover_by_instance_id(member->self.instance_id), seconds(5));
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, member->self);
  }
  const auto nobody = sim.wait(
      members[0]->discovery->discover_by_worker_id(multicast::kit::instance(1).worker_id()),
      seconds(5));
  ASSERT_FALSE(nobody);
  EXPECT_TRUE(nobody.error().is(velo::Errc::not_found));
}

TEST(Multicast, OperationsThatWaitAreBounded) {
  sim::Simulation sim(7);
  const Members members = start(sim, 1);
  std::vector<Op<std::vector<PeerInfo>>> waiting;
  for (std::size_t i = 0; i < multicast::limits::operations_pending_max; ++i) {
    waiting.push_back(members[0]->discovery->list());
  }
  const auto refused = sim.wait(members[0]->discovery->list(), seconds(5));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::overloaded));
  for (auto& op : waiting) EXPECT_TRUE(sim.wait(std::move(op), seconds(5)));
  waiting.clear();
  EXPECT_TRUE(sim.wait(members[0]->discovery->list(), seconds(5)));
}

TEST(Multicast, RefusesOptionsThatCannotBeMeant) {
  sim::Simulation sim(8);
  sim::SimNode& node = sim.add_node("node");
  const auto refused = [&](auto change, const std::string& cluster = "demo") {
    MulticastOptions options;
    options.signing = std::make_shared<CheapSigning>(1);
    change(options);
    const auto made = MulticastDiscovery::create(node, cluster, options);
    return !made && made.error().is(velo::Errc::invalid_argument);
  };
  EXPECT_TRUE(refused([](MulticastOptions&) {}, ""));
  EXPECT_TRUE(refused([](MulticastOptions&) {}, std::string(200, 'x')));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.group_v4 = "10.0.0.1"; }));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.group_v4 = o.group_v6 = ""; }));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.port = 0; }));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.interval_min = Duration::zero(); }));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.interval_max = milliseconds(1); }));
  EXPECT_TRUE(refused([](MulticastOptions& o) { o.interfaces = {"10.99.99.99"}; }));
  EXPECT_FALSE(refused([](MulticastOptions&) {}));
}

TEST(Multicast, PeersThatFitIntoNoDatagramAreFoundAndSeenThroughLossUpToALimit) {
  sim::Simulation sim(9, lossy(100'000));
  const Members members = start(sim, 5);
  PeerInfo large{InstanceId::random(sim.random()), {}};
  large.address.emplace("tcp", Bytes::copy(std::string(16'000, 'x')));
  const auto announced = sim.wait(members[0]->discovery->announce(large), seconds(5));
  ASSERT_TRUE(announced) << announced.error().to_string();
  const auto all_have = [&] {
    return std::ranges::all_of(members, [&](const auto& member) {
      const auto found = member->view.find(large.instance_id);
      return found != member->view.end() && found->second == large;
    });
  };
  ASSERT_TRUE(sim.run_until(all_have, seconds(30)));
  for (int i = 0; i < 60; ++i) {
    sim.run_for(seconds(1));
    EXPECT_TRUE(all_have()) << i;
  }
  const auto found =
      sim.wait(members[1]->discovery->discover_by_instance_id(large.instance_id), seconds(5));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, large);
  large.address["tcp"] = Bytes::copy(std::string(17'000, 'x'));
  const auto refused = sim.wait(members[0]->discovery->announce(large), seconds(5));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::invalid_argument));
}

}  // namespace multicast_test
}  // namespace velo::discovery
