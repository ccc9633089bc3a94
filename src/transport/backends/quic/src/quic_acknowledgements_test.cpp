// SPDX-License-Identifier: Apache-2.0
// Timers are coarse, so that acknowledgements travel with what is sent anyway; not so coarse that
// somebody waits for them.

#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace velo::transport {
namespace quic_acknowledgements_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

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

}  // namespace quic_acknowledgements_test
}  // namespace velo::transport
