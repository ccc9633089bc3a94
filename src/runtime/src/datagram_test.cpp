// SPDX-License-Identifier: Apache-2.0
// Tests of UDP sockets.

#include "datagram.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
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

/// What a socket with events was told, and what it does then.
struct Listening final : DatagramEvents {
  void open(RealWorld& world, const std::string& host, std::uint16_t port,
            const DatagramOptions& options = DatagramOptions()) {
    auto opened =
        world.network().open_datagram(world.shard(0), Endpoint::tcp(host, port), options, *this);
    if (opened.has_value()) {
      socket = std::move(*opened);
    } else {
      refused = opened.error();
    }
  }
  void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) override {
    senders.push_back(from);
    destinations.push_back(to);
    datagrams.emplace_back(as_text(datagram));
    if (close_when_told) socket.reset();
  }
  void on_batch_end() override { told_at_batch_end.push_back(datagrams.size()); }
  std::uint16_t port() const { return socket->local().port; }

  std::vector<NetAddress> senders;
  std::vector<NetAddress> destinations;
  std::vector<std::string> datagrams;
  std::vector<std::size_t> told_at_batch_end;
  std::optional<Error> refused;
  bool close_when_told = false;
  std::unique_ptr<DatagramSocket> socket;
};

NetAddress address_of(const std::string& host, std::uint16_t port) {
  return *to_net_address(Endpoint::tcp(host, port));
}

TEST(DatagramSocket, TellsABatchAndTheAddressThatItWasSentTo) {
  auto world = make_external_world();
  Listening b;
  b.open(*world, "0.0.0.0", 0);
  Listening a;
  a.open(*world, "127.0.0.1", 0);
  ASSERT_NE(b.socket, nullptr);
  const NetAddress there = address_of("127.0.0.2", b.port());
  const IoResult sent = a.socket->try_send_segments(there, as_bytes("aaabbbcc"), 3);
  EXPECT_EQ(sent.status, IoResult::Status::ok);
  EXPECT_EQ(sent.bytes, 8U);
  ASSERT_TRUE(turn_until(*world, [&] { return b.datagrams.size() == 3; }));
  EXPECT_EQ(b.datagrams, (std::vector<std::string>{"aaa", "bbb", "cc"}));
  EXPECT_EQ(b.told_at_batch_end, (std::vector<std::size_t>{3}));
  EXPECT_EQ(b.destinations, std::vector<NetAddress>(3, there));
  EXPECT_EQ(b.senders, std::vector<NetAddress>(3, address_of("127.0.0.1", a.port())));
  EXPECT_EQ(a.socket->try_send_segments(there, as_bytes("x"), 0).system_error, EINVAL);
}

TEST(DatagramSocket, SendsFromTheAddressThatItIsToldTo) {
  auto world = make_external_world();
  for (const char* host : {"127.0.0.2", "::1"}) {
    const bool v6 = std::string_view(host) == "::1";
    Listening b;
    b.open(*world, v6 ? "::" : "0.0.0.0", 0);
    Listening a;
    a.open(*world, v6 ? "::1" : "127.0.0.1", 0);
    if (a.socket == nullptr) continue;
    const NetAddress there = to_net_address(a.socket->local()).value();
    const NetAddress here = address_of(host, b.port());
    for (const std::size_t segment : {std::size_t{3}, std::size_t{10}}) {
      a.senders.clear();
      const std::size_t count = segment == 3 ? 3 : 1;
      const IoResult sent =
          b.socket->try_send_segments_from(here, there, as_bytes("aaabbbcc"), segment);
      ASSERT_EQ(sent.status, IoResult::Status::ok);
      ASSERT_TRUE(turn_until(*world, [&] { return a.senders.size() == count; }));
      EXPECT_EQ(a.senders, std::vector<NetAddress>(count, here));
    }
    const NetAddress not_ours = address_of(v6 ? "2001:db8::1" : "192.0.2.1", b.port());
    EXPECT_EQ(b.socket->try_send_segments_from(not_ours, there, as_bytes("x"), 1).status,
              IoResult::Status::error);
  }
}

TEST(DatagramSocket, TellsTheIPv6AddressThatItWasSentTo) {
  auto world = make_external_world();
  Listening b;
  b.open(*world, "::", 0);
  Listening a;
  a.open(*world, "::1", 0);
  if (a.socket == nullptr) GTEST_SKIP() << "no IPv6 here";
  const NetAddress there = address_of("::1", b.port());
  EXPECT_EQ(a.socket->try_send_segments(there, as_bytes("x"), 10).status, IoResult::Status::ok);
  ASSERT_TRUE(turn_until(*world, [&] { return b.datagrams.size() == 1; }));
  EXPECT_EQ(b.destinations[0], there);
}

