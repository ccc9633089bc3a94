// SPDX-License-Identifier: Apache-2.0
// Tests of listening and connecting over TCP and Unix sockets.

#include "network.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "network_testing.hpp"
#include "sockets.hpp"

namespace velo::runtime {
namespace network_test {

using std::chrono::milliseconds;
using testing::Accepting;
using testing::Collector;
using testing::Dialing;
using testing::make_external_world;
using testing::raw_listener;
using testing::StreamResult;
using testing::TemporaryFolder;
using testing::turn_until;
using testing::write_text;

static ConnectOptions with_timeout(Duration timeout) {
  ConnectOptions options;
  options.timeout = timeout;
  return options;
}

static int option(const ByteStream& stream, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(static_cast<const SocketStream&>(stream).descriptor(), level, name, &value, &size);
  return value;
}

class Reaching : public ::testing::TestWithParam<const char*> {};

TEST_P(Reaching, ConnectsAndCarriesBytesBothWays) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  std::string text = GetParam();
  if (text == "uds") text = "uds://" + folder.file("s");
  const auto local = Endpoint::parse(text);
  ASSERT_TRUE(local.has_value());
  Accepting accepting(*world, *local);
  if (accepting.refused.has_value() && local->host == "::1") GTEST_SKIP() << "no IPv6 here";
  ASSERT_FALSE(accepting.refused.has_value()) << accepting.refused->to_string();
  Dialing dialing(*world, accepting.local());
  EXPECT_FALSE(dialing.done()) << "never inside connect()";
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done() && !accepting.streams.empty(); }));
  ASSERT_TRUE(dialing.result->has_value()) << dialing.result->error().to_string();
  EXPECT_EQ((**dialing.result)->remote(), accepting.local());
  EXPECT_EQ(&(**dialing.result)->shard(), &world->shard(0));
  EXPECT_EQ(accepting.streams[0]->remote().host, local->host);
  Collector client(std::move(**dialing.result));
  Collector server(std::move(accepting.streams[0]));
  ASSERT_EQ(write_text(client.stream(), "ping").bytes, 4U);
  ASSERT_EQ(write_text(server.stream(), "pong").bytes, 4U);
  EXPECT_TRUE(turn_until(*world, [&] { return client.text == "pong" && server.text == "ping"; }));
  EXPECT_EQ(dialing.calls, 1);
}

INSTANTIATE_TEST_SUITE_P(Network, Reaching,
                         ::testing::Values("tcp://127.0.0.1:0", "tcp://[::1]:0", "uds",
                                           "uds://@velo-runtime-network-test"));

TEST(Network, SaysWhoseProcessIsAtTheOtherEndOfAUnixSocket) {
  const auto world = make_external_world();
  Accepting accepting(*world, Endpoint::unix_socket("@velo-runtime-credentials-test"));
  Accepting over_tcp(*world, Endpoint::tcp("127.0.0.1", 0));
  const Dialing dialing(*world, accepting.local());
  const Dialing tcp(*world, over_tcp.local());
  ASSERT_TRUE(turn_until(*world, [&] {
    return dialing.done() && tcp.done() && !accepting.streams.empty() && !over_tcp.streams.empty();
  }));
  const PeerCredentials own = world->network().own_credentials();
  EXPECT_EQ(own.user, ::geteuid());
  EXPECT_EQ(own.process, ::getpid());
  EXPECT_EQ(accepting.streams[0]->peer_credentials(), own);
  EXPECT_EQ((**dialing.result)->peer_credentials(), own);
  EXPECT_EQ(over_tcp.streams[0]->peer_credentials(), std::nullopt);
}

