// SPDX-License-Identifier: Apache-2.0
// Memory budgets: who may take how much, and that all of it comes back.

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace velo {
namespace budget_test {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t uncharged = limits::uncharged_bytes;

/// Grows in steps until it is refused; how far it came.
static std::uint64_t fill(Holding& holding, std::uint64_t step, Lane lane) {
  while (holding.add(step, lane)) {
  }
  return holding.bytes();
}

TEST(MemoryBudget, RequestsLeaveTheLastSixteenthToReplies) {
  MemoryBudget budget(16 * mib);
  EXPECT_TRUE(budget.try_take(15 * mib, Lane::requests));
  EXPECT_FALSE(budget.try_take(1, Lane::requests));
  EXPECT_TRUE(budget.try_take(mib, Lane::replies));
  EXPECT_FALSE(budget.try_take(1, Lane::replies));
  EXPECT_EQ(budget.used(), 16 * mib);
  budget.give_back(16 * mib);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudget, WhatIsHeldAlreadyMayGoOverItAndThenNothingElseFits) {
  MemoryBudget budget(mib);
  budget.take(2 * mib);
  EXPECT_FALSE(budget.try_take(1, Lane::replies));
  EXPECT_EQ(budget.share(Lane::replies, 0), 0U);
  budget.give_back(2 * mib);
  EXPECT_TRUE(budget.try_take(1, Lane::replies));
}

TEST(MemoryBudget, ATinyOneIsRaisedAndAPeerNeverGetsMoreThanAQuarter) {
  const MemoryBudget tiny(1, 5 * mib);
  EXPECT_EQ(tiny.bytes_max(), limits::memory_budget_bytes_min);
  EXPECT_EQ(tiny.peer_bytes_max(), limits::memory_budget_bytes_min / 4);
  const MemoryBudget usual;
  EXPECT_EQ(usual.bytes_max(), limits::memory_budget_bytes_default);
  EXPECT_EQ(usual.peer_bytes_max(), limits::peer_memory_bytes_default);
  const MemoryBudget chosen(64 * mib, 2 * mib);
  EXPECT_EQ(chosen.peer_bytes_max(), 2 * mib);
}

TEST(Allowance, TheFirstBytesCostNothing) {
  const auto budget = std::make_shared<MemoryBudget>();
  Allowance allowance(budget);
  EXPECT_TRUE(allowance.admits(uncharged, Lane::requests));
  EXPECT_EQ(budget->used(), 0U);
  EXPECT_FALSE(allowance.unsettled(uncharged));
  EXPECT_TRUE(allowance.admits(uncharged + 1, Lane::requests));
  EXPECT_EQ(budget->used(), limits::allowance_chunk_bytes - uncharged);
}

TEST(Allowance, GrowsByChunksAndShrinksOnceHalfOfItIsNotNeeded) {
  const auto budget = std::make_shared<MemoryBudget>();
  Allowance allowance(budget);
  ASSERT_TRUE(allowance.admits(10 * mib, Lane::requests));
  EXPECT_EQ(budget->used(), 10 * mib - uncharged);
  allowance.settle(6 * mib);
  EXPECT_EQ(budget->used(), 10 * mib - uncharged);
  allowance.settle(5 * mib);
  EXPECT_EQ(budget->used(), 5 * mib - uncharged);
  allowance.settle(uncharged);
  EXPECT_EQ(budget->used(), 0U);
}

TEST(Allowance, TakesWhatIsMissingWhenMoreIsHeldThanWasGranted) {
  const auto budget = std::make_shared<MemoryBudget>();
  {
    Allowance allowance(budget);
    EXPECT_TRUE(allowance.unsettled(mib));
    allowance.settle(mib);
    EXPECT_EQ(budget->used(), mib - uncharged);
  }
  EXPECT_EQ(budget->used(), 0U);
}

TEST(Allowance, OneHolderGetsItsShareAndLeavesASixteenthOfItToReplies) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  Holding holding(budget);
  const std::uint64_t requests = fill(holding, 1000, Lane::requests);
  EXPECT_LE(requests, 15 * mib);
  EXPECT_GT(requests, 15 * mib - 2000);
  const std::uint64_t all = fill(holding, 1000, Lane::replies);
  EXPECT_LE(all, 16 * mib);
  EXPECT_GT(all, 16 * mib - 2000);
  EXPECT_EQ(budget->refused(), 2U);
  EXPECT_FALSE(holding.add(1, Lane::requests));
  holding.clear();
  EXPECT_EQ(budget->used(), 0U);
}

TEST(Allowance, RequestsDoNotUseWhatRepliesWereGranted) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  Holding holding(budget);
  ASSERT_TRUE(holding.add(16 * mib, Lane::replies));
  holding.remove(mib / 2);
  EXPECT_FALSE(holding.add(1000, Lane::requests));
  EXPECT_TRUE(holding.add(1000, Lane::replies));
}

