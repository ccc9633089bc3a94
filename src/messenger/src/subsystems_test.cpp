// SPDX-License-Identifier: Apache-2.0
// Rooms above the messenger: their handlers, what they hear of peers, and their say in a drain.

#include "testing/cluster.hpp"

#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velo::messenger::subsystems_test {

using testing::Cluster;
using testing::ClusterOptions;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Recorder final : Subsystem {
  std::string_view name() const noexcept override { return called; }
  void on_peer_up(const InstanceId& peer) override { heard.push_back("up " + peer.to_string()); }
  void on_peer_down(const InstanceId& peer, const Error& /*why*/) override {
    heard.push_back("down " + peer.to_string());
  }
  void on_peer_replaced(const InstanceId& peer) override {
    heard.push_back("replaced " + peer.to_string());
  }
  void on_drain() override { heard.emplace_back("drain"); }
  std::uint64_t unfinished() const noexcept override { return left; }
  void on_stop(const Error& reason) override {
    heard.emplace_back("stop");
    if (farewell) farewell(reason);
  }

  std::string called = "recorder";
  std::vector<std::string> heard;
  std::uint64_t left = 0;
  std::function<void(const Error&)> farewell;
};

static Handler answering(std::string name, std::string_view with) {
  return Handler::unary_handler(std::move(name),
                                [with = std::string(with)](Context&) { return Bytes::copy(with); })
      .inline_()
      .build();
}

static std::vector<Handler> handlers_of(Handler one) {
  std::vector<Handler> all;
  all.push_back(std::move(one));
  return all;
}

static std::shared_ptr<Recorder> attach_to(Messenger& messenger, std::vector<Handler> handlers) {
  auto recorder = std::make_shared<Recorder>();
  const auto attached = attach(messenger, recorder, std::move(handlers));
  EXPECT_TRUE(attached) << attached.error().to_string();
  return recorder;
}

TEST(Subsystems, PeersReachTheirHandlersByReservedNames) {
  Cluster cluster(2);
  (void)attach_to(cluster[1], handlers_of(answering("_event_test", "here")));
  auto reply = cluster.wait(system_unary(cluster[0], "_event_test").send_to(cluster.id(1)));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(as_text(reply->span()), "here");
}

TEST(Subsystems, WhatTheySendIsInNobodysBooks) {
  Cluster cluster(2);
  (void)attach_to(cluster[1], handlers_of(answering("_event_test", "here")));
  ASSERT_TRUE(cluster.wait(system_unary(cluster[0], "_event_test").send_to(cluster.id(1))));
  EXPECT_EQ(cluster[0].books().unary.sent, 0u);
  EXPECT_EQ(cluster[1].books().received.requests, 0u);
}

TEST(Subsystems, HandlersAreAddedAllOrNone) {
  Cluster cluster(1);
  std::vector<Handler> two;
  two.push_back(answering("_one", "1"));
  two.push_back(answering("_hello", "2"));
  const auto attached = attach(cluster[0], std::make_shared<Recorder>(), std::move(two));
  ASSERT_FALSE(attached);
  EXPECT_TRUE(attached.error().is(Errc::duplicate_handler)) << attached.error().to_string();
  EXPECT_EQ(subsystem_of(cluster[0], "recorder"), nullptr);
  (void)attach_to(cluster[0], handlers_of(answering("_one", "1")));
}

TEST(Subsystems, TheirHandlersHaveReservedNamesOnly) {
  Cluster cluster(1);
  const auto attached =
      attach(cluster[0], std::make_shared<Recorder>(), handlers_of(answering("mine", "1")));
  ASSERT_FALSE(attached);
  EXPECT_TRUE(attached.error().is(Errc::reserved_name)) << attached.error().to_string();
}

TEST(Subsystems, ThereIsOneOfAName) {
  Cluster cluster(1);
  const auto first = attach_to(cluster[0], {});
  const auto again = attach(cluster[0], std::make_shared<Recorder>(), {});
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(velo::Errc::already_exists)) << again.error().to_string();
  EXPECT_EQ(subsystem_of(cluster[0], "recorder"), first);
}

TEST(Subsystems, BothSidesHearThatAPeerComesAndGoes) {
  Cluster cluster(2);
  const auto here = attach_to(cluster[0], {});
  const auto there = attach_to(cluster[1], handlers_of(answering("_event_test", "")));
  const std::string other = cluster.id(1).to_string();
  const std::string own = cluster.id(0).to_string();
  ASSERT_TRUE(cluster.wait(system_unary(cluster[0], "_event_test").send_to(cluster.id(1))));
  ASSERT_TRUE(cluster.until([&] { return !there->heard.empty(); }));
  EXPECT_EQ(here->heard, std::vector<std::string>({"up " + other}));
  EXPECT_EQ(there->heard, std::vector<std::string>({"up " + own}));
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  ASSERT_TRUE(cluster.until([&] { return there->heard.size() == 2 && here->heard.size() == 2; }));
  EXPECT_EQ(here->heard.back(), "down " + other);
  EXPECT_EQ(there->heard.back(), "down " + own);
}

