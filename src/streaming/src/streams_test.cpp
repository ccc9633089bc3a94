// SPDX-License-Identifier: Apache-2.0
// Streams between simulated nodes: attaching, order, credit and endings.

#include "testing/pair.hpp"

#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

#include <optional>

namespace velo::streaming::testing::streams_test {

TEST(Streams, ItemsArriveInOrderAndThenTheEnd) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  EXPECT_EQ(sender.negotiated_transport(), "messenger-mux-v1");
  EXPECT_EQ(anchor.senders(), 1u);
  auto producing = start_producing(sender, 0, 100);
  ASSERT_TRUE(cluster.until([&] { return producing->over; }));
  EXPECT_TRUE(producing->result);
  auto finalized = sender.finalize();
  EXPECT_EQ(cluster.rest(anchor), numbers(0, 100, "finalized"));
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
  EXPECT_EQ(cluster.next(anchor), "streaming.stream_over");
  EXPECT_EQ(cluster.on(0).counts().anchors, 0u);
}

TEST(Streams, ASenderWaitsForCreditAndGoesOn) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 8;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  auto producing = start_producing(sender, 0, 1'000);
  cluster.sim.run_for(1s);
  EXPECT_EQ(producing->sent, 8);
  EXPECT_TRUE(sender.try_send(7).error().is(Errc::busy));
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
  EXPECT_TRUE(producing->over && producing->result);
}

TEST(Streams, TrySendSaysThatItWouldHaveToWait) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 2;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  EXPECT_TRUE(sender.try_send(1));
  EXPECT_TRUE(sender.try_send(2));
  const auto refused = sender.try_send(3);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::no_credit));
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.next(anchor), "2");
  cluster.sim.run_for(10ms);
  EXPECT_TRUE(sender.try_send(3));
  EXPECT_EQ(cluster.next(anchor), "3");
}

TEST(Streams, ASendThatIsDroppedWhileItWaitsTakesItsItemBack) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 1;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  {
    auto op = sender.send(2);
    EXPECT_FALSE(op.done());
    auto second = sender.send(3);
    EXPECT_EQ(outcome(cluster.wait(std::move(second))), "streaming.busy");
  }
  auto op = sender.send(4);
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.next(anchor), "4");
  EXPECT_TRUE(cluster.wait(std::move(op)));
}

TEST(Streams, AnEndingDoesNotWaitForAnItemThatWasTakenBack) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 1;
  auto anchor = cluster.anchor(0, options);
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  std::optional<Op<void>> waiting(sender.send(2));
  auto finalized = sender.finalize();
  waiting.reset();
  EXPECT_EQ(cluster.rest(anchor), numbers(1, 1, "finalized"));
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
}

TEST(Streams, AnErrorOfTheSendersDoesNotEndTheStream) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  EXPECT_TRUE(cluster.wait(sender.send_err("not today")));
  ASSERT_TRUE(sender.try_send(5));
  const auto error = cluster.wait(anchor.next());
  ASSERT_FALSE(error);
  EXPECT_TRUE(error.error().is(Errc::sender_error));
  EXPECT_EQ(error.error().context(), "not today");
  EXPECT_EQ(cluster.next(anchor), "5");
}

TEST(Streams, ASenderThatIsDroppedEndsTheStreamAfterItsItems) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  {
    auto sender = cluster.sender(1, anchor.handle());
    ASSERT_TRUE(sender.try_send(1));
  }
  EXPECT_EQ(cluster.rest(anchor), (std::vector<std::string>{"1", "streaming.sender_dropped"}));
  EXPECT_EQ(cluster.next(anchor), "streaming.stream_over");
}

TEST(Streams, ADetachedAnchorIsAttachedAgainByAnother) {
  StreamCluster cluster(3);
  auto anchor = cluster.anchor(0);
  auto first = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(first.try_send(1));
  auto detached = first.detach();
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.next(anchor), "detached");
  EXPECT_TRUE(cluster.wait(std::move(detached)));
  EXPECT_TRUE(first.try_send(2).error().is(Errc::channel_closed));
  auto second = cluster.sender(2, anchor.handle());
  ASSERT_TRUE(second.try_send(3));
  EXPECT_EQ(cluster.next(anchor), "3");
}

