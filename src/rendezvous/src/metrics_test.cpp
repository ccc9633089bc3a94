// SPDX-License-Identifier: Apache-2.0
// What large data says of itself in the registry that its messenger publishes in.

#include "testing.hpp"

#include <velo/base/metrics.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace velo::rendezvous::testing::rendezvous_metrics_test {

constexpr std::size_t large = (std::size_t{3} << 20) + 11;

/// Of one node.
class Reading {
 public:
  Reading(metrics::Registry& registry, const InstanceId& node)
      : now_(registry.snapshot()), node_(node.to_string()) {}

  std::int64_t ended(std::string operation, std::string outcome) const {
    return now_.value(
        "velo_rendezvous_operations_total",
        {{"node", node_}, {"operation", std::move(operation)}, {"outcome", std::move(outcome)}});
  }
  std::int64_t bytes(std::string direction) const {
    return now_.value("velo_rendezvous_bytes_total",
                      {{"node", node_}, {"direction", std::move(direction)}});
  }
  std::int64_t gauge(std::string_view name) const { return now_.value(name, {{"node", node_}}); }
  const metrics::LatencyCounts& took() const {
    const auto* series = now_.find("velo_rendezvous_operation_duration_seconds",
                                   {{"node", node_}, {"operation", "get"}});
    EXPECT_NE(series, nullptr);
    return series->latency;
  }

 private:
  metrics::Snapshot now_;
  std::string node_;
};

TEST(RendezvousMetrics, SayWhatWasReadAndWhatIsRegistered) {
  metrics::Registry registry;
  DataCluster cluster(2);
  for (const auto& node : cluster.nodes.messengers) ASSERT_TRUE(node->publish_metrics(registry));
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  const auto got = cluster.nodes.wait(cluster.data[1].get(*handle));
  ASSERT_TRUE(got);
  {
    const Reading owner(registry, cluster.nodes.id(0));
    EXPECT_EQ(owner.ended("register", "success"), 1);
    EXPECT_EQ(owner.ended("acquire", "success"), 1);
    EXPECT_EQ(owner.ended("pull", "success"), 7);
    EXPECT_EQ(owner.bytes("sent"), static_cast<std::int64_t>(large));
    EXPECT_EQ(owner.bytes("received"), 0);
    EXPECT_EQ(owner.gauge("velo_rendezvous_active_slots"), 1);
    EXPECT_EQ(owner.gauge("velo_rendezvous_active_leases"), 1);
    EXPECT_EQ(owner.gauge("velo_rendezvous_registered_bytes"), static_cast<std::int64_t>(large));
  }
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].release(*handle, got->lease)));
  EXPECT_FALSE(cluster.nodes.wait(cluster.data[1].get(*handle)));
  EXPECT_FALSE(cluster.nodes.wait(cluster.data[1].ref_handle(*handle)));
  const Reading owner(registry, cluster.nodes.id(0));
  EXPECT_EQ(owner.ended("release", "success"), 1);
  EXPECT_EQ(owner.ended("acquire", "error"), 1);
  EXPECT_EQ(owner.ended("ref", "error"), 1);
  EXPECT_EQ(owner.gauge("velo_rendezvous_active_slots"), 0);
  EXPECT_EQ(owner.gauge("velo_rendezvous_active_leases"), 0);
  const Reading reader(registry, cluster.nodes.id(1));
  EXPECT_EQ(reader.ended("get", "success"), 1);
  EXPECT_EQ(reader.ended("get", "error"), 1);
  EXPECT_EQ(reader.bytes("received"), static_cast<std::int64_t>(large));
  EXPECT_EQ(reader.took().count, 2U);
  EXPECT_GT(reader.took().sum, Duration::zero());
  EXPECT_EQ(reader.gauge("velo_rendezvous_active_transfers"), 0);
}

TEST(RendezvousMetrics, ArePublishedByWhoIsAttachedLaterAndGoWithTheMessenger) {
  metrics::Registry registry;
  Cluster nodes(1);
  ASSERT_TRUE(nodes[0].publish_metrics(registry));
  const InstanceId id = nodes.id(0);
  auto data = Rendezvous::attach(nodes[0]);
  ASSERT_TRUE(data);
  ASSERT_TRUE(data->register_data(Bytes::copy("x")));
  EXPECT_EQ(Reading(registry, id).gauge("velo_rendezvous_active_slots"), 1);
  nodes.messengers[0].reset();
  const metrics::Snapshot after = registry.snapshot();
  EXPECT_EQ(after.find("velo_rendezvous_active_slots", {{"node", id.to_string()}}), nullptr);
}

}  // namespace velo::rendezvous::testing::rendezvous_metrics_test
