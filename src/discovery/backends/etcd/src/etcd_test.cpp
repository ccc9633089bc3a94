// SPDX-License-Identifier: Apache-2.0
// The etcd backend in simulation: what it takes, refuses and leaves behind.

#include "testing/etcd_fixture.hpp"

namespace velo::discovery::etcd_test {

using EtcdDiscoveryTest = EtcdFixture;

TEST_F(EtcdDiscoveryTest, RefusesArgumentsThatCanNeverWork) {
  const auto refused = [this](const std::string& cluster, const EtcdOptions& how, auto code) {
    const auto made = EtcdDiscovery::create(here, cluster, how);
    return !made && made.error().is(code);
  };
  const auto invalid = velo::Errc::invalid_argument;
  EXPECT_TRUE(refused("", options(), invalid));
  EXPECT_TRUE(refused("../other", options(), invalid));
  EXPECT_TRUE(refused(std::string(limits::cluster_name_bytes_max + 1, 'a'), options(), invalid));
  EtcdOptions how = options();
  how.endpoints.clear();
  EXPECT_TRUE(refused("demo", how, invalid));
  how.endpoints.assign(limits::etcd_endpoints_max + 1, Endpoint::tcp("127.0.0.1", 1));
  EXPECT_TRUE(refused("demo", how, invalid));
  how = options();
  how.lease_ttl = milliseconds(1500);
  EXPECT_TRUE(refused("demo", how, invalid));
  how = options();
  how.backoff_max = milliseconds(1);
  EXPECT_TRUE(refused("demo", how, invalid));
  how = options();
  how.allow_plaintext_beyond_loopback = false;
  EXPECT_TRUE(refused("demo", how, velo::Errc::permission_denied));
  how.connect = [](Shard&, const Endpoint&, const ConnectOptions&, StreamHandler) {
    return std::unique_ptr<Connecting>();
  };
  EXPECT_FALSE(refused("demo", how, velo::Errc::permission_denied));
  EXPECT_EQ(*parse_etcd_endpoint("http://127.0.0.1:2379/"), Endpoint::tcp("127.0.0.1", 2379));
  EXPECT_EQ(*parse_etcd_endpoint("[::1]:1"), Endpoint::tcp("::1", 1));
  EXPECT_TRUE(parse_etcd_endpoint("https://127.0.0.1:1").error().is(velo::Errc::unsupported));
  EXPECT_TRUE(parse_etcd_endpoint("http://etcd:2379").error().is(invalid));
}

TEST_F(EtcdDiscoveryTest, PlainTextBeyondLoopbackIsLogged) {
  EXPECT_EQ(log_lines_with("unencrypted beyond loopback"), 2U);
}

TEST_F(EtcdDiscoveryTest, WhatOthersWroteIsIgnoredWithOneLine) {
  const PeerInfo good = make_peer("good");
  const auto announced = announce(*owner, good);
  const std::string prefix = "/velo/demo/peers/";
  store->put(prefix + make_peer("").instance_id.to_string(), "rubbish");
  store->put(prefix + "no-instance", "{}");
  store->put("/velo/demo/peersX", "{}");
  const auto watching = watch(*reader);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  store->put(prefix + good.instance_id.to_string(), "overwritten", 1);
  server->publish();
  ASSERT_TRUE(until([&] { return view.empty(); })) << "what it says now is nothing";
  EXPECT_EQ(wait(reader->list())->size(), 0U);
  EXPECT_EQ(wait(reader->list())->size(), 0U);
  EXPECT_FALSE(wait(reader->discover_by_instance_id(good.instance_id)));
  sim.run_for(minutes(1));
  EXPECT_LE(log_lines_with("an announcement is ignored"), 7U);
}

TEST_F(EtcdDiscoveryTest, OperationsEndWhenNoServerAnswers) {
  sim.crash(*server_node, sim::CrashKind::power);
  const TimePoint begin = sim.now();
  auto listing = reader->list();
  auto looking = reader->discover_by_instance_id(make_peer("").instance_id);
  auto announcing = owner->announce(make_peer("a"));
  const auto listed = wait(std::move(listing));
  const auto found = wait(std::move(looking));
  const auto announced = wait(std::move(announcing));
  ASSERT_FALSE(listed || found || announced);
  EXPECT_TRUE(listed.error().is(velo::Errc::deadline_exceeded)) << listed.error().to_string();
  EXPECT_TRUE(found.error().is(velo::Errc::deadline_exceeded)) << found.error().to_string();
  EXPECT_TRUE(announced.error().is(velo::Errc::deadline_exceeded));
  EXPECT_LE(sim.now() - begin, seconds(11));
  sim.run_for(minutes(5));
  EXPECT_TRUE(sim.run_until_idle(minutes(5))) << "nobody tries for ever for what was given up";
}

TEST_F(EtcdDiscoveryTest, RefusedAnnouncementIsAnError) {
  server->refuse_all(400);
  const auto announced = wait(owner->announce(make_peer("a")));
  ASSERT_FALSE(announced);
  EXPECT_LT(server->requests(), 10U);
  EXPECT_TRUE(sim.run_until_idle(minutes(1)));
}

TEST_F(EtcdDiscoveryTest, ObjectThatGoesSaysGoodbye) {
  {
    const auto announced = announce(*owner, make_peer("a"));
    EXPECT_EQ(store->leases.size(), 1U);
    owner.reset();
  }
  ASSERT_TRUE(sim.run_until([&] { return store->leases.empty(); }, seconds(1)));
  EXPECT_TRUE(store->keys.empty());
  reader.reset();
  EXPECT_TRUE(sim.run_until_idle(minutes(1)));
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(EtcdDiscoveryTest, NobodyWatchingAndNothingAnnouncedLeavesTheWorldIdle) {
  {
    const auto announced = announce(*owner, make_peer("a"));
    const auto watching = watch(*reader);
    ASSERT_TRUE(until([&] { return view.size() == 1; }));
    ASSERT_TRUE(until([&] { return server->watches() == 1; }));
  }
  EXPECT_TRUE(sim.run_until_idle(minutes(1))) << "no timer is left";
  EXPECT_EQ(server->watches(), 0U);
}

TEST_F(EtcdDiscoveryTest, TooManyOperationsAreRefused) {
  sim.partition(here, *server_node);
  std::vector<Op<PeerInfo>> running;
  for (std::size_t i = 0; i < limits::etcd_requests_pending_max + 10; ++i) {
    running.push_back(reader->discover_by_worker_id(WorkerId(i + 1)));
  }
  std::size_t overloaded = 0;
  for (auto& op : running) {
    const auto ended = wait(std::move(op));
    ASSERT_FALSE(ended);
    overloaded += ended.error().is(velo::Errc::overloaded) ? 1U : 0U;
  }
  EXPECT_EQ(overloaded, 10U);
  sim.heal();
  EXPECT_TRUE(wait(reader->list()));
}

TEST(EtcdDiscoveryReplay, OneSeedGivesOneTrace) {
  const auto run = [](std::uint64_t seed) {
    sim::Simulation sim(seed);
    auto& server_node = sim.add_node("etcd");
    discovery::testing::FakeEtcd server(server_node, server_node.endpoint(2379),
                                        std::make_shared<discovery::testing::FakeEtcdStore>());
    EtcdOptions options;
    options.endpoints = {server_node.endpoint(2379)};
    options.allow_plaintext_beyond_loopback = true;
    std::vector<std::unique_ptr<EtcdDiscovery>> all;
    std::vector<std::unique_ptr<Registration>> held;
    for (int i = 0; i < 5; ++i) {
      auto& node = sim.add_node("node" + std::to_string(i));
      all.push_back(std::move(*EtcdDiscovery::create(node, "demo", options)));
      held.push_back(all.back()->watch(node.shard(0), [](const PeerChange&) {}));
      const PeerInfo peer{InstanceId::random(node.random()), {{"tcp", Bytes::copy("x")}}};
      held.push_back(std::move(*sim.wait(all.back()->announce(peer), seconds(10))));
    }
    sim.crash(sim.node(2));
    sim.run_for(minutes(1));
    return sim.trace_hash();
  };
  const log::Capture quiet;
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

}  // namespace velo::discovery::etcd_test
