// SPDX-License-Identifier: Apache-2.0
// Datagrams: delivery, loss, doubling, reordering, partitions.

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace velo::sim::datagram_test {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Sockets {
  std::vector<std::string> heard;
  std::unique_ptr<DatagramSocket> from;
  std::unique_ptr<DatagramSocket> to;

  Sockets(SimNode& a, SimNode& b) {
    from = std::move(
        *a.network().bind_datagram(a.shard(0), a.endpoint(0), [](const Endpoint&, ByteSpan) {}));
    const Endpoint sender = from->local();
    to = std::move(*b.network().bind_datagram(
        b.shard(0), b.endpoint(53), [this, sender](const Endpoint& origin, ByteSpan datagram) {
          EXPECT_EQ(origin, sender);
          heard.emplace_back(as_text(datagram));
        }));
  }
  void send(int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(from->try_send(to->local(), as_bytes(std::to_string(i))).status,
                IoResult::Status::ok);
    }
  }
};

TEST(SimDatagram, ArrivesOnceAndOvertakesWhenLatencyVaries) {
  Simulation sim(1);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Sockets sockets(a, b);
  sockets.send(100);
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(sockets.heard.size(), 100U);
  std::vector<std::string> expected;
  expected.reserve(100);
  for (int i = 0; i < 100; ++i) expected.push_back(std::to_string(i));
  EXPECT_NE(sockets.heard, expected);
  EXPECT_TRUE(std::is_permutation(sockets.heard.begin(), sockets.heard.end(), expected.begin()));
}

TEST(SimDatagram, IsLostAndDoubledAtTheRatesOfTheLink) {
  SimOptions options;
  options.link.datagram_loss_per_million = 300'000;
  options.link.datagram_duplicate_per_million = 100'000;
  options.link.datagram_reorder_per_million = 100'000;
  Simulation sim(2, options);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Sockets sockets(a, b);
  for (int round = 0; round < 100; ++round) {
    sockets.send(100);
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  }
  EXPECT_GT(sockets.heard.size(), 7400U);
  EXPECT_LT(sockets.heard.size(), 8000U);
  EXPECT_GT(sim.stats().datagrams_lost, 2700U);
}

TEST(SimDatagram, IsDroppedByPartitionsFullBuffersAndDeadNodes) {
  Simulation sim(3);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Sockets sockets(a, b);
  sim.partition_one_way(a, b);
  sockets.send(1);
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  sim.heal();
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_TRUE(sockets.heard.empty());

  sim.pause(b);
  sockets.send(1000);
  sim.run_for(seconds(1));
  sim.resume(b);
  sim.run_for(seconds(1));
  EXPECT_EQ(sockets.heard.size(), 256U);

  sim.crash(b);
  sockets.send(1);
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(sockets.heard.size(), 256U);
  EXPECT_EQ(sockets.to->try_send(sockets.from->local(), as_bytes("x")).status,
            IoResult::Status::error);
  const std::string large(70'000, 'x');
  EXPECT_EQ(sockets.from->try_send(b.endpoint(53), as_bytes(large)).status,
            IoResult::Status::error);
}

struct Member final : DatagramEvents {
  Member(SimNode& n, const DatagramOptions& options, const std::string& host = "0.0.0.0")
      : node(n) {
    auto opened =
        node.network().open_datagram(node.shard(0), Endpoint::tcp(host, 77), options, *this);
    if (opened.has_value()) socket = std::move(*opened);
  }
  void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) override {
    heard.emplace_back(as_text(datagram));
    last_from = to_endpoint(from);
    last_to = to_endpoint(to);
    open_batch = true;
  }
  void on_batch_end() override {
    EXPECT_TRUE(open_batch);
    open_batch = false;
    ++batches;
  }
  void say(const std::string& group, const std::string& text) {
    EXPECT_EQ(socket->try_send(Endpoint::tcp(group, 77), as_bytes(text)).status,
              IoResult::Status::ok);
  }

  SimNode& node;
  std::vector<std::string> heard;
  Endpoint last_from;
  Endpoint last_to;
  int batches = 0;
  bool open_batch = false;
  std::unique_ptr<DatagramSocket> socket;
};

DatagramOptions member_of(const std::string& group, const std::string& interface = {}) {
  DatagramOptions options;
  options.share_port = true;
  options.multicast_groups.push_back(group);
  options.interface_address = interface;
  return options;
}

