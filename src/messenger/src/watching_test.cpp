// SPDX-License-Identifier: Apache-2.0
// What an operator sees of a messenger, and how it is asked to end.

#include "testing/cluster.hpp"

#include "impl.hpp"
#include "latency_samples.hpp"

namespace velo::messenger::testing::watching_test {

/// Nodes that let each other look and drain.
static ClusterOptions open_to_all() {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) {
    setup.configure = [](MessengerBuilder& builder) {
      AccessPolicy policy;
      for (const char* name : {"_books", "_watch", "_drain"}) policy.allow(name, Who::anyone());
      builder.access(std::move(policy));
    };
  };
  return options;
}

TEST(Watching, TellsWhatWaitsAndForHowLong) {
  Gate gate;
  Cluster cluster(2, open_to_all());
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto first = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  EXPECT_FALSE(cluster.sim.run_until([] { return false; }, 3s));
  auto second = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 2; }));

  const NodeWatch caller = cluster[0].watch();
  EXPECT_EQ(caller.instance, cluster.id(0));
  EXPECT_EQ(caller.phase, "serving");
  EXPECT_EQ(caller.books.unary.in_flight, 2u);
  EXPECT_GE(Duration(caller.oldest_call_ns), Duration(3s));
  EXPECT_LT(Duration(caller.oldest_call_ns), Duration(4s));
  EXPECT_EQ(caller.oldest_request_ns, 0);

  const auto served = cluster.wait(cluster[0].watch_of(cluster.id(1)));
  ASSERT_TRUE(served) << served.error().to_string();
  EXPECT_EQ(served->instance, cluster.id(1));
  EXPECT_EQ(served->books.received.running, 2u);
  EXPECT_GE(Duration(served->oldest_request_ns), Duration(3s));
  EXPECT_EQ(served->oldest_call_ns, 0);
  EXPECT_GT(served->memory_max, served->memory_used);
  ASSERT_EQ(served->peers.size(), 1u);
  EXPECT_EQ(served->peers[0].peer, cluster.id(0));
  EXPECT_EQ(served->peers[0].running, 2u);
  EXPECT_EQ(served->peers[0].transports, std::vector<std::string>{"tcp"});
  EXPECT_EQ(served->connections, 1u);
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(first)));
  ASSERT_TRUE(cluster.wait(std::move(second)));
  EXPECT_EQ(cluster[0].watch().oldest_call_ns, 0);
}

TEST(Watching, WhatWaitsForAPeerIsCounted) {
  ClusterOptions options = open_to_all();
  Cluster cluster(2, std::move(options));
  cluster.outsiders = true;
  const InstanceId gone = cluster.id(1);
  cluster.messengers[1].reset();
  auto lost = cluster[0].unary("echo").instance(gone).timeout(1s).send();
  const NodeWatch watch = cluster[0].watch();
  ASSERT_EQ(watch.peers.size(), 1u);
  EXPECT_EQ(watch.peers[0].queued_sends, 1u);
  EXPECT_TRUE(watch.peers[0].transports.empty());
  EXPECT_FALSE(cluster.wait(std::move(lost)));
}

TEST(Watching, TimesASampleOfCallsOnBothSides) {
  Cluster cluster(2, open_to_all());
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  for (std::uint64_t i = 0; i < 4 * limits::timed_one_in; ++i) {
    ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  }
  const auto count = [](const LatencyBuckets& buckets) {
    std::uint64_t all = 0;
    for (const LatencyBucket& bucket : buckets) all += bucket.count;
    return all;
  };
  const NodeWatch caller = cluster[0].watch();
  const NodeWatch served = cluster[1].watch();
  EXPECT_GE(count(caller.calls), 2u);
  EXPECT_LE(count(caller.calls), 8u);
  EXPECT_EQ(count(served.requests), count(caller.calls)) << "the same calls";
  EXPECT_GT(latency_percentile(caller.calls, 50), Duration(0));
  EXPECT_GE(latency_percentile(caller.calls, 99), latency_percentile(caller.calls, 50));
}