TEST(Network, GivesBothEndsOfATcpConnectionNoDelayKeepaliveAndTheBuffersAskedFor) {
  auto world = make_external_world();
  ListenOptions listen;
  listen.socket_buffer_bytes = 100'000;
  ConnectOptions connect;
  connect.socket_buffer_bytes = 50'000;
  Accepting accepting(*world, Endpoint::tcp("127.0.0.1", 0), listen);
  Dialing dialing(*world, accepting.local(), connect);
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done() && !accepting.streams.empty(); }));
  const ByteStream& client = ***dialing.result;
  const ByteStream& server = *accepting.streams[0];
  for (const ByteStream* end : {&client, &server}) {
    EXPECT_EQ(option(*end, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(*end, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(*end, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    EXPECT_EQ(option(*end, IPPROTO_TCP, TCP_KEEPINTVL), 10);
  }
  // The kernel doubles what it is asked for.
  EXPECT_EQ(option(server, SOL_SOCKET, SO_RCVBUF), 200'000);
  EXPECT_EQ(option(client, SOL_SOCKET, SO_SNDBUF), 100'000);
}

TEST(Network, ReportsARefusalWithItsReasonAsWorthTryingElsewhere) {
  auto world = make_external_world();
  Endpoint gone;
  {
    Accepting accepting(*world, Endpoint::tcp("127.0.0.1", 0));
    gone = accepting.local();
  }
  Dialing dialing(*world, gone);
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  const Error& error = dialing.result->error();
  EXPECT_TRUE(error.is(Errc::io)) << error.to_string();
  EXPECT_EQ(error.retry(), Retry::elsewhere);
  EXPECT_NE(error.context().find("refused"), std::string::npos) << error.context();
  EXPECT_NE(error.context().find(gone.to_string()), std::string::npos) << error.context();
}

TEST(Network, ReportsAMissingUnixSocketLikeARefusal) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  Dialing dialing(*world, Endpoint::unix_socket(folder.file("nobody")));
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->error().is(Errc::io));
  EXPECT_EQ(dialing.result->error().retry(), Retry::elsewhere);
}

TEST(Network, RefusesNamesAndMalformedAddresses) {
  auto world = make_external_world();
  Dialing dialing(*world, Endpoint::tcp("localhost", 80));
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->error().is(Errc::invalid_argument));
  const Accepting accepting(*world, Endpoint::tcp("nowhere.example", 0));
  EXPECT_TRUE(accepting.refused->is(Errc::invalid_argument));
  const Accepting long_path(*world, Endpoint::unix_socket("/tmp/" + std::string(100, 'x')));
  EXPECT_TRUE(long_path.refused->is(Errc::invalid_argument));
}

TEST(Network, EndsAnAttemptThatNobodyAnswersWhenItsTimeIsUp) {
  auto world = make_external_world();
  // A listener that never accepts, with a full backlog: further SYNs are dropped.
  const Descriptor silent = raw_listener(Endpoint::tcp("127.0.0.1", 0), 0);
  const SocketAddress address = local_address(silent.get());
  const auto filling = testing::fill_backlog(address);
  const TimePoint start = world->clock().now();
  Dialing dialing(*world, to_endpoint(address), with_timeout(milliseconds(30)));
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->error().is(Errc::deadline_exceeded))
      << dialing.result->error().to_string();
  EXPECT_GE(world->clock().now() - start, milliseconds(30));
}

TEST(Network, WaitsForRoomInTheBacklogOfAUnixSocketUntilItsTimeIsUp) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  const Endpoint where = Endpoint::unix_socket(folder.file("s"));
  const Descriptor busy = raw_listener(where, 0);
  const auto address = to_socket_address(where);
  const auto filling = testing::fill_backlog(*address);
  Dialing hopeless(*world, where, with_timeout(milliseconds(20)));
  ASSERT_TRUE(turn_until(*world, [&] { return hopeless.done(); }));
  EXPECT_TRUE(hopeless.result->error().is(Errc::deadline_exceeded));

  Dialing patient(*world, where);
  world->run_once(Duration::zero());
  std::vector<Descriptor> accepted;
  ASSERT_TRUE(turn_until(*world, [&] {
    const int fd = ::accept4(busy.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) accepted.emplace_back(fd);
    return patient.done();
  }));
  EXPECT_TRUE(patient.result->has_value());
}