using Texts = std::vector<std::string>;

TEST(SimMulticast, ReachesTheMembersThatCanBeReached) {
  Simulation sim(1);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  SimNode& c = sim.add_node("c");
  Member on_a(a, member_of("239.255.1.1"));
  Member on_b(b, member_of("239.255.1.1"));
  Member again_on_b(b, member_of("239.255.1.1"));
  Member other_on_b(b, member_of("ff02::1"));
  Member on_c(c, member_of("239.255.1.1"), "239.255.1.1");
  on_a.say("239.255.1.1", "one");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  for (const Member* member : {&on_a, &on_b, &again_on_b, &on_c}) {
    EXPECT_EQ(member->heard, Texts{"one"});
    EXPECT_EQ(member->last_from, a.endpoint(77));
    EXPECT_EQ(member->last_to, Endpoint::tcp("239.255.1.1", 77));
    EXPECT_EQ(member->batches, 1);
    EXPECT_FALSE(member->open_batch);
  }
  EXPECT_TRUE(other_on_b.heard.empty());

  sim.partition(a, c);
  again_on_b.socket.reset();
  on_a.say("239.255.1.1", "two");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(on_b.heard, (Texts{"one", "two"}));
  EXPECT_EQ(again_on_b.heard, Texts{"one"});
  EXPECT_EQ(on_c.heard, Texts{"one"});

  sim.heal();
  sim.crash(b);
  on_a.say("239.255.1.1", "three");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(on_b.heard, (Texts{"one", "two"}));
  EXPECT_EQ(on_c.heard, (Texts{"one", "three"}));
  EXPECT_EQ(other_on_b.heard, Texts{});
}

TEST(SimMulticast, StaysOnItsHostOrAwayFromItAsToldTo) {
  Simulation sim(2);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  DatagramOptions quiet = member_of("239.255.1.1");
  quiet.multicast_loopback = false;
  Member on_a(a, quiet);
  Member on_b(b, member_of("239.255.1.1"));
  Member local_a(a, member_of("239.255.1.1", "127.0.0.1"));
  Member local_b(b, member_of("239.255.1.1", "127.0.0.1"));
  on_a.say("239.255.1.1", "away");
  local_a.say("239.255.1.1", "here");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_TRUE(on_a.heard.empty());
  EXPECT_EQ(on_b.heard, Texts{"away"});
  EXPECT_EQ(local_a.heard, Texts{"here"});
  EXPECT_TRUE(local_b.heard.empty());
  EXPECT_EQ(Member(a, member_of("239.255.1.1", "10.9.9.9")).socket, nullptr);
  EXPECT_EQ(Member(a, member_of("10.0.0.1")).socket, nullptr);
  EXPECT_EQ(Member(a, DatagramOptions()).socket, nullptr) << "the port is taken";
}

TEST(SimMulticast, IsLostForEachMemberOnItsOwn) {
  SimOptions options;
  options.link.datagram_loss_per_million = 500'000;
  Simulation sim(3, options);
  SimNode& a = sim.add_node("a");
  Member on_a(a, member_of("239.255.1.1"));
  std::vector<std::unique_ptr<Member>> members;
  for (int i = 0; i < 10; ++i) {
    SimNode& node = sim.add_node("node" + std::to_string(i));
    members.push_back(std::make_unique<Member>(node, member_of("239.255.1.1")));
  }
  for (int i = 0; i < 100; ++i) on_a.say("239.255.1.1", std::to_string(i));
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(on_a.heard.size(), 100U) << "the own host loses nothing";
  for (const auto& member : members) {
    EXPECT_GT(member->heard.size(), 25U);
    EXPECT_LT(member->heard.size(), 75U);
    EXPECT_NE(member->heard, members[member == members[0] ? 1 : 0]->heard);
  }
}

TEST(SimMulticast, ASharedPortGivesTheLastSocketWhatIsSentToTheMachine) {
  Simulation sim(4);
  SimNode& a = sim.add_node("a");
  Member first(a, member_of("239.255.1.1"));
  Member last(a, member_of("239.255.1.1"));
  EXPECT_EQ(first.socket->try_send(a.endpoint(77), as_bytes("x")).status, IoResult::Status::ok);
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_TRUE(first.heard.empty());
  EXPECT_EQ(last.heard, Texts{"x"});
  EXPECT_EQ(last.last_to, a.endpoint(77));
}

}  // namespace velo::sim::datagram_test