TEST(Allowance, ManyGreedyHoldersLeaveRoomForOneMore) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  std::deque<Holding> greedy;
  for (int i = 0; i < 1000; ++i) greedy.emplace_back(budget);
  // In turns, so that nobody is first.
  for (bool grew = true; grew;) {
    grew = false;
    for (Holding& holding : greedy) grew = holding.add(8192, Lane::requests) || grew;
  }
  EXPECT_LE(budget->used(), 60 * mib);
  Holding another(budget);
  EXPECT_TRUE(another.add(32'768, Lane::requests));
  EXPECT_TRUE(another.add(100'000, Lane::replies));
  const std::uint64_t hoarded = greedy.front().bytes();
  greedy.clear();
  another.clear();
  EXPECT_EQ(budget->used(), 0U);
  EXPECT_LE(hoarded, 128U << 10);
}

TEST(Charge, IsGivenBackOnceByWhoeverHasItLast) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  {
    Charge first = Charge::try_take(budget, 1000, Lane::requests);
    EXPECT_TRUE(first);
    Charge second = std::move(first);
    EXPECT_EQ(budget->used(), 1000U);
    second = Charge::take(budget, 500);
    EXPECT_EQ(second.bytes(), 500U);
  }
  EXPECT_EQ(budget->used(), 0U);
  EXPECT_FALSE(Charge::try_take(budget, 15 * mib + 1, Lane::requests));
  EXPECT_EQ(budget->refused(), 1U);
  EXPECT_EQ(budget->use().refused, 1U);
}

TEST(Charge, OfABlockEndsWithItsLastOwnerOrEarlier) {
  const auto budget = std::make_shared<MemoryBudget>(64 * mib);
  std::optional<Bytes> kept;
  {
    BytesBuilder builder(100, Charge::try_take(budget, 100, Lane::requests));
    builder.commit(100);
    const Bytes whole = std::move(builder).take();
    kept = whole.slice(10, 5);
  }
  EXPECT_EQ(budget->used(), 100U);
  kept.reset();
  EXPECT_EQ(budget->used(), 0U);

  BytesBuilder builder(100, Charge::try_take(budget, 100, Lane::requests));
  builder.commit(3);
  const Bytes bytes = std::move(builder).take();
  EXPECT_EQ(budget->used(), 100U);
  bytes.end_charge();
  bytes.slice(1).end_charge();
  EXPECT_EQ(budget->used(), 0U);
  Bytes::copy("not charged").end_charge();
}

TEST(MemoryBudget, EightThreadsThatTakeAndGiveBackLoseNothing) {
  const auto budget = std::make_shared<MemoryBudget>(8 * mib);
  Allowance shared(budget);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> over{0};
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, state = seed * 2'654'435'761U + 1]() mutable {
      Holding own(budget);
      for (int i = 0; i < 20'000; ++i) {
        state = state * 1'664'525U + 1'013'904'223U;
        const std::size_t bytes = (state >> 8U) % 300'000;
        const Lane lane = (state >> 30U) % 2 == 0 ? Lane::requests : Lane::replies;
        if (own.add(bytes, lane) && own.bytes() > mib) own.clear();
        if (shared.admits(bytes, lane)) shared.settle(0);
        const Charge charge = Charge::try_take(budget, bytes, lane);
        if (budget->used() > budget->bytes_max()) over.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(over.load(), 0U);
  shared.settle(0);
  EXPECT_EQ(budget->used(), 0U);
}

}  // namespace budget_test
}  // namespace velo