TEST(Watching, LatenciesAreOfTheIntervalLookedAt) {
  LatencySamples samples;
  samples.record(10us);
  samples.record(-1s);
  const LatencyBuckets before = samples.counts();
  for (int i = 0; i < 99; ++i) samples.record(1ms);
  samples.record(1h);
  const LatencyBuckets fresh = latencies_since(before, samples.counts());
  EXPECT_GE(latency_percentile(fresh, 50), Duration(1ms));
  EXPECT_LE(latency_percentile(fresh, 99), Duration(1250us));
  EXPECT_EQ(latency_percentile(fresh, 100), Duration(INT64_MAX)) << "longer than all buckets";
  EXPECT_EQ(latency_percentile(before, 1), Duration(255));
  EXPECT_EQ(latency_percentile({}, 50), Duration(0));
  EXPECT_EQ(latencies_since({}, before), before);
  EXPECT_TRUE(latencies_since(before, before).empty());
}

TEST(Watching, IsForThisHostUnlessARuleSaysMore) {
  Cluster cluster(2);
  const auto watched = cluster.wait(cluster[0].watch_of(cluster.id(1)));
  ASSERT_FALSE(watched);
  EXPECT_TRUE(watched.error().is(Errc::permission_denied)) << watched.error().to_string();
  const auto drained = cluster.wait(cluster[0].drain_peer(cluster.id(1)));
  ASSERT_FALSE(drained);
  EXPECT_TRUE(drained.error().is(Errc::permission_denied)) << drained.error().to_string();
  EXPECT_EQ(cluster[1].drain_state().phase, DrainPhase::serving);
}

TEST(RemoteDrain, WaitsForWhatRunsAndSaysHowItWent) {
  Gate gate;
  Cluster cluster(2, open_to_all());
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto running = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto closed = cluster[1].closed();
  auto drain = cluster[0].drain_peer(cluster.id(1));
  ASSERT_TRUE(
      cluster.until([&] { return cluster[1].drain_state().phase == DrainPhase::draining; }));
  const auto watched = cluster.wait(cluster[0].watch_of(cluster.id(1)));
  ASSERT_TRUE(watched) << "it can be watched meanwhile";
  EXPECT_EQ(watched->phase, "draining");
  const auto twice = cluster.wait(cluster[0].drain_peer(cluster.id(1)));
  ASSERT_FALSE(twice);
  EXPECT_TRUE(twice.error().is(velo::Errc::already_exists)) << twice.error().to_string();
  EXPECT_FALSE(drain.done());
  gate.open();
  EXPECT_TRUE(cluster.wait(std::move(running)));
  const auto report = cluster.wait(std::move(drain));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->in_time);
  EXPECT_EQ(report->running, 0u);
  EXPECT_TRUE(cluster.wait(std::move(closed)));
  EXPECT_TRUE(cluster.wait(cluster[1].closed())) << "also when it is over";
}

TEST(RemoteDrain, OfAMessengerThatIsDestroyedMeanwhileEndsWithIt) {
  Gate gate;
  Cluster cluster(2, open_to_all());
  cluster.outsiders = true;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto running = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto drain = cluster[0].drain_peer(cluster.id(1));
  ASSERT_TRUE(
      cluster.until([&] { return cluster[1].drain_state().phase == DrainPhase::draining; }));
  const std::weak_ptr<Impl> engine = cluster[1].engine().weak_from_this();
  cluster.messengers[1].reset();
  EXPECT_FALSE(cluster.wait(std::move(drain)));
  EXPECT_FALSE(cluster.wait(std::move(running)));
  gate.open();
  cluster.sim.run_until_quiet(1min);
  EXPECT_TRUE(engine.expired()) << "nobody keeps it alive";
}

TEST(RemoteDrain, IsBoundedAndNamesWhatItCutOff) {
  Gate gate;
  Cluster cluster(2, open_to_all());
  cluster.outsiders = true;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto running = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  ShutdownPolicy policy;
  policy.patience = 2s;
  const TimePoint before = cluster[0].world().clock().now();
  const auto report = cluster.wait(cluster[0].drain_peer(cluster.id(1), policy));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_FALSE(report->in_time);
  EXPECT_EQ(report->running, 1u);
  EXPECT_NE(report->why.find("1 requests were still running"), std::string::npos) << report->why;
  EXPECT_LT(cluster[0].world().clock().now() - before, Duration(3s));
  EXPECT_FALSE(cluster.wait(std::move(running)));
  gate.open();
}

}  // namespace velo::messenger::testing::watching_test
