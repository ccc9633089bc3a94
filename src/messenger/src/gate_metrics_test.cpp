// SPDX-License-Identifier: Apache-2.0
// Whom a listener let in and whom not, as metrics.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/base/metrics.hpp>

namespace velo::messenger::gate_metrics_test {

using metrics::Registry;
using testing::Cluster;
using testing::ClusterOptions;
using testing::NodeSetup;
using testing::RawPeer;

TEST(GateMetrics, TellWhoWasLetInAndWhoWasRefusedAndWhy) {
  ClusterOptions options;
  options.setup = [](sim::SimNode& node, std::size_t, NodeSetup& setup) {
    transport::TcpOptions tcp = testing::tcp_of(node);
    tcp.gate.connections_max = 3;
    setup.transport = transport::make_tcp(std::move(tcp));
  };
  Registry registry;
  Cluster cluster(1, options);
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  const metrics::Labels here{{"node", cluster.id(0).to_string()}, {"transport", "tcp"}};
  const auto value = [&](std::string_view name, std::string_view reason = {}) {
    metrics::Labels labels = here;
    if (!reason.empty()) labels.emplace_back("reason", reason);
    const metrics::Snapshot now = registry.snapshot();
    return now.find(name, labels) == nullptr ? -1 : now.value(name, labels);
  };
  EXPECT_EQ(value("velo_gate_refused_total", "connections"), 0);
  EXPECT_EQ(value("velo_gate_refused_total", "memory"), 0);
  RawPeer raw(cluster);
  for (int i = 0; i < 5; ++i) (void)raw.dial(cluster[0]);
  cluster.sim.run_for(std::chrono::seconds(1));
  EXPECT_EQ(value("velo_gate_admitted_total"), 3);
  EXPECT_EQ(value("velo_gate_authenticated_total"), 3);
  EXPECT_EQ(value("velo_gate_connections"), 3);
  EXPECT_EQ(value("velo_gate_unauthenticated"), 0);
  EXPECT_EQ(value("velo_gate_refused_total", "connections"), 2);
  EXPECT_EQ(value("velo_gate_refused_total", "identity"), 0);
}

}  // namespace velo::messenger::gate_metrics_test
