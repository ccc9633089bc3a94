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

}  // namespace velo::sim::datagram_test
