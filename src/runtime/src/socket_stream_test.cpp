// SPDX-License-Identifier: Apache-2.0
// Tests of reading, writing, endings and lifetimes of streams.

#include "socket_stream.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "sockets.hpp"
#include "testing.hpp"

namespace velo::runtime {
namespace socket_stream_test {

using testing::Collector;
using testing::Counter;
using testing::epoll_shard;
using testing::make_external_world;
using testing::make_pair;
using testing::make_world;
using testing::run_on;
using testing::turn_until;
using testing::write_text;

static void send_text(const Descriptor& peer, std::string_view text) {
  ASSERT_EQ(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

static std::string receive_text(const Descriptor& peer, std::size_t size) {
  std::string text(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::recv(peer.get(), text.data() + have, size - have, 0);
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  text.resize(have);
  return text;
}

TEST(SocketStream, ReadsWhatThePeerSentAndWritesBack) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  collector.after_read = [&] {
    EXPECT_EQ(write_text(collector.stream(), collector.text).bytes, 5U);
  };
  send_text(peer, "hello");
  ASSERT_TRUE(turn_until(*world, [&] { return collector.text == "hello"; }));
  EXPECT_EQ(receive_text(peer, 5), "hello");
}

TEST(SocketStream, GathersUpToSixtyFourVectorsInOneWrite) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  std::array<iovec, 64> vectors{};
  std::string letters = "abcdefgh";
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i].iov_base = letters.data() + i % 8;
    vectors[i].iov_len = 1;
  }
  EXPECT_EQ(stream->try_write(vectors).bytes, 64U);
  std::string expected;
  for (int i = 0; i < 8; ++i) expected += letters;
  EXPECT_EQ(receive_text(peer, 64), expected);
}

TEST(SocketStream, WritesOnAfterThePeerEndedItsDirectionAndIsNotToldOfTheEndAgain) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  send_text(peer, "last words");
  ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
  ASSERT_TRUE(turn_until(*world, [&] { return collector.ended; }));
  EXPECT_EQ(collector.text, "last words");
  const int calls = collector.readable_calls;
  EXPECT_EQ(world->run_once(Duration::zero()), 0U) << "a read end must not spin";
  EXPECT_EQ(collector.readable_calls, calls);
  EXPECT_EQ(write_text(collector.stream(), "reply").bytes, 5U);
  EXPECT_EQ(receive_text(peer, 5), "reply");
}

TEST(SocketStream, StaysQuietAfterThePeerVanishedThoughItsOwnerKeepsIt) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  peer.reset();
  ASSERT_TRUE(turn_until(*world, [&] { return collector.ended; }));
  world->run_once(Duration::zero());  // the hang-up that cannot be masked is unwatched here
  EXPECT_EQ(world->run_once(Duration::zero()), 0U);
  const IoResult result = write_text(collector.stream(), "x");
  EXPECT_EQ(result.status, IoResult::Status::error);
  EXPECT_EQ(result.system_error, EPIPE);
}

TEST(SocketStream, TellsOnceThatWritingCanGoOn) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  const std::string block(65536, 'w');
  std::size_t written = 0;
  IoResult result;
  while ((result = write_text(collector.stream(), block)).status == IoResult::Status::ok) {
    written += result.bytes;
  }
  ASSERT_EQ(result.status, IoResult::Status::would_block);
  collector.stream().want_write();
  collector.stream().want_write();
  EXPECT_EQ(world->run_once(Duration::zero()), 0U) << "the peer has read nothing yet";
  EXPECT_EQ(receive_text(peer, written).size(), written);
  ASSERT_TRUE(turn_until(*world, [&] { return collector.writable_calls > 0; }));
  EXPECT_EQ(world->run_once(Duration::zero()), 0U);
  EXPECT_EQ(collector.writable_calls, 1);
}

TEST(SocketStream, TellsAWaitingWriterThatThePeerVanished) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  const std::string block(65536, 'w');
  while (write_text(collector.stream(), block).status == IoResult::Status::ok) {
  }
  collector.stream().want_write();
  peer.reset();
  ASSERT_TRUE(turn_until(*world, [&] { return collector.writable_calls > 0; }));
  EXPECT_EQ(write_text(collector.stream(), block).status, IoResult::Status::error);
}