TEST(DatagramSocket, ThousandsInOnePieceArriveAsTheyWereCut) {
  auto world = make_external_world();
  DatagramOptions options;
  options.socket_buffer_bytes = std::size_t{4} << 20;
  options.never_fragment = true;
  for (const char* host : {"127.0.0.1", "::1"}) {
    Listening b;
    b.open(*world, host, 0, options);
    Listening a;
    a.open(*world, host, 0, options);
    if (a.socket == nullptr) continue;
    const NetAddress there = address_of(host, b.port());
    std::string all;
    for (int i = 0; all.size() < 150'000; ++i) all += std::to_string(i) + " ";
    constexpr std::size_t segment = 1200;
    std::string got;
    for (std::size_t sent = 0; sent < all.size();) {
      const IoResult taken =
          a.socket->try_send_segments(there, as_bytes(std::string_view(all).substr(sent)), segment);
      ASSERT_EQ(taken.status, IoResult::Status::ok);
      ASSERT_TRUE(taken.bytes % segment == 0 || sent + taken.bytes == all.size());
      sent += taken.bytes;
    }
    // What found no room was lost; what came is whole, and was told apart.
    ASSERT_TRUE(turn_until(*world, [&] { return b.datagrams.size() >= 40; }));
    for (const std::string& one : b.datagrams) {
      EXPECT_TRUE(one.size() == segment || one.size() == all.size() % segment) << one.size();
      EXPECT_NE(all.find(one), std::string::npos);
    }
  }
}

TEST(DatagramSocket, OfMixedSizesArriveAsTheyWereSent) {
  auto world = make_external_world();
  Listening b;
  b.open(*world, "127.0.0.1", 0);
  Listening a;
  a.open(*world, "127.0.0.1", 0);
  const NetAddress there = address_of("127.0.0.1", b.port());
  std::vector<std::string> sent;
  for (std::size_t size : {1U, 700U, 700U, 700U, 300U, 0U, 1400U, 1400U, 9U, 60'000U}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    ASSERT_EQ(a.socket->try_send_segments(there, as_bytes(sent.back()), 65'000).status,
              IoResult::Status::ok);
  }
  ASSERT_TRUE(turn_until(*world, [&] { return b.datagrams.size() == sent.size(); }));
  EXPECT_EQ(b.datagrams, sent);
}

TEST(DatagramSocket, TellsNothingAfterItsEndInsideATelling) {
  auto world = make_external_world();
  Listening b;
  b.open(*world, "127.0.0.1", 0);
  Listening a;
  a.open(*world, "127.0.0.1", 0);
  b.close_when_told = true;
  const NetAddress there = address_of("127.0.0.1", b.port());
  ASSERT_EQ(a.socket->try_send_segments(there, as_bytes("abc"), 1).bytes, 3U);
  ASSERT_TRUE(turn_until(*world, [&] { return !b.datagrams.empty(); }));
  world->run_once(Duration::zero());
  EXPECT_EQ(b.datagrams.size(), 1U);
  EXPECT_TRUE(b.told_at_batch_end.empty());
}

TEST(DatagramSocket, SaysOnceThatItCanSendAndStillReceives) {
  auto world = make_external_world();
  Listening a;
  a.open(*world, "127.0.0.1", 0);
  int times = 0;
  a.socket->want_write([&] { ++times; });
  EXPECT_EQ(times, 0);
  ASSERT_TRUE(turn_until(*world, [&] { return times > 0; }));
  (void)a.socket->try_send(a.socket->local(), as_bytes("x"));
  ASSERT_TRUE(turn_until(*world, [&] { return a.datagrams.size() == 1; }));
  EXPECT_EQ(times, 1);
  a.socket->want_write([&] { a.socket.reset(); });
  ASSERT_TRUE(turn_until(*world, [&] { return a.socket == nullptr; }));
}

TEST(DatagramSocket, SharesItsPortOnlyWithThoseThatShareIt) {
  auto world = make_external_world();
  DatagramOptions shared;
  shared.share_port = true;
  Listening a;
  a.open(*world, "127.0.0.1", 0, shared);
  Listening b;
  b.open(*world, "127.0.0.1", a.port(), shared);
  EXPECT_NE(b.socket, nullptr);
  Listening c;
  c.open(*world, "127.0.0.1", a.port());
  ASSERT_TRUE(c.refused.has_value());
  EXPECT_TRUE(c.refused->is(Errc::already_exists));
}

struct Family {
  const char* any;
  const char* group;
  const char* other_group;
};

