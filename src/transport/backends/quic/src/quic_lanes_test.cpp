// SPDX-License-Identifier: Apache-2.0
// Frames over a network that loses, doubles and reorders: order within a lane, none between lanes,
// and what may be lost.

#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace velo::transport {
namespace quic_lanes_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

static sim::SimOptions bad_network() {
  sim::SimOptions options;
  options.link.datagram_loss_per_million = 20'000;
  options.link.datagram_duplicate_per_million = 10'000;
  options.link.datagram_reorder_per_million = 50'000;
  return options;
}

static std::size_t arrived_before(const End& end, std::string_view header) {
  const auto found = std::find_if(end.frames.begin(), end.frames.end(),
                                  [header](const auto& frame) { return frame.header == header; });
  return static_cast<std::size_t>(found - end.frames.begin());
}

}  // namespace quic_lanes_test

using namespace quic_lanes_test;  // NOLINT(google-build-using-namespace)

TEST(QuicLanes, KeepTheirOrderOverALossyNetworkAndLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Pair pair(seed, options(20), options(21), bad_network());
    ASSERT_FALSE(pair.connect().has_value()) << "seed " << seed;
    constexpr std::size_t count = 4000;
    constexpr std::size_t lanes = 5;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t lane = i % (lanes + 1);
      const std::size_t bytes = i % 400 == 7 ? 60'000 : 1 + i % 300;
      const auto sent =
          pair.client.send(std::to_string(lane) + " " + std::to_string(i), bytes,
                           lane == lanes ? OutFrame::any_lane : static_cast<std::uint32_t>(lane));
      ASSERT_EQ(sent.admission, Admission::accepted);
    }
    ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == count; })) << "seed " << seed;
    std::map<std::size_t, std::size_t> last;
    std::size_t out_of_order = 0;
    for (const End::Frame& frame : pair.server.frames) {
      const std::size_t lane = std::stoul(frame.header);
      const std::size_t i = std::stoul(frame.header.substr(2));
      EXPECT_EQ(frame.payload_bytes, i % 400 == 7 ? 60'000 : 1 + i % 300);
      const bool later = !last.contains(lane) || last[lane] < i;
      if (lane < lanes) {
        EXPECT_TRUE(later) << frame.header;
      } else if (!later) {
        ++out_of_order;
      }
      last[lane] = i;
    }
    EXPECT_GT(out_of_order, 0U) << "what has no order should not have waited for it";
    // What was acknowledged is not charged any more; what the library keeps for later is.
    ASSERT_TRUE(pair.until([&] { return pair.budgets[1]->used() < 1'000'000; }));
    EXPECT_EQ(pair.client.connection->queued(), 0U);
  }
}

TEST(QuicLanes, ALargeFrameDelaysNoOtherLane) {
  sim::SimOptions slow;
  slow.link.bytes_per_second = 2'000'000;
  Pair pair(7, options(20), options(21), slow);
  ASSERT_FALSE(pair.connect().has_value());
  pair.client.send("large", 2'000'000, 1);
  pair.simulation.run_for(milliseconds(100));
  pair.client.send("same lane", 1, 1);
  pair.client.send("other lane", 1, 2);
  pair.client.send("main lane", 1, 0);
  pair.client.send("any lane", 1, OutFrame::any_lane);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 5; }));
  const std::size_t large = arrived_before(pair.server, "large");
  EXPECT_EQ(large, 3U);
  EXPECT_LT(arrived_before(pair.server, "other lane"), large);
  EXPECT_LT(arrived_before(pair.server, "main lane"), large);
  EXPECT_LT(arrived_before(pair.server, "any lane"), large);
  EXPECT_GT(arrived_before(pair.server, "same lane"), large);
}

TEST(QuicLanes, WrittenWaitsForWhatWasAcceptedEarlier) {
  sim::SimOptions slow;
  slow.link.bytes_per_second = 2'000'000;
  Pair pair(8, options(20), options(21), slow);
  ASSERT_FALSE(pair.connect().has_value());
  const SendResult large = pair.client.send("large", 2'000'000, 1);
  const SendResult small = pair.client.send("small", 1, 2);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  EXPECT_EQ(pair.server.frames[0].header, "small");
  EXPECT_LT(pair.client.connection->written(), large.end);
  // What has left counts as left when the connection ends before its turn comes.
  pair.client.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(pair.until([&] { return pair.client.closed.has_value(); }));
  EXPECT_EQ(pair.client.connection->written(), small.end);
  EXPECT_GT(pair.client.connection->queued(), 0U);
}

TEST(QuicLanes, FramesThatMayBeLostAreLostAndCounted) {
  sim::SimOptions options_of_network;
  Pair pair(9, options(20), options(21), options_of_network);
  ASSERT_FALSE(pair.connect().has_value());
  sim::LinkOptions lossy;
  lossy.datagram_loss_per_million = 200'000;
  pair.simulation.set_link(pair.client_node, pair.server_node, lossy);
  constexpr std::size_t count = 400;
  for (std::size_t i = 0; i < count; ++i) {
    pair.client.send(std::to_string(i), 500, 0, true);
    if (i % 4 == 3) pair.simulation.run_for(milliseconds(2));
  }
  pair.client.send("reliable", 1);
  ASSERT_TRUE(pair.until([&] {
    const auto counts = pair.counts(pair.client);
    return counts.datagrams_acknowledged + counts.datagrams_lost + counts.datagrams_dropped >=
           count;
  }));
  const QuicConnectionCounts counts = pair.counts(pair.client);
  EXPECT_EQ(counts.datagrams_sent + counts.datagrams_dropped, count);
  EXPECT_GT(counts.datagrams_lost, 10U);
  ASSERT_TRUE(pair.until([&] {
    return !pair.server.frames.empty() &&
           pair.server.frames.size() == pair.counts(pair.server).datagrams_received + 1;
  }));
  EXPECT_GE(pair.counts(pair.server).datagrams_received, counts.datagrams_acknowledged);
  EXPECT_LT(pair.counts(pair.server).datagrams_received, count);
}

TEST(QuicLanes, AFrameThatIsTooLargeForADatagramIsNotLost) {
  Pair pair(10);
  ASSERT_FALSE(pair.connect().has_value());
  pair.client.send("large", 5000, 0, true);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1; }));
  EXPECT_EQ(pair.counts(pair.client).datagrams_sent, 0U);
  EXPECT_EQ(pair.server.frames[0].payload_bytes, 5000U);
}

TEST(QuicLanes, ShareABoundedNumberOfStreams) {
  Pair pair(11);
  ASSERT_FALSE(pair.connect().has_value());
  for (std::uint32_t lane = 0; lane < 1000; ++lane) pair.client.send("x", 1, lane);
  ASSERT_TRUE(pair.until([&] { return pair.server.frames.size() == 1000; }));
  EXPECT_EQ(pair.counts(pair.client).streams_opened, 1 + limits::quic_ordered_streams_max);
}

}  // namespace velo::transport
