// SPDX-License-Identifier: Apache-2.0
// The window of a transfer as values.

#include "transfer.hpp"

#include <velo/messenger/error.hpp>
#include <velo/rendezvous/error.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace velo::rendezvous::transfer_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static TimePoint at(Duration since) { return TimePoint(since); }

static wire::Grant grant(std::uint64_t total, std::uint32_t chunk = 10) {
  wire::Grant made;
  made.total_len = total;
  made.chunk_size = chunk;
  made.chunk_count = static_cast<std::uint32_t>((total + chunk - 1) / chunk);
  return made;
}

static std::vector<std::uint32_t> all_next(Transfer& transfer, TimePoint now) {
  std::vector<std::uint32_t> asked;
  while (const auto chunk = transfer.next(now)) asked.push_back(*chunk);
  return asked;
}

TEST(RendezvousTransfer, AsksForSeveralChunksAtOnceAndForMoreWithEachThatIsStored) {
  Transfer transfer(grant(1000), at(0s));
  EXPECT_EQ(all_next(transfer, at(0s)), (std::vector<std::uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(**transfer.arrived(2, 10, at(1s)), 20U);
  EXPECT_TRUE(all_next(transfer, at(1s)).empty()) << "it is not stored yet";
  transfer.stored(2);
  EXPECT_EQ(transfer.window(), 5U);
  EXPECT_EQ(all_next(transfer, at(1s)), (std::vector<std::uint32_t>{4, 5}));
  EXPECT_EQ(transfer.stored_bytes(), 10U);
  EXPECT_EQ(transfer.last_progress(), at(1s));
}

TEST(RendezvousTransfer, NeverHasMoreInFlightThanItsWindow) {
  Transfer transfer(grant(100'000), at(0s), 8);
  std::uint32_t most = 0;
  for (auto asked = all_next(transfer, at(0s)); !asked.empty();
       asked = all_next(transfer, at(0s))) {
    most = std::max(most, transfer.outstanding());
    for (const std::uint32_t chunk : asked) {
      ASSERT_TRUE(transfer.arrived(chunk, 10, at(0s)));
      transfer.stored(chunk);
    }
  }
  EXPECT_TRUE(transfer.complete());
  EXPECT_EQ(most, 8U);
}

TEST(RendezvousTransfer, LargeChunksMakeANarrowerWindow) {
  const std::uint32_t size = 4 * limits::chunk_bytes;
  Transfer transfer(grant(std::uint64_t{size} * 100, size), at(0s));
  for (int i = 0; i < 50; ++i) {
    const auto chunk = transfer.next(at(0s));
    ASSERT_TRUE(chunk);
    ASSERT_TRUE(transfer.arrived(*chunk, size, at(0s)));
    transfer.stored(*chunk);
  }
  EXPECT_EQ(transfer.window(), limits::window_chunks_max / 4);
}

TEST(RendezvousTransfer, AsksAgainForWhatFailedAfterAPause) {
  Transfer transfer(grant(35), at(0s));
  EXPECT_EQ(all_next(transfer, at(0s)).size(), 4U);
  const Error lost = messenger::make_error(messenger::Errc::connection_lost);
  for (std::uint32_t chunk = 0; chunk < 3; ++chunk) {
    EXPECT_FALSE(transfer.failed(chunk, lost, at(1s)));
  }
  EXPECT_TRUE(all_next(transfer, at(1s)).empty());
  EXPECT_EQ(transfer.pause_over(), at(1s) + limits::retry_pause_first);
  const TimePoint later = transfer.pause_over();
  // All failed together and count once: 4 becomes 2, of which the last chunk still has one.
  EXPECT_EQ(transfer.window(), 2U);
  EXPECT_EQ(all_next(transfer, later), std::vector<std::uint32_t>{0});
  EXPECT_EQ(**transfer.arrived(3, 5, later), 30U) << "the last one is shorter";
  transfer.stored(3);
  ASSERT_TRUE(transfer.arrived(0, 10, later));
  transfer.stored(0);
  EXPECT_EQ(all_next(transfer, later), (std::vector<std::uint32_t>{1, 2}));
}

TEST(RendezvousTransfer, PausesLongerWhenItFailsAgain) {
  Transfer transfer(grant(10), at(0s));
  TimePoint now = at(0s);
  Duration last = Duration::zero();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(transfer.next(now));
    EXPECT_FALSE(transfer.failed(0, messenger::make_error(messenger::Errc::not_sent), now));
    const Duration pause = transfer.pause_over() - now;
    EXPECT_GE(pause, last);
    last = pause;
    now = transfer.pause_over();
  }
  EXPECT_EQ(last, limits::retry_pause_longest);
}

TEST(RendezvousTransfer, AnAnswerOfTheOwnerIsTheEnd) {
  for (const Errc code : {Errc::lease_lapsed, Errc::not_for_you, Errc::source_failed}) {
    Transfer transfer(grant(35), at(0s));
    ASSERT_TRUE(transfer.next(at(0s)));
    const auto fatal = transfer.failed(0, make_error(code), at(0s));
    ASSERT_TRUE(fatal);
    EXPECT_TRUE(fatal->is(code));
  }
}

TEST(RendezvousTransfer, AChunkOfTheWrongLengthIsTheEnd) {
  Transfer transfer(grant(35), at(0s));
  (void)all_next(transfer, at(0s));
  EXPECT_TRUE(transfer.arrived(0, 9, at(0s)).error().is(Errc::bad_peer));
  EXPECT_TRUE(transfer.arrived(3, 10, at(0s)).error().is(Errc::bad_peer));
}

TEST(RendezvousTransfer, WhatComesTwiceOrUnaskedIsDropped) {
  Transfer transfer(grant(35), at(0s));
  (void)all_next(transfer, at(0s));
  ASSERT_TRUE(*transfer.arrived(1, 10, at(0s)));
  EXPECT_FALSE(*transfer.arrived(1, 10, at(0s)));
  transfer.stored(1);
  transfer.stored(1);
  EXPECT_FALSE(*transfer.arrived(1, 10, at(0s)));
  EXPECT_EQ(transfer.stored_bytes(), 10U);
}

TEST(RendezvousTransfer, EmptyDataIsCompleteAtOnce) {
  Transfer transfer(grant(0), at(0s));
  EXPECT_TRUE(transfer.complete());
  EXPECT_FALSE(transfer.next(at(0s)));
}

}  // namespace velo::rendezvous::transfer_test