TEST(Streams, AttachingFailsWithAReason) {
  StreamCluster cluster(3);
  auto anchor = cluster.anchor(0);
  const auto attach = [&](std::size_t node, const StreamAnchorHandle& handle) {
    return outcome(cluster.wait(cluster.on(node).attach_anchor<int>(handle)));
  };
  const StreamAnchorHandle none(cluster[0].worker_id(), 12345);
  EXPECT_EQ(attach(1, none), "streaming.anchor_not_found");
  auto sender = cluster.sender(1, anchor.handle());
  EXPECT_EQ(attach(2, anchor.handle()), "streaming.already_attached");
  auto many = cluster.on(0).create_mpsc_anchor<int>();
  ASSERT_TRUE(many);
  EXPECT_EQ(attach(1, many->handle()), "streaming.wrong_handle_kind");
  EXPECT_EQ(outcome(cluster.wait(cluster.on(1).attach_mpsc_anchor<int>(anchor.handle()))),
            "streaming.wrong_handle_kind");
  const auto over = anchor.handle();
  anchor.cancel();
  EXPECT_EQ(attach(2, over), "streaming.anchor_not_found");
  EXPECT_EQ(attach(2, StreamAnchorHandle(WorkerId(77), 1)), "messenger.unknown_peer");
}

TEST(Streams, APeerOfThePublicVeloHasNoTransportInCommon) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) { setup.legacy = true; };
  Cluster cluster(2, std::move(options));
  auto streams = Streams::of(cluster[0]);
  ASSERT_TRUE(streams);
  auto anchor = streams->create_anchor<int>();
  ASSERT_TRUE(anchor);
  const std::string request = R"({"handle":{"hi":)" + std::to_string(anchor->handle().hi) +
                              R"(,"lo":)" + std::to_string(anchor->handle().lo) +
                              R"(},"session_id":1,"stream_cancel_handle":{"hi":1,"lo":1},)" +
                              R"("supported_transport_keys":["tcp-stream","messenger-mux-v1"]})";
  auto answer = cluster.wait(messenger::system_unary(cluster[1], "_anchor_attach")
                                 .raw_payload(request)
                                 .send_to(cluster.id(0)));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->text(), R"({"Err":{"reason":"no streaming transport in common","code":5}})");
}

TEST(Streams, NobodyWhoDoesNotAttachInTimeIsWaitedFor) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.unattached_timeout = 10s;
  auto anchor = cluster.anchor(0, options);
  const TimePoint start = cluster.sim.now();
  EXPECT_EQ(cluster.next(anchor), "streaming.nobody_attached");
  EXPECT_EQ(cluster.sim.now() - start, Duration(10s));
  EXPECT_EQ(cluster.next(anchor), "streaming.stream_over");
  EXPECT_EQ(outcome(cluster.wait(cluster.on(1).attach_anchor<int>(anchor.handle()))),
            "streaming.anchor_not_found");
}

TEST(Streams, AttachedInTimeAnAnchorWaitsAgainAfterADetachment) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.unattached_timeout = 10s;
  auto anchor = cluster.anchor(0, options);
  cluster.sim.run_for(9s);
  auto sender = cluster.sender(1, anchor.handle());
  cluster.sim.run_for(1min);
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
  auto detached = sender.detach();
  EXPECT_EQ(cluster.next(anchor), "detached");
  const TimePoint start = cluster.sim.now();
  EXPECT_EQ(cluster.next(anchor), "streaming.nobody_attached");
  EXPECT_LE(cluster.sim.now() - start, Duration(10s));
}

TEST(Streams, ANextThatIsDroppedLosesNothing) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  {
    auto op = anchor.next();
  }
  {
    auto op = anchor.next();
    auto second = anchor.next();
    EXPECT_EQ(outcome(cluster.wait(std::move(second))), "streaming.busy");
    EXPECT_FALSE(anchor.try_next());
    ASSERT_TRUE(sender.try_send(1));
    ASSERT_TRUE(cluster.until([&] { return op.done(); }));
  }
  EXPECT_EQ(cluster.next(anchor), "1");
}

