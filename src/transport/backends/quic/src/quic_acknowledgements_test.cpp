// SPDX-License-Identifier: Apache-2.0
// How many packets an exchange takes: acknowledgements travel with what is sent anyway.

#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace velo::transport {
namespace quic_acknowledgements_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

/// Round trips one after the other, on lane 0 or in no order; false if one did not come back.
static bool exchange(Pair& pair, int count, std::uint32_t answer_lane) {
  for (int i = 0; i < count; ++i) {
    const std::size_t asked = pair.server.frames.size();
    pair.client.send("question", 64);
    if (!pair.until([&] { return pair.server.frames.size() > asked; })) return false;
    const std::size_t answered = pair.client.frames.size();
    pair.server.send("answer", 64, answer_lane);
    if (!pair.until([&] { return pair.client.frames.size() > answered; })) return false;
  }
  return true;
}

}  // namespace quic_acknowledgements_test

using namespace quic_acknowledgements_test;  // NOLINT(google-build-using-namespace)

TEST(QuicAcknowledgements, TravelWithTheNextQuestionWhereTheRoundTripIsShort) {
  sim::SimOptions near;
  near.link.latency = sim::Latency::fixed(std::chrono::microseconds(15));
  Pair pair(30, options(20), options(21), near);
  ASSERT_FALSE(pair.connect().has_value());
  ASSERT_TRUE(exchange(pair, 100, OutFrame::any_lane));
  constexpr std::uint64_t count = 400;
  const std::uint64_t before = pair.server_counts().datagrams_received;
  ASSERT_TRUE(exchange(pair, count, OutFrame::any_lane));
  const std::uint64_t packets = pair.server_counts().datagrams_received - before;
  EXPECT_GE(packets, count);
  // One more in each millisecond, which is 33 round trips, and some to spare.
  EXPECT_LT(packets, count + count / 8);
}

TEST(QuicAcknowledgements, ComeSoonWhenThereIsNothingToSend) {
  Pair pair(31);
  ASSERT_FALSE(pair.connect().has_value());
  pair.simulation.run_for(milliseconds(200));
  const SendResult sent = pair.client.send("question", 64);
  ASSERT_TRUE(pair.until([&] { return !pair.server.frames.empty(); }));
  // Closing after everything has arrived needs to hear of it.
  const TimePoint asked = pair.client_node.clock().now();
  pair.client.connection->close_after_flush(make_error(Errc::closed_locally), seconds(10));
  ASSERT_TRUE(pair.until([&] { return pair.client.closed.has_value(); }));
  EXPECT_LT(pair.client_node.clock().now() - asked, milliseconds(25));
  EXPECT_GE(pair.client.connection->written(), sent.end);
}

}  // namespace velo::transport
