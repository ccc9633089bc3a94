// SPDX-License-Identifier: Apache-2.0
// Peers that say what they should not, or what nobody knows of.

#include "mux_batch.hpp"
#include "testing/pair.hpp"

#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

namespace velo::streaming::testing::streams_liars_test {

/// What a peer may do to streams that it does not have.
static void send_batch(StreamCluster& cluster, Batcher& batcher) {
  while (auto batch = batcher.take()) {
    (void)cluster.wait(messenger::system_fire(cluster[1], "_stream_batch")
                           .raw_payload(std::move(*batch))
                           .send_to(cluster.id(0)));
  }
  cluster.sim.run_for(1s);
}

TEST(StreamFailures, APeerThatBreaksTheRulesEndsOnlyItsOwnStreams) {
  StreamCluster cluster(3);
  auto good_anchor = cluster.anchor(0);
  auto good = cluster.sender(2, good_anchor.handle());
  Batcher liar;
  liar.restart(99);
  liar.open_slot(Slot(0, 0), good_anchor.handle().lo, 1);  // somebody else's, without asking
  liar.data(Slot(0, 0), 0, as_bytes("\x81\xa4Item\x01"));
  liar.close_slot(Slot(0, 0), CloseReason::peer_gone, 0);
  liar.close_slot(Slot(0, 0), CloseReason::terminal_sent, 0);
  liar.credit_update(Slot(0, 0), 1'000'000);
  liar.data(Slot(70'000, 1), 0, as_bytes("x"));
  liar.open_slot(Slot(70'000, 1), good_anchor.handle().lo, 1);
  send_batch(cluster, liar);
  ASSERT_TRUE(good.try_send(1));
  EXPECT_EQ(cluster.next(good_anchor), "1");
  EXPECT_EQ(good_anchor.senders(), 1u);
}

TEST(StreamFailures, MoreThanWasGrantedIsRefused) {
  StreamCluster cluster(2);
  StreamOptions options;
  options.frames = 2;
  auto anchor = cluster.anchor(0, options);
  const std::string request =
      R"({"handle":{"hi":)" + std::to_string(anchor.handle().hi) + R"(,"lo":)" +
      std::to_string(anchor.handle().lo) + R"(},"session_id":9,"stream_cancel_handle":)" +
      R"({"hi":1,"lo":1},"supported_transport_keys":["messenger-mux-v1"],"mux_level":1})";
  ASSERT_TRUE(cluster.wait(messenger::system_unary(cluster[1], "_anchor_attach")
                               .raw_payload(request)
                               .send_to(cluster.id(0))));
  Batcher liar;
  liar.restart(99);
  liar.open_slot(Slot(0, 0), anchor.handle().lo, 9);
  for (std::uint32_t i = 0; i < 10; ++i) liar.data(Slot(0, 0), i, as_bytes("\x81\xa4Item\x01"));
  send_batch(cluster, liar);
  EXPECT_EQ(cluster.rest(anchor),
            (std::vector<std::string>{"1", "1", "1", "streaming.transport_error"}));
  EXPECT_GE(cluster.on(0).counts().violations, 1u);
}

TEST(StreamFailures, AHeartbeatForAStreamThatIsNoneIsAnswered) {
  StreamCluster cluster(2);
  Batcher lost;
  lost.restart(99);
  lost.heartbeat(Slot(5, 1));
  send_batch(cluster, lost);
  EXPECT_EQ(cluster.on(1).counts().batches_in, 1u);
}

TEST(StreamFailures, BytesThatAreNoBatchAreIgnored) {
  StreamCluster cluster(2);
  auto anchor = cluster.anchor(0);
  auto sender = cluster.sender(1, anchor.handle());
  (void)cluster.wait(messenger::system_fire(cluster[1], "_stream_batch")
                         .raw_payload("what is this")
                         .send_to(cluster.id(0)));
  ASSERT_TRUE(sender.try_send(1));
  EXPECT_EQ(cluster.next(anchor), "1");
  EXPECT_EQ(cluster.on(0).counts().violations, 1u);
}

}  // namespace velo::streaming::testing::streams_liars_test
