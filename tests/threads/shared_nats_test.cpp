// SPDX-License-Identifier: Apache-2.0
// Eight threads on one queue in a NATS server of the machine. Skipped where there is none, and in
// builds without it.

#include "crew.hpp"

#include <gtest/gtest.h>

#ifdef VELO_WITH_NATS
#include <velo/queue/backends/nats.hpp>
#include <velo/queue/testing/real_nats.hpp>
#include <velo/runtime/real_world.hpp>
#endif

#include <atomic>
#include <memory>
#include <string>

namespace velo::threads_test {
namespace shared_nats_test {

#ifdef VELO_WITH_NATS

TEST(SharedQueue, InNatsEveryItemIsWorkedOff) {
  if (const std::string why = queue::testing::RealNats::missing(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  constexpr int rounds = 40;
  queue::testing::RealNats server;
  const auto world = runtime::RealWorld::create().value();
  queue::QueueOptions options;
  options.items_max = crew_size * rounds;
  options.overflow = queue::Overflow::block;
  queue::NatsOptions nats;
  nats.servers = {server.address()};
  const auto queue = queue::make_nats_queue(*world, "shared", options, nats).value();
  std::atomic<int> over{0};
  in_eight_threads([&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      ASSERT_TRUE(queue->send(Bytes::copy(std::to_string(thread))).get());
      const auto batch = queue->receive().get();
      ASSERT_TRUE(batch) << batch.error().to_string();
      for (const queue::Delivery& delivery : *batch) {
        if (round % 10 == 0 && delivery.deliveries == 1) {
          EXPECT_TRUE(queue->extend(delivery.lease).get());
          EXPECT_TRUE(queue->nack(delivery.lease).get());
        } else if (queue->ack(delivery.lease).get()) {
          ++over;
        }
      }
    }
  });
  while (over.load() < crew_size * rounds) {
    const auto batch = queue->receive().get();
    ASSERT_TRUE(batch && !batch->empty());
    for (const queue::Delivery& delivery : *batch) {
      if (queue->ack(delivery.lease).get()) ++over;
    }
  }
  EXPECT_EQ(queue->state().get().value().acked, static_cast<std::uint64_t>(crew_size) * rounds);
  EXPECT_TRUE(queue->close().get());
}

#else

TEST(SharedQueue, InNatsEveryItemIsWorkedOff) { GTEST_SKIP() << "built without NATS"; }

#endif

}  // namespace shared_nats_test
}  // namespace velo::threads_test