/// Writes from a thread of its own; the shard only tells it when to go on.
class Pump final : public StreamEvents {
 public:
  explicit Pump(ByteStream& stream) : stream_(stream) {}
  void on_readable() override {}
  void on_writable() override {
    writable_.store(true);
    writable_.notify_one();
  }
  void write(std::size_t total) {
    const std::string block(50'000, 'p');
    while (total > 0) {
      const IoResult result = write_text(stream_, std::string_view(block).substr(0, total));
      if (result.status == IoResult::Status::ok) {
        total -= result.bytes;
        continue;
      }
      ASSERT_EQ(result.status, IoResult::Status::would_block);
      writable_.store(false);
      stream_.want_write();
      writable_.wait(false);
    }
  }

 private:
  ByteStream& stream_;
  std::atomic<bool> writable_{false};
};

TEST(SocketStream, WritesFromAnotherThreadThanItsShard) {
  constexpr std::size_t total = 8 << 20;
  auto world = make_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Pump pump(*stream);
  run_on(world->shard(0), [&] { stream->attach(pump); });
  std::size_t received = 0;
  std::thread reader([&, fd = &peer] { received = receive_text(*fd, total).size(); });
  pump.write(total);
  reader.join();
  EXPECT_EQ(received, total);
  run_on(world->shard(0), [&] { stream.reset(); });
}

TEST(SocketStream, IsNotToldOfAnEventOfTheSameBatchOnceAnotherDestroyedIt) {
  auto world = make_external_world();
  EpollShard& shard = epoll_shard(*world);
  auto one = make_pair(shard);
  auto two = make_pair(shard);
  std::optional<Collector> first;
  std::optional<Collector> second;
  first.emplace(std::move(one.stream));
  second.emplace(std::move(two.stream));
  int told = 0;
  first->after_read = [&] {
    ++told;
    second.reset();
  };
  second->after_read = [&] {
    ++told;
    first.reset();
  };
  send_text(one.peer, "x");
  send_text(two.peer, "x");
  world->run_once(Duration::zero());
  EXPECT_EQ(told, 1);
  EXPECT_NE(first.has_value(), second.has_value());
}

TEST(SocketStream, IsNotToldOfAnEventOfTheSameBatchOnceAnotherClosedIt) {
  auto world = make_external_world();
  EpollShard& shard = epoll_shard(*world);
  auto one = make_pair(shard);
  auto two = make_pair(shard);
  Collector first(std::move(one.stream));
  Collector second(std::move(two.stream));
  first.after_read = [&] { second.stream().close(); };
  second.after_read = [&] { first.stream().close(); };
  send_text(one.peer, "x");
  send_text(two.peer, "x");
  world->run_once(Duration::zero());
  EXPECT_EQ(first.readable_calls + second.readable_calls, 1);
}

TEST(SocketStream, MayBeDestroyedInItsOwnCallbacks) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  std::optional<Collector> collector;
  collector.emplace(std::move(stream));
  collector->after_writable = [&] { collector.reset(); };
  collector->stream().want_write();
  send_text(peer, "readable as well");
  ASSERT_TRUE(turn_until(*world, [&] { return !collector.has_value(); }));
  EXPECT_EQ(receive_text(peer, 1), "");
}

TEST(SocketStream, EndsBothDirectionsOnCloseAndTellsNothingAfterwards) {
  auto world = make_external_world();
  auto [stream, peer] = make_pair(epoll_shard(*world));
  Collector collector(std::move(stream));
  send_text(peer, "unread");
  collector.stream().close();
  collector.stream().close();
  EXPECT_EQ(world->run_once(Duration::zero()), 0U);
  EXPECT_EQ(collector.readable_calls, 0);
  EXPECT_EQ(write_text(collector.stream(), "x").status, IoResult::Status::error);
  EXPECT_EQ(receive_text(peer, 1), "");
}

TEST(SocketStream, ReadsAResetAsAnError) {
  auto world = make_external_world();
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::optional<Collector> collector;
  auto listener = world->network().listen(
      world->shard(0), Endpoint::tcp("127.0.0.1", 0), ListenOptions(),
      [&](Result<std::unique_ptr<ByteStream>> stream) { collector.emplace(std::move(*stream)); });
  ASSERT_TRUE(listener.has_value());
  const auto address = to_socket_address((*listener)->local());
  ASSERT_EQ(::connect(client.get(), address->get(), address->size), 0);
  ASSERT_TRUE(turn_until(*world, [&] { return collector.has_value(); }));
  const linger reset{1, 0};
  ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  client.reset();
  ASSERT_TRUE(turn_until(*world, [&] { return collector->system_error != 0; }));
  EXPECT_EQ(collector->system_error, ECONNRESET);
  EXPECT_FALSE(collector->ended);
  world->run_once(Duration::zero());
  EXPECT_EQ(world->run_once(Duration::zero()), 0U) << "a read error must not spin";
}

}  // namespace socket_stream_test
}  // namespace velo::runtime
