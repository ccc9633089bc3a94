// SPDX-License-Identifier: Apache-2.0
// The etcd backend in simulation: partitions, servers that restart, forget, fall silent or refuse.

#include "testing/etcd_fixture.hpp"

namespace velo::discovery::etcd_test {

using EtcdFaultsTest = EtcdFixture;

TEST_F(EtcdFaultsTest, LeaseThatRanOutInAPartitionIsReplaced) {
  const PeerInfo peer = make_peer("a");
  auto announced = announce(*owner, peer);
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  sim.partition(there, *server_node);
  ASSERT_TRUE(until([&] { return view.empty(); }));
  sim.run_for(seconds(20));
  sim.heal();
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  EXPECT_EQ(view.begin()->second, peer);
  EXPECT_EQ(log_lines_with("the lease of the announcements is lost"), 1U);
  announced.reset();
  ASSERT_TRUE(until([&] { return view.empty(); }));
  sim.run_for(seconds(60));
  EXPECT_TRUE(store->keys.empty());
  EXPECT_TRUE(store->leases.empty());
}

TEST_F(EtcdFaultsTest, WatchThatWasCutMissesNothing) {
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  auto first_announced = announce(*owner, first);
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  sim.partition(here, *server_node);
  first_announced.reset();
  const auto second_announced = announce(*owner, second);
  sim.run_for(minutes(1));
  EXPECT_EQ(view, (View{{first.instance_id, first}})) << "nothing can be known";
  sim.heal();
  ASSERT_TRUE(until([&] { return view == View{{second.instance_id, second}}; }));
}

TEST_F(EtcdFaultsTest, CompactionDuringACutStartsAnew) {
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  auto first_announced = announce(*owner, first);
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  sim.partition(here, *server_node);
  first_announced.reset();
  const auto second_announced = announce(*owner, second);
  store->compact();
  sim.run_for(seconds(5));
  sim.heal();
  ASSERT_TRUE(until([&] { return view == View{{second.instance_id, second}}; }));
}

TEST_F(EtcdFaultsTest, ServerThatLostItsDataGetsThemBack) {
  const PeerInfo peer = make_peer("a");
  const PeerInfo dead = make_peer("dead");
  const auto announced = announce(*owner, peer);
  const auto watching = watch(*reader);
  store->put("/velo/demo/peers/" + dead.instance_id.to_string(), "{}");
  for (int i = 0; i < 50; ++i) store->put("/elsewhere", "x");
  server->publish();
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  *store = discovery::testing::FakeEtcdStore();
  restart_server();
  ASSERT_TRUE(until([&] { return store->keys.size() == 1; })) << "announced anew";
  ASSERT_TRUE(until([&] { return view == View{{peer.instance_id, peer}}; }));
  const PeerInfo late = make_peer("late");
  const auto also = announce(*owner, late);
  ASSERT_TRUE(until([&] { return view.contains(late.instance_id); })) << "the watch lives";
}

TEST_F(EtcdFaultsTest, AnotherMemberIsAskedWhenOneDies) {
  std::shared_ptr<discovery::testing::FakeEtcd> other;
  sim::SimNode& other_node = add_server("other", store, other);
  EtcdOptions how = options();
  how.endpoints.push_back(other_node.endpoint(2379));
  owner = join(there, how);
  reader = join(here, how);
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(*owner, peer);
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  sim.crash(*server_node, sim::CrashKind::power);
  const PeerInfo second = make_peer("second");
  const auto also = announce(*owner, second);
  EXPECT_EQ(wait(reader->list())->size(), 2U);
  other->publish();  // the store is shared, but each member tells its own watches
  ASSERT_TRUE(until([&] { return view.size() == 2; }));
  sim.run_for(minutes(2));
  EXPECT_EQ(view.size(), 2U);
}

TEST_F(EtcdFaultsTest, WatchThatFellSilentIsFoundOut) {
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return calls > 0; }));
  server->mute_watches(true);
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(*owner, peer);
  sim.run_for(seconds(1));
  EXPECT_TRUE(view.empty());
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  EXPECT_EQ(log_lines_with("the watch has missed something"), 0U) << "information, no warning";
}

TEST_F(EtcdFaultsTest, KeyThatSomebodyDeletedReturns) {
  const PeerInfo peer = make_peer("a");
  auto announced = announce(*owner, peer);
  store->remove("/velo/demo/peers/" + peer.instance_id.to_string());
  ASSERT_TRUE(until([&] { return store->keys.size() == 1; }));
  announced.reset();
  sim.run_for(minutes(2));
  EXPECT_TRUE(store->keys.empty()) << "and not again after it was withdrawn";
}

TEST_F(EtcdFaultsTest, ServerWithoutALeaderIsAskedAgain) {
  server->refuse_all(503);
  auto announcing = owner->announce(make_peer("a"));
  sim.run_for(seconds(2));
  EXPECT_FALSE(announcing.done());
  server->refuse_all(0);
  const auto announced = wait(std::move(announcing));
  EXPECT_TRUE(announced) << announced.error().to_string();
}

TEST_F(EtcdFaultsTest, WithdrawnWhileCutOffIsGoneAfterwards) {
  const PeerInfo peer = make_peer("a");
  const PeerInfo stays = make_peer("b");
  auto announced = announce(*owner, peer);
  const auto other = announce(*owner, stays);
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 2; }));
  sim.partition(there, *server_node);
  sim.run_for(seconds(1));
  announced.reset();
  sim.run_for(seconds(15));
  sim.heal();
  ASSERT_TRUE(until([&] { return view == View{{stays.instance_id, stays}}; }));
}

TEST_F(EtcdFaultsTest, ThousandJoinsAndLeavesAndPartitionsEndInTheTrueView) {
  const auto watching = watch(*reader);
  std::map<InstanceId, std::unique_ptr<Registration>> announced;
  std::vector<PeerInfo> peers;
  for (int i = 0; i < 60; ++i) peers.push_back(make_peer(std::to_string(i)));
  for (int step = 0; step < 1000; ++step) {
    if (step % 100 == 30) sim.partition(here, *server_node);
    if (step % 100 == 50) sim.reset_connections(there);
    if (step % 100 == 70) sim.heal();
    if (step % 300 == 150) store->compact();
    if (step == 500) restart_server();
    const PeerInfo& peer = peers[sim.random().below(peers.size())];
    if (announced.erase(peer.instance_id) == 0) {
      announced[peer.instance_id] = announce(*owner, peer);
    }
  }
  sim.heal();
  View expected;
  for (const PeerInfo& peer : peers) {
    if (announced.contains(peer.instance_id)) expected.emplace(peer.instance_id, peer);
  }
  ASSERT_TRUE(until([&] { return view == expected; }));
  EXPECT_EQ(wait(reader->list())->size(), expected.size());
  EXPECT_EQ(store->keys.size(), expected.size()) << "no stale entry";
  announced.clear();
  ASSERT_TRUE(until([&] { return view.empty(); }));
  EXPECT_TRUE(store->keys.empty());
}

}  // namespace velo::discovery::etcd_test
