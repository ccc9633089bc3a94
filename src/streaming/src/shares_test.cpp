// SPDX-License-Identifier: Apache-2.0
// What the streams of one connection get of it: equal parts, whoever comes first; room beside those
// that stall; and a turn for items of any size.

#include "testing/slot_pair.hpp"

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace velo::streaming::shares_test {

using slots_testing::Pair;
using slots_testing::text_of;

constexpr std::size_t frame_bytes = 1'024;

/// Streams whose users send whenever they may, in the order in which they were opened or woken, as
/// those of one shard do: the worst that can happen to the last of them. Frames are only counted.
struct Greedy {
  explicit Greedy(std::size_t count) : arrived(count + 1), taken(count + 1) {
    there.restart(1);
    back.restart(2);
    for (std::size_t i = 0; i < count; ++i) slots.push_back(*egress.open(1, i + 1, StreamTerms()));
    for (const Slot slot : slots) send(slot);
    deliver();
  }

  void send(Slot slot) {
    const ByteSpan frame = as_bytes(text_of(frame_bytes));
    while (egress.admits(slot, frame.size())) egress.send(slot, frame);
    egress.wait(slot, Bytes::copy(frame));
  }
  void deliver() {
    while (auto batch = there.take()) {
      auto reader = BatchReader::open(*batch);
      ASSERT_EQ(ingress.on_batch(reader->header(), 2), Ingress::Arrival::next);
      for (Record record; reader->next(record);) {
        if (record.type == RecordType::open_slot) {
          ASSERT_TRUE(ingress.open(record.slot, record.session, StreamTerms()));
          continue;
        }
        ASSERT_EQ(ingress.on_data(record.slot, record.sequence, record.body.size()),
                  Ingress::Verdict::accept);
        ++arrived[record.slot.index()];
      }
    }
  }
  /// The consumers of `read` take what there is; credit goes back, and whoever waited goes on.
  void round(std::span<const Slot> read) {
    for (const Slot slot : read) {
      const std::uint32_t frames = std::exchange(arrived[slot.index()], 0);
      ingress.consumed(slot, frames, frames * frame_bytes);
      taken[slot.index()] += frames;
      total += frames;
    }
    ingress.write_credit();
    while (auto batch = back.take()) {
      auto reader = BatchReader::open(*batch);
      for (Record record; reader->next(record);) {
        ASSERT_TRUE(egress.on_credit(record.slot, record.credit));
      }
    }
    for (const Slot slot : egress.admit_waiting()) {
      if (slot.index() < slots.size()) send(slot);
    }
    deliver();
  }
  void forget() {
    std::ranges::fill(taken, 0U);
    total = 0;
  }
  /// The least and the most of those.
  std::pair<std::size_t, std::size_t> range(std::span<const Slot> of) const {
    std::pair<std::size_t, std::size_t> found(SIZE_MAX, 0);
    for (const Slot slot : of) {
      found.first = std::min<std::size_t>(found.first, taken[slot.index()]);
      found.second = std::max<std::size_t>(found.second, taken[slot.index()]);
    }
    return found;
  }

  Batcher there;
  Batcher back;
  Egress egress{there};
  Ingress ingress{back};
  std::vector<Slot> slots;
  std::vector<std::uint32_t> arrived;
  std::vector<std::uint32_t> taken;
  std::size_t total = 0;
};

TEST(StreamShares, AThousandGreedyStreamsAreServedAlike) {
  Greedy greedy(1'024);
  // Whoever was there when there was nobody else has had more; from then on nobody has.
  for (int i = 0; i < 2; ++i) greedy.round(greedy.slots);
  greedy.forget();
  while (greedy.total < 100'000) {
    greedy.round(greedy.slots);
    const auto [least, most] = greedy.range(greedy.slots);
    ASSERT_LE(most - least, 8u) << "after " << greedy.total;
  }
  EXPECT_LE(greedy.egress.outstanding_bytes(), limits::peer_bytes_max);
}

TEST(StreamShares, WhatTheFirstOfAThousandHadAheadIsSoonMadeUp) {
  Greedy greedy(1'024);
  while (greedy.total < 300'000) greedy.round(greedy.slots);
  const auto [least, most] = greedy.range(greedy.slots);
  EXPECT_LE(most, 2 * least);
}

/// Consumers come to their turn at random, a few at a time, as on a busy machine.
TEST(StreamShares, OverManySeedsNobodyIsFarAhead) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    sim::Simulation draws(seed);
    Random& random = draws.random();
    Greedy greedy(128);
    for (int i = 0; i < 2; ++i) greedy.round(greedy.slots);
    greedy.forget();
    std::vector<Slot> order = greedy.slots;
    while (greedy.total < 60'000) {
      for (std::size_t i = order.size() - 1; i > 0; --i) {
        std::swap(order[i], order[random.below(i + 1)]);
      }
      const std::size_t part = 1 + random.below(64);
      for (std::size_t i = 0; i < order.size(); i += part) {
        greedy.round(std::span(order).subspan(i, std::min(part, order.size() - i)));
      }
    }
    const auto [least, most] = greedy.range(greedy.slots);
    EXPECT_LE(most * 2, least * 3);
  }
}

TEST(StreamShares, OneThatStallsTakesNothingFromTheOthers) {
  std::size_t alone = 0;
  for (const std::size_t stalled : {0, 1, 8, 100}) {
    SCOPED_TRACE(stalled);
    Greedy greedy(stalled + 32);
    const auto read = std::span<const Slot>(greedy.slots).subspan(stalled);
    for (int i = 0; i < 2; ++i) greedy.round(read);
    greedy.forget();
    for (int i = 0; i < 100; ++i) greedy.round(read);
    const auto [least, most] = greedy.range(read);
    EXPECT_LE(most, 2 * least);
    if (stalled == 0) alone = greedy.total;
    // Rounds are equally long here: what counts is how much is on its way in one.
    // Each has its reserve, whatever the others hold.
    const std::size_t reserve = 100 * 32 * (limits::stream_bytes_reserved / frame_bytes);
    EXPECT_GE(greedy.total, stalled <= 8 ? alone * 8 / 10 : reserve);
  }
}

TEST(StreamShares, AFewThatStallWithLargeItemsLeaveRoomForFramesOfAnySize) {
  Pair pair;
  for (int i = 0; i < 16; ++i) {
    const Slot slot = pair.open();
    pair.fill(slot, limits::item_bytes_max);
  }
  pair.deliver();
  const Slot lively = pair.open();
  for (int round = 0; round < 20; ++round) {
    ASSERT_GE(pair.fill(lively, std::size_t{64} << 10, 4), 1u);
    pair.deliver();
    pair.consume(lively, 4);
    pair.answer();
  }
}

TEST(StreamShares, ALargeItemGetsItsTurnAmongThoseThatStallAndThoseThatDoNot) {
  Greedy greedy(1'024);
  // Half of them were the only ones when they filled up, and are read slowly.
  const auto read = std::span<const Slot>(greedy.slots).subspan(512);
  const Slot large = *greedy.egress.open(1, 5'000, StreamTerms());
  const std::string& item = text_of(limits::item_bytes_max);
  if (greedy.egress.admits(large, item.size())) {
    greedy.egress.send(large, as_bytes(item));
  } else {
    greedy.egress.wait(large, Bytes::copy(item));
  }
  greedy.forget();
  int rounds = 0;
  for (; greedy.egress.waiting(large); ++rounds) {
    ASSERT_LT(rounds, 100);
    greedy.round(rounds % 10 == 9 ? std::span<const Slot>(greedy.slots) : read);
  }
  // Nobody had to stop for it.
  EXPECT_GE(greedy.range(read).first, static_cast<std::size_t>(rounds));
}

TEST(StreamShares, AnEndingDoesNotWaitForAnItemThatWasTakenBack) {
  Pair pair;
  pair.terms = StreamTerms(1, 1'000);
  const Slot slot = pair.open();
  pair.fill(slot, 10);
  pair.egress.wait(slot, Bytes::copy("never mind"));
  pair.egress.end(slot, as_bytes("bye"));
  EXPECT_TRUE(pair.egress.stop_waiting(slot));
  pair.deliver();
  EXPECT_EQ(pair.held[slot].back(), "bye");
  EXPECT_EQ(pair.held[slot].size(), 2u);
}

TEST(StreamShares, WhatIsCutOffIsNotSaidToBeWhole) {
  Pair pair;
  pair.terms = StreamTerms(1, 1'000);
  const Slot slot = pair.open();
  pair.fill(slot, 10);
  pair.egress.wait(slot, Bytes::copy("lost"));
  pair.egress.end(slot, as_bytes("that was all"));
  pair.egress.cut(slot, as_bytes("dropped"));
  pair.egress.cut(slot, as_bytes("twice"));
  pair.deliver();
  EXPECT_EQ(pair.held[slot].back(), "dropped");
  EXPECT_EQ(pair.held[slot].size(), 2u);
  EXPECT_EQ(pair.egress.waiting_bytes(), 0u);
}

}  // namespace velo::streaming::shares_test