TEST(Subsystems, ARunWhosePlaceAnotherTookIsSaidToBeGone) {
  ClusterOptions options;
  options.setup = [](sim::SimNode& node, std::size_t, testing::NodeSetup& setup) {
    transport::TcpOptions tcp = testing::tcp_of(node);
    tcp.bind = node.endpoint(7000);
    setup.transport = transport::make_tcp(std::move(tcp));
  };
  Cluster cluster(2, std::move(options));
  cluster.outsiders = true;
  const auto recorder = attach_to(cluster[0], {});
  (void)attach_to(cluster[1], handlers_of(answering("_event_test", "")));
  const InstanceId earlier = cluster.id(1);
  EXPECT_TRUE(cluster.wait(system_unary(cluster[0], "_event_test").send_to(earlier)));
  cluster.sim.crash(cluster.sim.node(1));
  cluster.messengers[1] = nullptr;
  cluster.messengers[1] = cluster.build(cluster.sim.restart(cluster.sim.node(1)), 1);
  ASSERT_TRUE(cluster.until([&] { return recorder->heard.size() == 2; }));
  EXPECT_FALSE(cluster.wait(system_unary(cluster[0], "_event_test").send_to(earlier)));
  const std::string name = earlier.to_string();
  ASSERT_TRUE(cluster.until([&] { return recorder->heard.size() >= 3; }));
  recorder->heard.resize(3);
  EXPECT_EQ(recorder->heard,
            std::vector<std::string>({"up " + name, "down " + name, "replaced " + name}));
}

TEST(Subsystems, OneConnectionOfSeveralIsNotThePeer) {
  Cluster cluster(2);
  const auto here = attach_to(cluster[0], handlers_of(answering("_event_a", "")));
  (void)attach_to(cluster[1], handlers_of(answering("_event_b", "")));
  // Each dials the other: two connections.
  ASSERT_TRUE(cluster.wait(system_unary(cluster[0], "_event_b").send_to(cluster.id(1))));
  ASSERT_TRUE(cluster.wait(system_unary(cluster[1], "_event_a").send_to(cluster.id(0))));
  ASSERT_TRUE(cluster[0].unregister_peer(cluster.id(1)));
  cluster.sim.run_until_quiet(1s);
  EXPECT_EQ(here->heard, std::vector<std::string>({"up " + cluster.id(1).to_string()}));
}

TEST(Subsystems, WhoComesLateHearsOfThePeersThatAreUp) {
  Cluster cluster(2);
  (void)attach_to(cluster[1], handlers_of(answering("_event_test", "")));
  ASSERT_TRUE(cluster.wait(system_unary(cluster[0], "_event_test").send_to(cluster.id(1))));
  const auto late = attach_to(cluster[0], {});
  ASSERT_TRUE(cluster.until([&] { return !late->heard.empty(); }));
  EXPECT_EQ(late->heard.front(), "up " + cluster.id(1).to_string());
}

TEST(Subsystems, ADrainWaitsForWhatTheyHaveLeft) {
  Cluster cluster(1);
  const auto recorder = attach_to(cluster[0], {});
  recorder->left = 2;
  auto closed = cluster[0].shutdown(ShutdownPolicy(10s));
  EXPECT_FALSE(cluster.sim.run_until([&] { return closed.done(); }, 5s));
  EXPECT_EQ(cluster[0].drain_state().subsystems, 2u);
  EXPECT_EQ(recorder->heard, std::vector<std::string>({"drain"}));
  recorder->left = 0;
  EXPECT_TRUE(cluster.wait(std::move(closed)));
  EXPECT_EQ(recorder->heard, std::vector<std::string>({"drain", "stop"}));
}

TEST(Subsystems, ADrainThatRunsOutOfPatienceSaysWhatWasLeft) {
  Cluster cluster(1);
  const auto recorder = attach_to(cluster[0], {});
  recorder->left = 3;
  const auto closed = cluster.wait(cluster[0].shutdown(ShutdownPolicy(1s)));
  ASSERT_FALSE(closed);
  EXPECT_TRUE(closed.error().is(velo::Errc::deadline_exceeded));
  EXPECT_NE(closed.error().context().find("3 of streams"), std::string::npos)
      << closed.error().context();
}

TEST(Subsystems, ALastMessageOfTheEndStillArrives) {
  Cluster cluster(2);
  const auto leaving = attach_to(cluster[0], {});
  std::string heard;
  (void)attach_to(
      cluster[1],
      handlers_of(Handler::am_handler("_event_bye",
                                      [&](Context& context) { heard = as_text(context.payload()); })
                      .inline_()
                      .build()));
  ASSERT_TRUE(cluster.wait(cluster[0].refresh_handlers(cluster.id(1))));
  leaving->farewell = [&](const Error&) {
    system_fire(cluster[0], "_event_bye")
        .raw_payload("bye")
        .send_to(cluster.id(1))
        .then(cluster[0].world().pool(), [](const Result<void>&) {});
  };
  EXPECT_TRUE(cluster.wait(cluster[0].shutdown()));
  EXPECT_TRUE(cluster.until([&] { return heard == "bye"; }));
}

TEST(Subsystems, NoneIsAttachedAfterTheEnd) {
  Cluster cluster(1);
  ASSERT_TRUE(cluster.wait(cluster[0].shutdown()));
  const auto attached = attach(cluster[0], std::make_shared<Recorder>(), {});
  ASSERT_FALSE(attached);
  EXPECT_TRUE(attached.error().is(velo::Errc::shutting_down)) << attached.error().to_string();
}

}  // namespace velo::messenger::subsystems_test
