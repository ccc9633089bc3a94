// SPDX-License-Identifier: Apache-2.0
// Tests of UDP sockets.

#include "datagram.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "testing.hpp"

namespace velo::runtime {
namespace datagram_test {

using testing::make_external_world;
using testing::turn_until;

struct Socket {
  Socket(RealWorld& world, const std::string& host) {
    auto bound = world.network().bind_datagram(world.shard(0), Endpoint::tcp(host, 0),
                                               [this](const Endpoint& from, ByteSpan datagram) {
                                                 senders.push_back(from);
                                                 datagrams.emplace_back(as_text(datagram));
                                                 if (after_datagram) after_datagram();
                                               });
    if (bound.has_value()) socket = std::move(*bound);
  }
  std::vector<Endpoint> senders;
  std::vector<std::string> datagrams;
  std::move_only_function<void()> after_datagram;
  std::unique_ptr<DatagramSocket> socket;
};

class Datagrams : public ::testing::TestWithParam<const char*> {};

TEST_P(Datagrams, GoThereAndBackWithTheirBoundaries) {
  auto world = make_external_world();
  Socket a(*world, GetParam());
  Socket b(*world, GetParam());
  if (a.socket == nullptr) GTEST_SKIP() << "no such address here";
  EXPECT_EQ(a.socket->try_send(b.socket->local(), as_bytes("one")).status, IoResult::Status::ok);
  EXPECT_EQ(a.socket->try_send(b.socket->local(), as_bytes("")).status, IoResult::Status::ok);
  EXPECT_EQ(a.socket->try_send(b.socket->local(), as_bytes("three")).bytes, 5U);
  ASSERT_TRUE(turn_until(*world, [&] { return b.datagrams.size() == 3; }));
  EXPECT_EQ(b.datagrams, (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(b.senders[0], a.socket->local());
  const std::string large(60'000, 'x');
  EXPECT_EQ(b.socket->try_send(b.senders[2], as_bytes(large)).status, IoResult::Status::ok);
  ASSERT_TRUE(turn_until(*world, [&] { return a.datagrams.size() == 1; }));
  EXPECT_EQ(a.datagrams[0], large);
}

INSTANTIATE_TEST_SUITE_P(DatagramSocket, Datagrams, ::testing::Values("127.0.0.1", "::1"));

TEST(DatagramSocket, SaysThatADatagramIsTooLarge) {
  auto world = make_external_world();
  const Socket a(*world, "127.0.0.1");
  const std::string large(70'000, 'x');
  const IoResult result = a.socket->try_send(a.socket->local(), as_bytes(large));
  EXPECT_EQ(result.status, IoResult::Status::error);
  EXPECT_EQ(result.system_error, EMSGSIZE);
}

TEST(DatagramSocket, MayBeDestroyedByItsHandlerWithDatagramsWaiting) {
  auto world = make_external_world();
  const Socket a(*world, "127.0.0.1");
  Socket b(*world, "127.0.0.1");
  b.after_datagram = [&] { b.socket.reset(); };
  for (int i = 0; i < 3; ++i) (void)a.socket->try_send(b.socket->local(), as_bytes("x"));
  ASSERT_TRUE(turn_until(*world, [&] { return b.socket == nullptr; }));
  world->run_once(Duration::zero());
  EXPECT_EQ(b.datagrams.size(), 1U);
}

TEST(DatagramSocket, NeedsANumericAddress) {
  auto world = make_external_world();
  Network& network = world->network();
  auto named = network.bind_datagram(world->shard(0), Endpoint::tcp("localhost", 0), {});
  EXPECT_TRUE(named.error().is(Errc::invalid_argument));
  auto path = network.bind_datagram(world->shard(0), Endpoint::unix_socket("/tmp/x"), {});
  EXPECT_TRUE(path.error().is(Errc::unsupported));
}

}  // namespace datagram_test
}  // namespace velo::runtime
