// SPDX-License-Identifier: Apache-2.0
// How streams begin, change hands and end for all of their senders: reservations, attaching that is
// given up or not answered, detaching while items are on their way, cancelling many to one.

#include "testing/pair.hpp"

#include <velo/messenger/subsystem.hpp>
#include <velo/streaming/call.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::streaming::testing::streams_attach_test {

/// Asks for the anchor as a peer does that never opens its stream.
static std::string only_ask(StreamCluster& cluster, std::size_t node,
                            const StreamAnchorHandle& handle) {
  const std::string request = R"({"handle":{"hi":)" + std::to_string(handle.hi) + R"(,"lo":)" +
                              std::to_string(handle.lo) +
                              R"(},"session_id":9,"stream_cancel_handle":{"hi":1,"lo":1},)" +
                              R"("supported_transport_keys":["messenger-mux-v1"],"mux_level":1})";
  const auto answer = cluster.wait(messenger::system_unary(cluster[node], "_anchor_attach")
                                       .raw_payload(request)
                                       .send_to(cluster.id(0)));
  EXPECT_TRUE(answer);
  return answer ? std::string(answer->text()) : std::string();
}

TEST(StreamAttaching, AReservationThatIsNotUsedIsFreeAgainInTime) {
  StreamCluster cluster(3);
  auto anchor = cluster.anchor(0);
  EXPECT_TRUE(only_ask(cluster, 1, anchor.handle()).starts_with(R"({"Ok")"));
  const auto attach = [&] {
    return outcome(cluster.wait(cluster.on(2).attach_anchor<int>(anchor.handle())));
  };
  cluster.sim.run_for(limits::bind_patience / 2);
  EXPECT_EQ(attach(), "streaming.already_attached");
  cluster.sim.run_for(limits::bind_patience / 2 + 1s);
  EXPECT_EQ(anchor.senders(), 0u);
  EXPECT_EQ(attach(), "ok");
}

TEST(StreamAttaching, NobodyIsAttachedWhoOnlyAsked) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.unattached_timeout = 10s;
  auto anchor = cluster.anchor(0, options);
  only_ask(cluster, 1, anchor.handle());
  const TimePoint start = cluster.sim.now();
  EXPECT_EQ(cluster.next(anchor), "streaming.nobody_attached");
  EXPECT_LE(cluster.sim.now() - start, limits::bind_patience + 11s);
}

TEST(StreamAttaching, AnOwnerThatDoesNotAnswerIsWaitedForNoLongerThanTheTimeout) {
  StreamCluster cluster(2);
  cluster.outsiders = true;
  auto anchor = cluster.anchor(0);
  auto other = cluster.anchor(0);
  auto sender = cluster.sender(1, other.handle());
  const TimePoint start = cluster.sim.now();
  cluster.sim.pause(cluster.sim.node(0));
  const auto attached = cluster.wait(cluster.on(1).attach_anchor<int>(anchor.handle()));
  EXPECT_FALSE(attached);
  EXPECT_LE(cluster.sim.now() - start, limits::attach_timeout + 1s);
  cluster.sim.resume(cluster.sim.node(0));
}

TEST(StreamAttaching, WhoIsKnownByItsGreetingOnlyHasAnchorsToo) {
  ClusterOptions options;
  options.introduced = false;
  StreamCluster cluster(2, std::move(options));
  ASSERT_TRUE(cluster[1].register_peer(cluster[0].peer_info()));
  ASSERT_TRUE(cluster.wait(cluster[1].available_handlers(cluster.id(0))));
  auto anchor = cluster.anchor(1);
  auto sender = cluster.sender(0, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
}

TEST(StreamAttaching, OneThatIsGivenUpLeavesADroppedSender) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  {
    auto op = cluster.on(1).attach_anchor<int>(anchor.handle());
  }
  EXPECT_EQ(cluster.next(anchor), "streaming.sender_dropped");
  cluster.sim.run_for(1s);
  EXPECT_EQ(cluster.on(1).counts().streams_out, 0u);
}

