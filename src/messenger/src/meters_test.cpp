// SPDX-License-Identifier: Apache-2.0
// What handlers and transports did, and how full a messenger is, as metrics.

#include "testing/cluster.hpp"

#include <velo/base/metrics.hpp>

namespace velo::messenger::testing::meters_test {

class Meters : public ::testing::Test {
 protected:
  std::int64_t counted(const char* name, const metrics::Labels& labels) const {
    return registry.snapshot().value(name, labels);
  }
  std::int64_t served(const char* name, metrics::Labels labels) {
    labels.emplace_back("node", cluster.id(1).to_string());
    return counted(name, labels);
  }
  Result<Bytes> call(const char* handler, std::size_t bytes = 3) {
    return cluster.wait(cluster[0]
                            .unary(handler)
                            .raw_payload(std::string(bytes, 'x'))
                            .instance(cluster.id(1))
                            .send());
  }

  metrics::Registry registry;
  Cluster cluster{2};
};

TEST_F(Meters, CountHandlersByNameAndOutcome) {
  ASSERT_TRUE(cluster[1].register_handler(echo("before")));
  ASSERT_TRUE(call("before")) << "not counted yet";
  ASSERT_TRUE(cluster[1].publish_metrics(registry));
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("after", [](Context&) -> Result<Bytes> {
                                    return make_error(Errc::failed, "no");
                                  }).build()));
  ASSERT_TRUE(call("before"));
  ASSERT_TRUE(call("before"));
  ASSERT_FALSE(call("after"));
  constexpr const char* requests = "velo_messenger_handler_requests_total";
  EXPECT_EQ(counted(requests, {{"handler", "before"}, {"outcome", "success"}}), 2);
  EXPECT_EQ(counted(requests, {{"handler", "before"}, {"outcome", "error"}}), 0);
  EXPECT_EQ(counted(requests, {{"handler", "after"}, {"outcome", "error"}}), 1);
  EXPECT_EQ(counted("velo_messenger_handler_request_bytes_total", {{"handler", "before"}}), 6);
  EXPECT_EQ(counted("velo_messenger_handler_response_bytes_total", {{"handler", "before"}}), 6);
  const metrics::Snapshot snapshot = registry.snapshot();
  const auto* duration =
      snapshot.find("velo_messenger_handler_duration_seconds", {{"handler", "before"}});
  ASSERT_NE(duration, nullptr);
  EXPECT_EQ(duration->latency.count, 2u);
}

TEST_F(Meters, AHandlerThatIsWaitedForTellsHowLong) {
  Gate gate;
  ASSERT_TRUE(cluster[1].publish_metrics(registry));
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler_async(
          "wait", [&gate](Context context) { return wait_at(std::move(context), &gate); })
          .ordered()
          .build()));
  auto first = cluster[0].unary("wait").instance(cluster.id(1)).send();
  auto second = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  EXPECT_FALSE(cluster.sim.run_until([] { return false; }, 2s));
  EXPECT_EQ(served("velo_messenger_ordered_lanes", {}), 1);
  EXPECT_EQ(served("velo_messenger_ordered_lane_depth", {}), 1);
  EXPECT_EQ(served("velo_messenger_handler_in_flight", {}), 2);
  EXPECT_GE(served("velo_messenger_oldest_request_seconds", {}), 2);
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(first)));
  ASSERT_TRUE(cluster.wait(std::move(second)));
  const metrics::Snapshot snapshot = registry.snapshot();
  const metrics::Labels labels = {{"handler", "wait"}};
  const auto* waited = snapshot.find("velo_messenger_ordered_lane_wait_seconds", labels);
  const auto* duration = snapshot.find("velo_messenger_handler_duration_seconds", labels);
  ASSERT_NE(waited, nullptr);
  ASSERT_NE(duration, nullptr);
  EXPECT_EQ(waited->latency.count, 2u);
  EXPECT_GE(waited->latency.sum, Duration(2s)) << "the second waited for the first";
  EXPECT_EQ(duration->latency.count, 2u);
  EXPECT_LT(duration->latency.sum, Duration(4s));
}

TEST_F(Meters, CountFramesOfEachTransport) {
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(call("echo")) << "the connection is there before anybody counts";
  ASSERT_TRUE(cluster[1].publish_metrics(registry));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(call("echo", 1000));
  const auto frames = [&](const char* direction, const char* type) {
    return counted("velo_transport_frames_total", {{"transport", "tcp"},
                                                   {"direction", direction},
                                                   {"message_type", type},
                                                   {"outcome", "success"}});
  };
  EXPECT_EQ(frames("inbound", "message"), 3);
  EXPECT_EQ(frames("outbound", "response"), 3);
  EXPECT_EQ(frames("outbound", "message"), 0);
  EXPECT_GT(
      counted("velo_transport_frame_bytes_total", {{"transport", "tcp"}, {"direction", "inbound"}}),
      3000);
  EXPECT_EQ(served("velo_transport_active_connections", {{"transport", "tcp"}}), 1);
  EXPECT_EQ(served("velo_transport_registered_peers", {}), 1);
}

TEST_F(Meters, CallsThatWaitAreSeenAndWithdrawnMetricsAreGone) {
  Gate gate;
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto call = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  const metrics::Labels labels = {{"node", cluster.id(0).to_string()}};
  EXPECT_EQ(registry.snapshot().value("velo_messenger_pending_responses", labels), 1);
  gate.open();
  ASSERT_TRUE(cluster.wait(std::move(call)));
  EXPECT_EQ(registry.snapshot().value("velo_messenger_pending_responses", labels), 0);
  cluster.sim.run_until_quiet(1min);
  cluster.messengers[0].reset();
  EXPECT_EQ(registry.snapshot().find("velo_messenger_pending_responses", labels), nullptr);
}

}  // namespace velo::messenger::testing::meters_test