TEST(Streams, AnItemOfAnotherTypeIsSaidAndPassedOver) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor<int>(0);
  auto sender = cluster.sender<std::string>(1, anchor.handle());
  ASSERT_TRUE(sender.try_send("seven"));
  EXPECT_EQ(cluster.next(anchor), "streaming.undecodable");
}

TEST(Streams, AnItemOverTheLimitIsRefusedAndTheLargestIsNot) {
  StreamCluster cluster(2);
  auto made = cluster.on(0).create_anchor<Bytes>();
  ASSERT_TRUE(made);
  auto sender = cluster.sender<Bytes>(1, made->handle());
  const std::string large(limits::item_bytes_max, 'x');
  EXPECT_TRUE(sender.try_send(Bytes::copy(large)).error().is(Errc::too_large));
  ASSERT_TRUE(sender.try_send(Bytes::copy(large).slice(0, large.size() - 32)));
  auto frame = cluster.wait(made->next());
  ASSERT_TRUE(frame && frame->is_item());
  EXPECT_EQ(frame->item().size(), large.size() - 32);
}

TEST(Streams, StreamsOfANodeToItselfAreStreams) {
  StreamCluster cluster(1);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(0, anchor.handle());
  auto producing = start_producing(sender, 0, 600);
  for (int i = 0; i < 600; ++i) ASSERT_EQ(cluster.next(anchor), std::to_string(i));
  EXPECT_TRUE(producing->over);
  auto finalized = sender.finalize();
  cluster.sim.run_for(1s);
  EXPECT_FALSE(finalized.done());
  EXPECT_EQ(cluster.next(anchor), "finalized");
  EXPECT_TRUE(cluster.wait(std::move(finalized)));
  cluster.sim.run_for(1s);
  EXPECT_EQ(cluster.on(0).counts().streams_out, 0u);
  EXPECT_EQ(cluster.on(0).counts().streams_in, 0u);
}

