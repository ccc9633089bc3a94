// SPDX-License-Identifier: Apache-2.0
// What streams say of themselves in the registry that their messenger publishes in.

#include "testing/pair.hpp"

#include <velo/base/metrics.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace velo::streaming::testing::streams_metrics_test {

/// Of one node.
class Reading {
 public:
  Reading(const metrics::Registry& registry, const InstanceId& node)
      : now_(registry.snapshot()), node_(node.to_string()) {}

  std::int64_t of(std::string_view name, metrics::Labels labels = {}) const {
    labels.emplace_back("node", node_);
    const std::string whole = "velo_streaming_" + std::string(name);
    EXPECT_NE(now_.find(whole, labels), nullptr) << whole;
    return now_.value(whole, labels);
  }
  std::int64_t ended(std::string end) const {
    return of("stream_ends_total", {{"end", std::move(end)}});
  }
  std::int64_t done(std::string operation, std::string outcome) const {
    return of("anchor_operations_total",
              {{"operation", std::move(operation)}, {"outcome", std::move(outcome)}});
  }
  const metrics::LatencyCounts& attaching() const {
    const auto* series = now_.find("velo_streaming_anchor_operation_duration_seconds",
                                   {{"node", node_}, {"operation", "attach"}});
    EXPECT_NE(series, nullptr);
    return series->latency;
  }

 private:
  metrics::Snapshot now_;
  std::string node_;
};

TEST(StreamMetrics, SayWhatWasSentAndWhatWaits) {
  metrics::Registry registry;
  StreamCluster cluster(2);
  for (const auto& node : cluster.messengers) ASSERT_TRUE(node->publish_metrics(registry));
  StreamOptions options;
  options.frames = 4;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  EXPECT_EQ(outcome(cluster.wait(cluster.on(1).attach_anchor<int>(anchor.handle()))),
            "streaming.already_attached");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(sender.try_send(i));
  EXPECT_FALSE(sender.try_send(4));
  auto waiting = sender.send(4);
  cluster.sim.run_for(1s);
  {
    const Reading owner(registry, cluster.id(0));
    EXPECT_EQ(owner.of("active_anchors"), 1);
    EXPECT_EQ(owner.done("create", "success"), 1);
    EXPECT_EQ(owner.done("attach", "success"), 1);
    EXPECT_EQ(owner.done("attach", "error"), 1);
    EXPECT_EQ(owner.of("mux_live_slots", {{"direction", "received"}}), 1);
    EXPECT_EQ(owner.of("frames_read_total"), 4);
    EXPECT_GT(owner.of("held_bytes"), 0);
    const Reading producer(registry, cluster.id(1));
    EXPECT_EQ(producer.of("mux_live_slots", {{"direction", "sent"}}), 1);
    EXPECT_EQ(producer.of("frames_written_total"), 4);
    EXPECT_EQ(producer.of("producer_send_backpressure_total"), 1);
    EXPECT_EQ(producer.of("slot_credit_exhausted_total"), 2);
    EXPECT_EQ(producer.of("waiting_sends"), 1);
    EXPECT_GT(producer.of("outstanding_bytes"), 0);
    EXPECT_GT(producer.of("egress_flushes_total"), 0);
    EXPECT_EQ(producer.of("mux_batches_total", {{"direction", "sent"}}),
              owner.of("mux_batches_total", {{"direction", "received"}}));
    EXPECT_EQ(producer.attaching().count, 2U);
  }
  auto finalized = sender.finalize();
  EXPECT_EQ(cluster.rest(anchor), numbers(0, 5, "finalized"));
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
  cluster.sim.run_for(1s);
  const Reading owner(registry, cluster.id(0));
  EXPECT_EQ(owner.ended("finalized"), 1);
  EXPECT_EQ(owner.of("active_anchors"), 0);
  EXPECT_EQ(owner.of("held_bytes"), 0);
  const Reading producer(registry, cluster.id(1));
  EXPECT_EQ(producer.of("waiting_sends"), 0);
  EXPECT_EQ(producer.of("outstanding_bytes"), 0);
}

TEST(StreamMetrics, SayHowStreamsEnd) {
  metrics::Registry registry;
  StreamCluster cluster(2);
  cluster.outsiders = true;
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  auto detaching = cluster.anchor(0);
  auto first = cluster.sender(1, detaching.handle());
  auto detached = first.detach();
  EXPECT_EQ(cluster.next(detaching), "detached");
  {
    auto dropped = cluster.sender(1, detaching.handle());
  }
  EXPECT_EQ(cluster.next(detaching), "streaming.sender_dropped");
  auto cancelled = cluster.anchor(0);
  auto unwanted = cluster.sender(1, cancelled.handle());
  cluster.sim.run_for(1s);
  cancelled.cancel();
  auto lost = cluster.anchor(0);
  auto gone = cluster.sender(1, lost.handle());
  cluster.sim.run_for(1s);
  cluster.sim.crash(cluster.sim.node(1), sim::CrashKind::power);
  EXPECT_EQ(cluster.next(lost), "streaming.transport_error");
  const Reading owner(registry, cluster.id(0));
  EXPECT_EQ(owner.ended("detached"), 1);
  EXPECT_EQ(owner.ended("dropped"), 1);
  EXPECT_EQ(owner.ended("cancelled"), 1);
  EXPECT_EQ(owner.ended("lost"), 1);
  EXPECT_EQ(owner.ended("finalized"), 0);
  EXPECT_EQ(owner.of("heartbeat_watchdog_firings_total"), 1);
  EXPECT_EQ(owner.of("mux_epoch_deaths_total"), 1);
  EXPECT_EQ(owner.of("mux_batch_seq_gaps_total"), 0);
  EXPECT_EQ(owner.of("mux_records_dropped_total", {{"reason", "protocol_error"}}), 0);
}

TEST(StreamMetrics, WhatWasCountedOutlivesThePeer) {
  metrics::Registry registry;
  StreamCluster cluster(2);
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  auto finalized = sender.finalize();
  EXPECT_EQ(cluster.rest(anchor), numbers(1, 1, "finalized"));
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
  cluster.sim.run_for(1s);
  const std::int64_t before = Reading(registry, cluster.id(0)).of("frames_read_total");
  EXPECT_EQ(before, 2);
  EXPECT_TRUE(cluster.wait(cluster[1].shutdown()));
  cluster.sim.run_for(1min);
  EXPECT_EQ(Reading(registry, cluster.id(0)).of("frames_read_total"), before);
}

TEST(StreamMetrics, ComeWhenStreamsDoAndGoWithTheMessenger) {
  metrics::Registry registry;
  Cluster nodes(1);
  ASSERT_TRUE(nodes[0].publish_metrics(registry));
  const InstanceId id = nodes.id(0);
  auto streams = Streams::of(nodes[0]);
  ASSERT_TRUE(streams);
  EXPECT_EQ(Reading(registry, id).of("active_anchors"), 0);
  nodes.messengers[0].reset();
  EXPECT_EQ(registry.snapshot().find("velo_streaming_active_anchors", {{"node", id.to_string()}}),
            nullptr);
}

}  // namespace velo::streaming::testing::streams_metrics_test
