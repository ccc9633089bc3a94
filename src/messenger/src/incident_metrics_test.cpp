// SPDX-License-Identifier: Apache-2.0
// Why requests did not get as far as an answer, and how sends found their way, as metrics.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

#include <velo/base/metrics.hpp>
#include <velo/discovery/backends/static.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace velo::messenger::testing::incident_metrics_test {

struct Body {
  std::uint32_t number = 0;
};
VELO_DESCRIBE(Body, number);

class Incidents : public ::testing::Test {
 protected:
  explicit Incidents(ClusterOptions options = ClusterOptions()) : cluster(2, std::move(options)) {
    for (auto& each : cluster.messengers) EXPECT_TRUE(each->publish_metrics(registry));
  }
  std::int64_t failures(const char* stage, const char* reason) const {
    return registry.snapshot().value(
        "velo_messenger_dispatch_failures_total",
        {{"node", cluster.id(1).to_string()}, {"stage", stage}, {"reason", reason}});
  }
  std::int64_t resolutions(const char* path, const char* outcome) const {
    return registry.snapshot().value(
        "velo_messenger_client_resolution_total",
        {{"node", cluster.id(0).to_string()}, {"path", path}, {"outcome", outcome}});
  }
  std::int64_t rejections(const char* reason) const {
    return registry.snapshot().value("velo_transport_rejections_total",
                                     {{"transport", "tcp"}, {"reason", reason}});
  }
  std::string call(const char* handler, std::string payload = "x") {
    return outcome(cluster.wait(
        cluster[0].unary(handler).raw_payload(std::move(payload)).instance(cluster.id(1)).send()));
  }

  metrics::Registry registry;
  Cluster cluster;
};

TEST_F(Incidents, ARequestForNoHandlerIsCounted) {
  EXPECT_EQ(failures("dispatch", "unknown_handler"), 0);
  EXPECT_EQ(call("nowhere"), "messenger.unknown_handler");
  EXPECT_EQ(failures("dispatch", "unknown_handler"), 1);
}

TEST_F(Incidents, HandlersThatThrowAreCountedTheOrderedOnesApart) {
  const auto throwing = [](Context&) -> Result<Bytes> { throw std::runtime_error("no"); };
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("plain", throwing).inline_().build()));
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("ordered", throwing).ordered().build()));
  EXPECT_EQ(call("plain"), "messenger.handler_threw");
  EXPECT_EQ(call("ordered"), "messenger.handler_threw");
  EXPECT_EQ(call("ordered"), "messenger.handler_threw");
  EXPECT_EQ(failures("dispatch", "handler_panic"), 1);
  EXPECT_EQ(failures("dispatch", "ordered_handler_panic"), 2);
}

TEST_F(Incidents, APayloadThatTheHandlerCannotReadIsCounted) {
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::typed_unary("typed", [](TypedContext<Body>& context) {
                                    return context.input;
                                  }).build()));
  EXPECT_EQ(call("typed", "\xc1"), "messenger.bad_request");
  EXPECT_EQ(failures("deserialize", "typed_input"), 1);
}

TEST_F(Incidents, WhatALaneHasNoRoomForIsCounted) {
  Gate gate;
  OrderedConfig one;
  one.max_queue_depth = 1;
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler_async(
          "wait", [&gate](Context context) { return wait_at(std::move(context), &gate); })
          .ordered_with(one)
          .build()));
  const auto begin = [&] { return cluster[0].unary("wait").instance(cluster.id(1)).send(); };
  auto runs = begin();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto waits = begin();
  EXPECT_EQ(call("wait"), "messenger.overloaded");
  EXPECT_EQ(failures("dispatch", "ordered_lane_shed"), 1);
  gate.open();
  EXPECT_TRUE(cluster.wait(std::move(runs)));
  EXPECT_TRUE(cluster.wait(std::move(waits)));
  EXPECT_EQ(registry.snapshot().value("velo_messenger_ordered_lanes_created_total",
                                      {{"handler", "wait"}}),
            1);
}

TEST_F(Incidents, LanesAreCountedWhenTheyBeginAlsoAfterTheyWereForgotten) {
  OrderedConfig brief;
  brief.idle_lane_ttl = 1s;
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("lanes", [](Context&) { return Bytes(); })
                                      .ordered_with(brief)
                                      .build()));
  const auto created = [&] {
    return registry.snapshot().value("velo_messenger_ordered_lanes_created_total",
                                     {{"handler", "lanes"}});
  };
  EXPECT_EQ(created(), 0);
  EXPECT_EQ(call("lanes"), "ok");
  EXPECT_EQ(call("lanes"), "ok");
  EXPECT_EQ(created(), 1);
  cluster.sim.run_for(1min);
  EXPECT_EQ(call("lanes"), "ok");
  EXPECT_EQ(created(), 2);
}

