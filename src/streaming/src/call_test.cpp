// SPDX-License-Identifier: Apache-2.0
// Requests that are answered by streams.

#include "testing/pair.hpp"

#include <velo/streaming/call.hpp>

#include <gtest/gtest.h>

#include "anchor_state.hpp"

namespace velo::streaming::testing::call_test {

static Task<void> count_to(int last, StreamSender<int> sender) {
  for (int i = 1; i <= last; ++i) {
    auto op = sender.send(i);
    const Result<void> sent = co_await op;
    if (!sent) co_return;
  }
  auto op = sender.finalize();
  (void)co_await op;
}

TEST(StreamCalls, ARequestIsAnsweredByAStream) {
  StreamCluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(stream_handler<int, int>(
      cluster.on(1), "count",
      [](int last, StreamSender<int> sender) { return count_to(last, std::move(sender)); })));
  auto stream = stream_call<int>(cluster.on(0), "count").payload(1'000).send_to(cluster.id(1));
  ASSERT_TRUE(stream);
  EXPECT_EQ(cluster.rest(*stream), numbers(1, 1'000, "finalized"));
}

TEST(StreamCalls, AFunctionWithoutATaskKeepsTheSender) {
  StreamCluster cluster(2);
  std::vector<StreamSender<int>> kept;
  ASSERT_TRUE(cluster[1].register_handler(
      stream_handler<int, int>(cluster.on(1), "keep", [&](int first, StreamSender<int> sender) {
        EXPECT_TRUE(sender.try_send(first));
        kept.push_back(std::move(sender));
      })));
  auto stream = stream_call<int>(cluster.on(0), "keep").payload(5).send_to(cluster.id(1));
  ASSERT_TRUE(stream);
  EXPECT_EQ(cluster.next(*stream), "5");
  kept.clear();
  EXPECT_EQ(cluster.next(*stream), "streaming.sender_dropped");
}

TEST(StreamCalls, AFailedRequestEndsTheStreamWithItsError) {
  StreamCluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(
      stream_handler<int, int>(cluster.on(1), "count", [](int, const StreamSender<int>&) {})));
  auto unknown = stream_call<int>(cluster.on(0), "nothing").payload(1).send_to(cluster.id(1));
  ASSERT_TRUE(unknown);
  EXPECT_EQ(cluster.next(*unknown), "messenger.unknown_handler");
  EXPECT_EQ(cluster.next(*unknown), "streaming.stream_over");
  auto wrong =
      stream_call<int>(cluster.on(0), "count").payload(std::string("x")).send_to(cluster.id(1));
  ASSERT_TRUE(wrong);
  EXPECT_EQ(cluster.next(*wrong), "messenger.bad_request");
  const auto no_stream =
      cluster.wait(cluster[0].am_sync("count").payload(1).send_to(cluster.id(1)));
  EXPECT_EQ(outcome(no_stream), "messenger.bad_request");
}

/// An anchor whose owner has let somebody in.
struct Reserved {
  Reserved() { EXPECT_TRUE(anchor.reserve(7, InstanceId(), start)); }
  std::string after_patience() {
    std::vector<Wake> wakes;
    EXPECT_EQ(anchor.expire(start + (limits::bind_patience - 1ms), wakes),
              start + limits::bind_patience);
    EXPECT_FALSE(anchor.take(false)) << "it may still be opened";
    (void)anchor.expire(start + limits::bind_patience, wakes);
    const auto taken = anchor.take(false);
    return taken ? outcome(*taken) : "still waits";
  }

  TimePoint start{1h};
  Anchor anchor{inline_executor(), StreamAnchorHandle(WorkerId(1), 2), StreamOptions(), start,
                std::make_shared<Tally>()};
};

// Found by the soak: the answer to the attachment, or the opening itself, was lost with its
// connection, and the caller waited for ever.
TEST(StreamCalls, AStreamThatNobodyOpensEndsWithItsRequest) {
  Reserved failed;
  failed.anchor.call_over(velo::make_error(velo::Errc::deadline_exceeded));
  EXPECT_EQ(failed.after_patience(), "base.deadline_exceeded");
  Reserved answered;
  answered.anchor.call_over(Result<void>());
  EXPECT_EQ(answered.after_patience(), "streaming.transport_error");
  Reserved late;
  std::vector<Wake> wakes;
  (void)late.anchor.expire(late.start + limits::bind_patience, wakes);
  EXPECT_FALSE(late.anchor.take(false));
  late.anchor.call_over(velo::make_error(velo::Errc::deadline_exceeded));
  EXPECT_EQ(outcome(*late.anchor.take(false)), "base.deadline_exceeded");
}

TEST(StreamCalls, AnAnchorOfNoRequestIsFreeAgain) {
  Reserved one;
  EXPECT_EQ(one.after_patience(), "still waits");
  EXPECT_TRUE(one.anchor.reserve(8, InstanceId(), one.start));
}

TEST(StreamCalls, AStreamThatWasOpenedOutlivesItsRequest) {
  Reserved one;
  ASSERT_NE(one.anchor.bind(7, InstanceId(), nullptr, Slot()), nullptr);
  one.anchor.call_over(velo::make_error(velo::Errc::deadline_exceeded));
  std::vector<Wake> wakes;
  (void)one.anchor.expire(one.start + 2 * limits::bind_patience, wakes);
  EXPECT_FALSE(one.anchor.take(false));
}

}  // namespace velo::streaming::testing::call_test
