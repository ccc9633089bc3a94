// SPDX-License-Identifier: Apache-2.0
// What the QUIC library holds for a connection: charged while it is held, bounded whatever the
// other end does, and given back.

#include "memory_count.hpp"
#include "testing/quic_pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace velo::transport {
namespace quic_memory_test {

using namespace quic_testing;  // NOLINT(google-build-using-namespace)

constexpr std::size_t mib = std::size_t{1} << 20;

/// A budget is told of every few KiB.
static void expect_charged(const MemoryBudget& budget, std::size_t held) {
  EXPECT_LE(budget.used(), held);
  EXPECT_GE(budget.used() + (std::size_t{8} << 10), held);
}

static sim::SimOptions lossy() {
  sim::SimOptions options;
  options.link.datagram_loss_per_million = 30'000;
  options.link.datagram_reorder_per_million = 50'000;
  return options;
}

}  // namespace quic_memory_test

using namespace quic_memory_test;  // NOLINT(google-build-using-namespace)

TEST(QuicMemory, WhatIsHeldBeyondAConnectionsNeedsIsCharged) {
  const auto budget = std::make_shared<MemoryBudget>();
  {
    MemoryCount count(budget);
    const ngtcp2_mem* memory = count.native();
    void* small = memory->malloc(1000, memory->user_data);
    count.settle();
    EXPECT_EQ(budget->used(), 0U);
    void* large = memory->calloc(10, 100'000, memory->user_data);
    count.settle();
    EXPECT_EQ(count.bytes(), 1'001'000U);
    expect_charged(*budget, 1'001'000U - limits::quic_uncharged_bytes);
    large = memory->realloc(large, 2'000'000, memory->user_data);
    count.settle();
    expect_charged(*budget, 2'001'000U - limits::quic_uncharged_bytes);
    memory->free(large, memory->user_data);
    count.settle();
    EXPECT_EQ(budget->used(), 0U);
    memory->free(small, memory->user_data);
    EXPECT_EQ(count.bytes(), 0U);
    (void)memory->malloc(500'000, memory->user_data);  // forgotten
    count.settle();
    EXPECT_GT(budget->used(), 0U);
  }
  EXPECT_EQ(budget->used(), 0U);
}

TEST(QuicMemory, ABurstLeavesLittleBehindAndEndsWithTheConnection) {
  Pair pair(1, options(20), options(21), lossy());
  ASSERT_FALSE(pair.connect().has_value());
  constexpr std::size_t frames = 20;
  constexpr std::size_t payload = 500'000;
  for (std::size_t round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < frames; ++i) {
      pair.client.send("there", payload, static_cast<std::uint32_t>(i));
      pair.server.send("back", payload, static_cast<std::uint32_t>(i));
    }
    std::size_t most = 0;
    ASSERT_TRUE(pair.until([&] {
      most = std::max({most, pair.budgets[0]->used(), pair.budgets[1]->used()});
      return pair.client.frames.size() == round * frames &&
             pair.server.frames.size() == round * frames;
    }));
    EXPECT_GT(most, 4 * mib) << "what is queued is charged";
    // What is under way is acknowledged a moment later.
    pair.simulation.run_for(seconds(2));
    for (const auto& budget : pair.budgets) {
      // The library keeps its pools of small records for as long as the connection lives: they are
      // really held, so they stay charged, and do not grow from burst to burst.
      EXPECT_LE(budget->used(), 2 * mib) << "round " << round;
    }
  }
  pair.client.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(pair.until([&] { return pair.client.closed && pair.server.closed; }));
  EXPECT_EQ(pair.budgets[0]->used(), 0U);
  EXPECT_EQ(pair.budgets[1]->used(), 0U);
}

}  // namespace velo::transport