TEST_F(Incidents, WhatIsNoMessageIsCountedHereAndAtTheTransport) {
  RawPeer raw(cluster);
  auto& end = raw.dial(cluster[1]);
  end.greet(raw.info, local_offer(raw.info.worker_id().value()));
  (void)raw.next(end);
  end.send(transport::FrameType::message, as_bytes(std::string_view("no header")));
  ASSERT_TRUE(cluster.until([&] { return end.over(); }));
  EXPECT_EQ(failures("decode", "active_message"), 1);
  EXPECT_EQ(rejections("decode_error"), 1);
  auto& other = raw.dial(cluster[1]);
  other.send_bytes(std::string(64, '\xff'));
  ASSERT_TRUE(cluster.until([&] { return other.over(); }));
  EXPECT_EQ(failures("decode", "active_message"), 1) << "there was no frame";
  EXPECT_EQ(rejections("decode_error"), 2);
}

TEST_F(Incidents, AReplyThatIsTooLargeIsCounted) {
  RawPeer raw(cluster);
  ASSERT_TRUE(cluster[1].register_handler(
      Handler::unary_handler("large", [](Context&) { return Bytes::copy(std::string(5'000, 'l')); })
          .inline_()
          .build()));
  Offer offer = local_offer(raw.info.worker_id().value());
  offer.frame_bytes_max = 1'000;
  auto& end = raw.dial(cluster[1]);
  end.greet(raw.info, offer);
  (void)raw.next(end);
  end.send(transport::FrameType::message,
           request_header(protocol::ResponseType::unary, raw.id(1), "large"));
  EXPECT_NE(raw.next(end).response().outcome, 0);
  EXPECT_EQ(failures("response_send", "unary"), 1);
  EXPECT_EQ(failures("response_send", "unary_error"), 0);
}

TEST_F(Incidents, SendsFindTheirWayByAGreetingAndThenDirectly) {
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  EXPECT_EQ(resolutions("direct", "success"), 0);
  EXPECT_EQ(call("echo"), "ok");
  EXPECT_EQ(resolutions("handshake", "attempt"), 1);
  EXPECT_EQ(resolutions("handshake", "success"), 1);
  EXPECT_EQ(resolutions("direct", "success"), 0) << "it waited for the greeting";
  EXPECT_EQ(call("echo"), "ok");
  EXPECT_EQ(call("echo"), "ok");
  EXPECT_EQ(resolutions("direct", "success"), 2);
  EXPECT_EQ(resolutions("handshake", "attempt"), 1);
  EXPECT_EQ(resolutions("handshake", "error"), 0);
}

TEST_F(Incidents, AGreetingThatFailsIsCounted) {
  RawPeer raw(cluster);
  ASSERT_TRUE(cluster[0].register_peer(raw.info));
  auto sent = cluster[0].unary("echo").instance(raw.info.instance_id).timeout(20s).send();
  raw.wait_accepted().close();
  ASSERT_TRUE(cluster.until([&] { return resolutions("handshake", "error") >= 1; }));
  EXPECT_FALSE(cluster.wait(std::move(sent)));
  EXPECT_EQ(resolutions("handshake", "success"), 0);
  EXPECT_EQ(resolutions("direct", "success"), 0);
}

TEST_F(Incidents, RequestsThatADrainTurnsAwayAreCounted) {
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(gated("wait", gate)));
  auto runs = cluster[0].unary("wait").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  auto drained = cluster[1].shutdown();
  EXPECT_EQ(call("wait"), "messenger.shutting_down");
  EXPECT_EQ(rejections("drain_rejected"), 1);
  EXPECT_EQ(rejections("send_error"), 0);
  gate.open();
  EXPECT_TRUE(cluster.wait(std::move(runs)));
  EXPECT_TRUE(cluster.wait(std::move(drained)));
}

TEST(IncidentsOfDiscovery, WhomItFindsAndWhomNotIsCounted) {
  metrics::Registry registry;
  std::shared_ptr<discovery::StaticDiscovery> everybody;
  ClusterOptions options;
  options.introduced = false;
  options.setup = [&everybody](sim::SimNode& node, std::size_t, NodeSetup& setup) {
    if (!everybody) everybody = std::move(*discovery::StaticDiscovery::create(node.pool()));
    setup.discovery = everybody;
  };
  Cluster cluster(2, std::move(options));
  cluster.sim.run_for(1s);
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  const auto resolutions = [&](const char* result) {
    return registry.snapshot().value(
        "velo_messenger_client_resolution_total",
        {{"node", cluster.id(0).to_string()}, {"path", "discovery"}, {"outcome", result}});
  };
  EXPECT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  EXPECT_EQ(resolutions("success"), 1);
  EXPECT_EQ(resolutions("error"), 0);
  const InstanceId nobody = InstanceId::random(cluster.sim.random());
  EXPECT_FALSE(cluster.wait(cluster[0].unary("echo").instance(nobody).timeout(1s).send()));
  EXPECT_EQ(resolutions("success"), 1);
  EXPECT_GE(resolutions("error"), 1);
}

}  // namespace velo::messenger::testing::incident_metrics_test