TEST(StreamAttaching, ItemsOnTheirWayComeBeforeTheDetachmentAndTheNextSendersAfterIt) {
  StreamCluster cluster(3);
  StreamOptions options;
  options.frames = 8;
  auto anchor = cluster.anchor(0, options);
  auto first = cluster.sender(1, anchor.handle());
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(first.try_send(i));
  auto waiting = first.send(8);
  auto detached = first.detach();
  // Until the consumer has taken all of it the anchor is not free.
  EXPECT_EQ(outcome(cluster.wait(cluster.on(2).attach_anchor<int>(anchor.handle()))),
            "streaming.already_attached");
  EXPECT_FALSE(detached.done());
  for (int i = 0; i < 9; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
  EXPECT_EQ(cluster.next(anchor), "detached");
  EXPECT_TRUE(cluster.wait(std::move(waiting)));
  EXPECT_TRUE(cluster.wait(std::move(detached)));
  auto second = cluster.sender(2, anchor.handle());
  auto producing = start_producing(second, 9, 20);
  for (int i = 9; i < 29; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
  // And back to the first node.
  auto again = second.detach();
  EXPECT_EQ(cluster.next(anchor), "detached");
  EXPECT_TRUE(cluster.wait(std::move(again)));
  auto third = cluster.sender(1, anchor.handle());
  auto finalized = third.finalize();
  EXPECT_EQ(cluster.next(anchor), "finalized");
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
}

TEST(StreamAttaching, AManyToOneAnchorThatIsCancelledTellsEachOfItsSendersAndNobodyElse) {
  StreamCluster cluster(3);
  auto anchor = cluster.on(0).create_mpsc_anchor<int>();
  ASSERT_TRUE(anchor);
  std::vector<StreamSender<int>> senders;
  std::vector<StreamSender<int>> others;
  std::vector<StreamAnchor<int>> theirs;
  for (std::size_t node = 0; node < 3; ++node) {
    for (int i = 0; i < 2; ++i) {
      senders.push_back(cluster.sender(node, anchor->handle()));
      // The same slots of the same nodes, the other way round.
      theirs.push_back(cluster.anchor(node));
      others.push_back(cluster.sender(0, theirs.back().handle()));
    }
  }
  EXPECT_EQ(anchor->senders(), 6u);
  anchor->cancel();
  EXPECT_TRUE(cluster.until([&] {
    return std::ranges::all_of(
        senders, [](const auto& one) { return one.cancellation_token().stop_requested(); });
  }));
  cluster.sim.run_for(1min);
  for (std::size_t i = 0; i < others.size(); ++i) {
    EXPECT_FALSE(others[i].cancellation_token().stop_requested());
    ASSERT_TRUE(others[i].try_send(static_cast<int>(i)));
    EXPECT_EQ(cluster.next(theirs[i]), std::to_string(i));
  }
}

TEST(StreamCalls, ACallerThatHasEnoughStopsTheHandlersSender) {
  StreamCluster cluster(2);
  std::optional<StreamSender<int>> kept;
  ASSERT_TRUE(cluster[1].register_handler(
      stream_handler<int, int>(cluster.on(1), "keep", [&](int first, StreamSender<int> sender) {
        EXPECT_TRUE(sender.try_send(first));
        kept.emplace(std::move(sender));
      })));
  auto stream = stream_call<int>(cluster.on(0), "keep").payload(5).send_to(cluster.id(1));
  ASSERT_TRUE(stream);
  EXPECT_EQ(cluster.next(*stream), "5");
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->cancellation_token().stop_requested());
  stream->cancel();
  EXPECT_TRUE(cluster.until([&] { return kept->cancellation_token().stop_requested(); }));
  EXPECT_TRUE(kept->try_send(6).error().is(Errc::channel_closed));
}

TEST(StreamCalls, AHandlersNodeThatDiesEndsTheStreamBeforeAndAfterAttaching) {
  StreamCluster cluster(3);
  cluster.outsiders = true;
  std::vector<StreamSender<int>> kept;
  for (const std::size_t node : {1, 2}) {
    ASSERT_TRUE(cluster[node].register_handler(stream_handler<int, int>(
        cluster.on(node), "keep",
        [&](int, StreamSender<int> sender) { kept.push_back(std::move(sender)); })));
  }
  auto attached = stream_call<int>(cluster.on(0), "keep").payload(5).send_to(cluster.id(1));
  ASSERT_TRUE(attached);
  ASSERT_TRUE(cluster.until([&] { return kept.size() == 1; }));
  cluster.sim.crash(cluster.sim.node(1), sim::CrashKind::power);
  EXPECT_EQ(cluster.next(*attached), "streaming.transport_error");
  cluster.sim.crash(cluster.sim.node(2), sim::CrashKind::power);
  auto never =
      stream_call<int>(cluster.on(0), "keep").payload(5).timeout(10s).send_to(cluster.id(2));
  ASSERT_TRUE(never);
  const std::string end = cluster.next(*never);
  EXPECT_TRUE(end.starts_with("messenger.")) << end;
  EXPECT_EQ(cluster.next(*never), "streaming.stream_over");
}

}  // namespace velo::streaming::testing::streams_attach_test
