// SPDX-License-Identifier: Apache-2.0
// Eight threads, each with streams of its own between the same two nodes, some of them cut short.

#include "crew.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/streaming/call.hpp>
#include <velo/streaming/streams.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace velo::threads_test {
namespace shared_streams_test {

static std::unique_ptr<Messenger> make_messenger(World& world) {
  auto builder = Messenger::builder(world);
  builder.add_transport(transport::make_tcp());
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

static void send_all(StreamSender<int> sender, int count) {
  for (int i = 0; i < count; ++i) {
    const auto sent = sender.send(i).get();
    if (!sent) {
      EXPECT_TRUE(sent.error().is(streaming::Errc::channel_closed)) << sent.error().to_string();
      return;
    }
  }
  static_cast<void>(sender.finalize().get());
}

/// Reads up to `most` items, which are the numbers from 0; how many.
static int read(StreamAnchor<int>& anchor, int most) {
  for (int i = 0; i < most; ++i) {
    auto frame = anchor.next().get();
    if (!frame || !frame->is_item()) return i;
    EXPECT_EQ(frame->item(), i);
  }
  return most;
}

TEST(SharedStreams, EachThreadsStreamsKeepTheirOrder) {
  runtime::RuntimeOptions options;
  options.shards = 2;
  const auto world = runtime::RealWorld::create(options).value();
  auto one = make_messenger(*world);
  auto two = make_messenger(*world);
  ASSERT_TRUE(one->register_peer(two->peer_info()));
  ASSERT_TRUE(two->register_peer(one->peer_info()));
  in_eight_threads([&](int thread) {
    auto here = Streams::of(thread % 2 == 0 ? *one : *two);
    auto there = Streams::of(thread % 2 == 0 ? *two : *one);
    ASSERT_TRUE(here && there);
    for (int round = 0; round < 6; ++round) {
      auto anchor = here->create_anchor<int>();
      ASSERT_TRUE(anchor);
      auto sender = there->attach_anchor<int>(anchor->handle()).get();
      ASSERT_TRUE(sender) << sender.error().to_string();
      const std::stop_token stop = sender->cancellation_token();
      std::jthread producer(send_all, std::move(*sender), 1'000);
      if (round % 3 == 2) {
        EXPECT_EQ(read(*anchor, 100), 100);
        std::jthread canceller([&] { anchor->cancel(); });
        there->flush_batch();
      } else {
        EXPECT_EQ(read(*anchor, 2'000), 1'000);
      }
      static_cast<void>(here->counts());
      static_cast<void>(stop.stop_requested());
    }
  });
  static_cast<void>(one->shutdown().get());
  static_cast<void>(two->shutdown().get());
}

TEST(SharedStreams, CallsAreAnsweredByStreams) {
  const auto world = runtime::RealWorld::create().value();
  auto one = make_messenger(*world);
  auto two = make_messenger(*world);
  ASSERT_TRUE(one->register_peer(two->peer_info()));
  auto serving = Streams::of(*two);
  ASSERT_TRUE(serving);
  ASSERT_TRUE(two->register_handler(
      stream_handler<int, int>(*serving, "echo", [](int item, StreamSender<int> sender) {
        EXPECT_TRUE(sender.try_send(item));
        sender.finalize().then([](const Result<void>&) {});
      })));
  in_eight_threads([&](int thread) {
    auto streams = Streams::of(*one);
    ASSERT_TRUE(streams);
    for (int i = 0; i < 20; ++i) {
      auto answer =
          stream_call<int>(*streams, "echo").payload(thread * 100 + i).send_to(two->instance_id());
      ASSERT_TRUE(answer);
      auto frame = answer->next().get();
      ASSERT_TRUE(frame && frame->is_item()) << i;
      EXPECT_EQ(frame->item(), thread * 100 + i);
    }
  });
}

}  // namespace shared_streams_test
}  // namespace velo::threads_test