/// The interface that can multicast in this family, by number; empty if the machine has none.
std::string multicast_interface(RealWorld& world, bool v6) {
  for (const InterfaceAddress& one : world.network().interfaces()) {
    const auto address = to_net_address(Endpoint::tcp(one.address, 0));
    const bool fits = address.has_value() && address->v6 == v6;
    if (fits && one.up && one.multicast && !one.loopback) return "%" + std::to_string(one.index);
  }
  return {};
}

class Multicast : public ::testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    const bool v6 = std::string_view(GetParam().any) == "::";
    interface_ = multicast_interface(*world_, v6);
    if (interface_.empty()) GTEST_SKIP() << "no interface of this machine can multicast";
  }
  DatagramOptions options(const char* group) const {
    DatagramOptions made;
    made.share_port = true;
    made.interface_address = interface_;
    made.multicast_hops = 0;  // what tests say stays on this host
    if (group != nullptr) made.multicast_groups.emplace_back(group);
    return made;
  }

  std::unique_ptr<RealWorld> world_ = make_external_world();
  std::string interface_;
};

TEST_P(Multicast, ReachesEveryMemberOfTheGroupAndNobodyElse) {
  const Family& family = GetParam();
  Listening a;
  a.open(*world_, family.any, 0, options(family.group));
  ASSERT_FALSE(a.refused.has_value()) << a.refused->to_string();
  Listening b;
  b.open(*world_, family.any, a.port(), options(family.group));
  Listening other;
  other.open(*world_, family.any, a.port(), options(family.other_group));
  Listening none;
  none.open(*world_, family.any, a.port(), options(nullptr));
  const NetAddress group = address_of(family.group, a.port());
  ASSERT_EQ(a.socket->try_send_segments(group, as_bytes("hello"), 5).bytes, 5U);
  const auto both = [&] { return !a.datagrams.empty() && !b.datagrams.empty(); };
  ASSERT_TRUE(turn_until(*world_, both));
  NetAddress told = b.destinations[0];
  told.scope = 0;
  EXPECT_EQ(told, group);
  // What is sent to the other group arrives after it would have arrived here, too.
  (void)a.socket->try_send_segments(address_of(family.other_group, a.port()), as_bytes("x"), 1);
  ASSERT_TRUE(turn_until(*world_, [&] { return !other.datagrams.empty(); }));
  EXPECT_EQ(a.datagrams, std::vector<std::string>{"hello"});
  EXPECT_EQ(b.datagrams, std::vector<std::string>{"hello"});
  EXPECT_EQ(other.datagrams, std::vector<std::string>{"x"});
  EXPECT_TRUE(none.datagrams.empty());
}

TEST_P(Multicast, StaysAwayFromThisHostWhenToldSo) {
  const Family& family = GetParam();
  Listening member;
  member.open(*world_, family.any, 0, options(family.group));
  DatagramOptions quiet = options(nullptr);
  quiet.multicast_loopback = false;
  Listening sender;
  sender.open(*world_, family.any, 0, quiet);
  Listening loud;
  loud.open(*world_, family.any, 0, options(nullptr));
  ASSERT_FALSE(member.refused.has_value());
  const NetAddress group = address_of(family.group, member.port());
  (void)sender.socket->try_send_segments(group, as_bytes("unheard"), 7);
  ASSERT_EQ(loud.socket->try_send_segments(group, as_bytes("heard"), 5).bytes, 5U);
  ASSERT_TRUE(turn_until(*world_, [&] { return !member.datagrams.empty(); }));
  EXPECT_EQ(member.datagrams, std::vector<std::string>{"heard"});
}

INSTANTIATE_TEST_SUITE_P(DatagramSocket, Multicast,
                         ::testing::Values(Family{"0.0.0.0", "239.255.77.1", "239.255.77.2"},
                                           Family{"::", "ff02::7771", "ff02::7772"}));

TEST(DatagramSocket, RefusesWhatIsNoGroupOrNoInterface) {
  auto world = make_external_world();
  for (const char* wrong : {"10.0.0.1", "ff02::1", "nonsense"}) {
    DatagramOptions options;
    options.multicast_groups.emplace_back(wrong);
    options.interface_address = "127.0.0.1";
    Listening a;
    a.open(*world, "0.0.0.0", 0, options);
    ASSERT_TRUE(a.refused.has_value()) << wrong;
    EXPECT_TRUE(a.refused->is(Errc::invalid_argument)) << wrong;
  }
  DatagramOptions nowhere;
  nowhere.interface_address = "192.0.2.253";
  Listening a;
  a.open(*world, "0.0.0.0", 0, nowhere);
  ASSERT_TRUE(a.refused.has_value());
  EXPECT_TRUE(a.refused->is(Errc::invalid_argument));
}

}  // namespace datagram_test
}  // namespace velo::runtime