TEST(Network, NeverCallsTheHandlerOfAnAbandonedAttempt) {
  auto world = make_external_world();
  Accepting accepting(*world, Endpoint::tcp("127.0.0.1", 0));
  Dialing before_start(*world, accepting.local());
  before_start.handle.reset();
  Dialing after_start(*world, accepting.local());
  bool started = false;
  post(world->shard(0), [&] {
    after_start.handle.reset();
    started = true;
  });
  ASSERT_TRUE(turn_until(*world, [&] { return started; }));
  while (world->run_once(milliseconds(5)) > 0) {
  }
  EXPECT_EQ(before_start.calls, 0);
  EXPECT_EQ(after_start.calls, 0);
}

TEST(Network, LetsAnAttemptsHandlerDestroyTheAttempt) {
  auto world = make_external_world();
  Accepting accepting(*world, Endpoint::tcp("127.0.0.1", 0));
  std::unique_ptr<Connecting> handle;
  bool connected = false;
  handle = world->network().connect(world->shard(0), accepting.local(), ConnectOptions(),
                                    [&, token = std::make_unique<int>(1)](StreamResult stream) {
                                      handle.reset();
                                      connected = stream.has_value() && *token == 1;
                                    });
  ASSERT_TRUE(turn_until(*world, [&] { return handle == nullptr; }));
  EXPECT_TRUE(connected);
}

TEST(Network, LetsAListenersHandlerDestroyTheListener) {
  auto world = make_external_world();
  std::unique_ptr<Listener> listener;
  int accepted = 0;
  auto made =
      world->network().listen(world->shard(0), Endpoint::tcp("127.0.0.1", 0), ListenOptions(),
                              [&, token = std::make_unique<int>(1)](StreamResult) {
                                listener.reset();
                                accepted += *token;
                              });
  ASSERT_TRUE(made.has_value());
  listener = std::move(*made);
  Dialing first(*world, listener->local());
  Dialing second(*world, listener->local());
  ASSERT_TRUE(turn_until(*world, [&] { return first.done() && second.done() && accepted > 0; }));
  EXPECT_EQ(accepted, 1);
}

TEST(Network, RefusesAPortThatIsTaken) {
  auto world = make_external_world();
  Accepting first(*world, Endpoint::tcp("127.0.0.1", 0));
  const Accepting second(*world, first.local());
  ASSERT_TRUE(second.refused.has_value());
  EXPECT_TRUE(second.refused->is(Errc::already_exists)) << second.refused->to_string();
}

TEST(Network, ReportsThatDescriptorsRanOutAndAcceptsOnceThereAreSomeAgain) {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer itself needs descriptors for the first check of a type";
#endif
#endif
  auto world = make_external_world();
  Accepting accepting(*world, Endpoint::tcp("127.0.0.1", 0));
  const auto address = to_socket_address(accepting.local());
  auto client = make_stream_socket(AF_INET, 0);
  ASSERT_TRUE(::connect(client->get(), address->get(), address->size) == 0 || errno == EINPROGRESS);

  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  {
    const Descriptor lowest_free(::dup(0));
    none.rlim_cur = static_cast<rlim_t>(lowest_free.get());
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool reported = turn_until(*world, [&] { return !accepting.errors.empty(); });
  const std::size_t turns_while_paused = world->run_once(Duration::zero());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  ASSERT_TRUE(reported);
  EXPECT_TRUE(accepting.errors[0].is(Errc::overloaded)) << accepting.errors[0].to_string();
  EXPECT_EQ(turns_while_paused, 0U) << "a full table must not spin";
  EXPECT_TRUE(turn_until(*world, [&] { return accepting.streams.size() == 1; }));
  EXPECT_EQ(accepting.errors.size(), 1U);
}

TEST(Interfaces, ContainTheLoopbackWithItsPrefix) {
  auto world = make_external_world();
  bool found = false;
  for (const InterfaceAddress& address : world->network().interfaces()) {
    EXPECT_FALSE(address.name.empty());
    if (address.address != "127.0.0.1") continue;
    found = true;
    EXPECT_EQ(address.name, "lo");
    EXPECT_EQ(address.prefix_bits, 8);
    EXPECT_TRUE(address.loopback);
    EXPECT_TRUE(address.up);
    EXPECT_FALSE(address.link_local);
    EXPECT_EQ(address.numa_node, -1);
  }
  EXPECT_TRUE(found);
}

}  // namespace network_test
}  // namespace velo::runtime