TEST(Streams, ManySendersEachHaveTheirOwnOrderAndEnd) {
  StreamCluster cluster(4);
  StreamOptions options;
  options.senders_max = 3;
  auto anchor = cluster.on(0).create_mpsc_anchor<int>(options);
  ASSERT_TRUE(anchor);
  std::vector<StreamSender<int>> senders;
  std::vector<std::shared_ptr<Ended>> producing;
  senders.reserve(3);
  for (std::size_t i = 0; i < 3; ++i) senders.push_back(cluster.sender(i + 1, anchor->handle()));
  EXPECT_EQ(outcome(cluster.wait(cluster.on(1).attach_mpsc_anchor<int>(anchor->handle()))),
            "streaming.max_senders_reached");
  for (int i = 0; i < 3; ++i) producing.push_back(start_producing(senders[i], i * 1'000, 300));
  std::map<SenderId, int> next;
  for (int i = 0; i < 900; ++i) {
    auto frame = cluster.wait(anchor->next());
    ASSERT_TRUE(frame && frame->is_item());
    auto [known, fresh] = next.try_emplace(frame->sender(), frame->item());
    EXPECT_EQ(frame->item(), known->second++);
  }
  EXPECT_EQ(next.size(), 3u);
  senders.pop_back();
  auto frame = cluster.wait(anchor->next());
  ASSERT_TRUE(frame);
  EXPECT_EQ(StreamCluster::text_of(frame->frame()), "streaming.sender_dropped");
  auto detached = senders.back().detach();
  frame = cluster.wait(anchor->next());
  EXPECT_EQ(StreamCluster::text_of(frame->frame()), "detached");
  // A place is free again, and the others go on.
  auto again = cluster.sender(3, anchor->handle());
  ASSERT_TRUE(again.try_send(7));
  frame = cluster.wait(anchor->next());
  EXPECT_EQ(frame->item(), 7);
}

TEST(Streams, CreditOfOneOfManySendersDoesNotWaitForTheOthersItems) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 16;
  auto made = cluster.on(0).create_mpsc_anchor<int>(options);
  auto one = cluster.sender(1, made->handle());
  auto other = cluster.sender(1, made->handle());
  ASSERT_TRUE(one.try_send(1));
  ASSERT_TRUE(other.try_send(2));
  cluster.sim.run_for(1s);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(cluster.wait(made->next()));
  cluster.sim.run_for(1s);
  EXPECT_EQ(cluster.on(1).counts().outstanding_bytes, 0u);
}

TEST(Streams, WhatWasSentBeforeAttachingArrivesBeforeAnyItem) {
  StreamCluster cluster(2);
  std::vector<std::string> heard;
  ASSERT_TRUE(cluster[0].register_handler(
      Handler::am_handler("note",
                          [&](Context& context) { heard.emplace_back(as_text(context.payload())); })
          .inline_()
          .build()));
  auto anchor = cluster.anchor(0);
  (void)cluster.wait(cluster[1].am_send("note").raw_payload("warm").send_to(cluster.id(0)));
  auto note = cluster[1].am_send("note").raw_payload("before").send_to(cluster.id(0));
  auto sender = cluster.sender(1, anchor.handle());
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(heard, (std::vector<std::string>{"warm", "before"}));
}

TEST(Streams, FramesOfOneTurnLeaveTogether) {
  StreamCluster cluster(2);
  std::vector<StreamAnchor<int>> anchors;
  std::vector<StreamSender<int>> senders;
  for (int i = 0; i < 32; ++i) {
    anchors.push_back(cluster.anchor(0));
    senders.push_back(cluster.sender(1, anchors.back().handle()));
  }
  cluster.sim.run_for(1s);
  const auto before = cluster.on(1).counts();
  cluster.sim.node(1).post([&] {
    for (auto& sender : senders) EXPECT_TRUE(sender.try_send(1));
  });
  for (auto& anchor : anchors) EXPECT_EQ(cluster.next(anchor), "1");
  const auto after = cluster.on(1).counts();
  EXPECT_EQ(after.frames_out - before.frames_out, 32u);
  EXPECT_EQ(after.batches_out - before.batches_out, 1u);
}

TEST(Streams, ABatchThatIsFullDoesNotWaitForTheEndOfTheTurn) {
  StreamCluster cluster(2);
  auto large = cluster.anchor<std::string>(0);
  auto small = cluster.anchor<std::string>(0);
  auto to_large = cluster.sender<std::string>(1, large.handle());
  auto to_small = cluster.sender<std::string>(1, small.handle());
  cluster.sim.run_for(1s);
  const auto before = cluster.on(1).counts();
  StreamCounts within;
  cluster.sim.node(1).post([&] {
    EXPECT_TRUE(to_large.try_send(std::string(limits::batch_bytes_max, 'x')));
    EXPECT_TRUE(to_small.try_send(std::string("y")));
    within = cluster.on(1).counts();
  });
  EXPECT_EQ(cluster.wait(large.next())->item().size(), limits::batch_bytes_max);
  EXPECT_EQ(cluster.wait(small.next())->item(), "y");
  EXPECT_EQ(within.batches_out - before.batches_out, 1u);
  EXPECT_EQ(cluster.on(1).counts().batches_out - before.batches_out, 2u);
}

TEST(Streams, WithManualFlushItemsLeaveWhenTheStepEnds) {
  StreamingOptions manual;
  manual.flush = FlushPolicy::manual;
  StreamCluster cluster(2, ClusterOptions(), manual);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  cluster.sim.run_for(1s);
  ASSERT_TRUE(sender.try_send(1));
  ASSERT_TRUE(sender.try_send(2));
  cluster.sim.run_for(1s);
  EXPECT_FALSE(anchor.try_next());
  cluster.on(1).flush_batch();
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.next(anchor), "2");
}

}  // namespace velo::streaming::testing::streams_test
