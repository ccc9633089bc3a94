// SPDX-License-Identifier: Apache-2.0
// Both ends of a connection's streams as values: credit, fairness, endings, and liars.

#include "testing/slot_pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace velo::streaming::slots_test {

using slots_testing::Pair;
using slots_testing::text_of;

TEST(StreamSlots, AStreamTakesItsFramesAndNoMore) {
  Pair pair;
  pair.terms = StreamTerms(4, 1'000'000);
  const Slot slot = pair.open();
  EXPECT_EQ(pair.fill(slot, 10), 4u);
  pair.deliver();
  EXPECT_EQ(pair.violations, 0);
  pair.consume(slot, 3);
  pair.answer();
  EXPECT_EQ(pair.fill(slot, 10), 3u);
}

TEST(StreamSlots, AStreamTakesItsBytesAndASingleLargerFrameAlone) {
  Pair pair;
  pair.terms = StreamTerms(100, 1'000);
  const Slot slot = pair.open();
  EXPECT_EQ(pair.fill(slot, 300), 3u);
  pair.deliver();
  pair.consume(slot, 3);
  pair.answer();
  EXPECT_EQ(pair.fill(slot, 5'000), 1u);
  EXPECT_FALSE(pair.egress.admits(slot, 1));
  pair.deliver();
  EXPECT_EQ(pair.violations, 0);
}

TEST(StreamSlots, StalledStreamsLeaveRoomForTheOthers) {
  Pair pair;
  std::vector<Slot> stalled;
  for (int i = 0; i < 100; ++i) {
    stalled.push_back(pair.open());
    pair.fill(stalled.back(), 4'096);
  }
  pair.deliver();
  EXPECT_EQ(pair.violations, 0);
  EXPECT_LE(pair.egress.outstanding_bytes(), limits::peer_bytes_max);
  const Slot lively = pair.open();
  for (int round = 0; round < 50; ++round) {
    EXPECT_GE(pair.fill(lively, 1'024, 8), 1u);
    pair.deliver();
    pair.consume(lively, 8);
    pair.answer();
  }
  EXPECT_GE(pair.taken[lively].size(), 50u);
}

TEST(StreamSlots, WhoWaitsIsServedInOrderAndOneIsServedOnce) {
  Pair pair(10'000);
  std::vector<Slot> slots;
  for (int i = 0; i < 8; ++i) slots.push_back(pair.open());
  pair.fill(slots[0], 1'000);
  ASSERT_TRUE(pair.egress.admits(slots[1], 4'000));
  pair.egress.send(slots[1], as_bytes(text_of(4'000)));
  for (int i = 2; i < 8; ++i) {
    if (pair.egress.admits(slots[i], 2'000)) {
      pair.egress.send(slots[i], as_bytes(text_of(2'000)));
    } else {
      pair.egress.wait(slots[i], Bytes::copy(text_of(2'000)));
    }
  }
  pair.deliver();
  std::vector<Slot> served;
  for (int round = 0; round < 20; ++round) {
    for (const Slot slot : slots) pair.consume(slot, 100);
    for (const Slot slot : pair.answer()) served.push_back(slot);
    pair.deliver();
  }
  EXPECT_FALSE(served.empty());
  EXPECT_TRUE(std::ranges::is_sorted(served));
  EXPECT_EQ(std::ranges::adjacent_find(served), served.end());
  for (const Slot slot : slots) EXPECT_FALSE(pair.egress.waiting(slot));
}

TEST(StreamSlots, WhoWaitsGoesOnForARunOfFramesAndNotForEachOne) {
  Pair pair;
  pair.terms = StreamTerms(100, 1'000'000);
  const Slot slot = pair.open();
  ASSERT_EQ(pair.fill(slot, 10), 100u);
  pair.egress.wait(slot, Bytes::copy(text_of(10)));
  pair.deliver();
  for (int taken = 1; taken < 50; ++taken) {
    pair.consume(slot, 1);
    ASSERT_TRUE(pair.answer().empty()) << taken;
  }
  pair.consume(slot, 1);
  EXPECT_EQ(pair.answer(), std::vector{slot});
  EXPECT_EQ(pair.fill(slot, 10), 49u);
  // Of few frames none may be left.
  pair.terms = StreamTerms(4, 1'000'000);
  const Slot few = pair.open();
  ASSERT_EQ(pair.fill(few, 10), 4u);
  pair.egress.wait(few, Bytes::copy(text_of(10)));
  pair.deliver();
  pair.consume(few, 3);
  EXPECT_TRUE(pair.answer().empty());
  pair.consume(few, 1);
  EXPECT_EQ(pair.answer(), std::vector{few});
}

TEST(StreamSlots, WhoWaitsGoesOnWhenHalfOfItsBytesAreTaken) {
  Pair pair;
  const Slot slot = pair.open();
  // It has to show first that its consumer takes them.
  for (int round = 0; round < 8; ++round) {
    pair.fill(slot, 4'096);
    pair.deliver();
    pair.consume(slot, 1'000);
    pair.answer();
  }
  const std::size_t most = pair.fill(slot, 4'096);
  ASSERT_GE(most, 8u);
  pair.egress.wait(slot, Bytes::copy(text_of(4'096)));
  pair.deliver();
  pair.consume(slot, (most - 1) / 2);
  EXPECT_TRUE(pair.answer().empty());
  pair.consume(slot, 1);
  EXPECT_EQ(pair.answer(), std::vector{slot});
}

TEST(StreamSlots, AFrameThatWaitsHoldsBackItsOwnStreamOnly) {
  Pair pair;
  pair.terms = StreamTerms(1, 1'000);
  const Slot one = pair.open();
  const Slot other = pair.open();
  pair.fill(one, 10);
  pair.egress.wait(one, Bytes::copy("later"));
  EXPECT_FALSE(pair.egress.admits(one, 1));
  EXPECT_TRUE(pair.egress.admits(other, 1));
  EXPECT_TRUE(pair.egress.stop_waiting(one));
  EXPECT_FALSE(pair.egress.stop_waiting(one));
  pair.deliver();
  pair.consume(one, 1);
  EXPECT_TRUE(pair.answer().empty());
  EXPECT_TRUE(pair.egress.admits(one, 1));
}

TEST(StreamSlots, AnEndNeedsNoCreditAndFollowsWhatWaits) {
  Pair pair;
  pair.terms = StreamTerms(2, 1'000);
  const Slot slot = pair.open();
  pair.fill(slot, 10);
  pair.egress.wait(slot, Bytes::copy("last"));
  pair.egress.end(slot, as_bytes("bye"));
  pair.egress.end(slot, as_bytes("twice"));
  EXPECT_FALSE(pair.egress.is_open(slot));
  pair.deliver();
  pair.consume(slot, 2);
  EXPECT_EQ(pair.answer(), std::vector<Slot>{slot});
  pair.deliver();
  EXPECT_EQ(pair.held[slot], (std::vector<std::string>{"last", "bye"}));
  EXPECT_EQ(pair.violations, 0);
}

TEST(StreamSlots, ASlotIsFreeWhenTheConsumerHasTakenTheEnd) {
  Pair pair;
  const Slot slot = pair.open();
  pair.fill(slot, 10, 3);
  pair.egress.end(slot, as_bytes("bye"));
  pair.deliver();
  pair.answer();
  EXPECT_EQ(pair.egress.live(), 1u);
  pair.consume(slot, 4);
  pair.ingress.finish(slot);
  pair.answer();
  EXPECT_EQ(pair.closed, std::vector<Egress::Closed>{Egress::Closed::taken});
  EXPECT_EQ(pair.egress.live(), 0u);
  EXPECT_EQ(pair.ingress.live(), 0u);
  EXPECT_EQ(pair.ingress.held_bytes(), 0u);
  EXPECT_EQ(pair.egress.outstanding_bytes(), 0u);
}

TEST(StreamSlots, AConsumerThatWantsNoMoreStopsItsSenderAlone) {
  Pair pair;
  const Slot slot = pair.open(7);
  const Slot other = pair.open(8);
  pair.fill(slot, 10, 3);
  pair.deliver();
  pair.ingress.refuse(slot, CloseReason::peer_gone);
  pair.fill(slot, 10, 2);  // on their way
  pair.deliver();
  EXPECT_EQ(pair.ignored, 2);
  pair.answer();
  EXPECT_EQ(pair.closed, std::vector<Egress::Closed>{Egress::Closed::refused});
  EXPECT_FALSE(pair.egress.is_open(slot));
  EXPECT_TRUE(pair.egress.is_open(other));
  pair.deliver();
  pair.answer();
  EXPECT_EQ(pair.egress.live(), 1u);
  EXPECT_EQ(pair.ingress.live(), 1u);
  EXPECT_EQ(pair.egress.outstanding_bytes(), 0u);
  EXPECT_EQ(pair.ingress.held_bytes(), 0u);
}

TEST(StreamSlots, WhatHasAllArrivedAndIsNotWantedIsNotSaidToBeTaken) {
  Pair pair;
  const Slot slot = pair.open();
  pair.fill(slot, 10, 3);
  pair.egress.end(slot, as_bytes("bye"));
  pair.deliver();
  pair.ingress.refuse(slot, CloseReason::peer_gone);
  pair.answer();
  EXPECT_EQ(pair.closed,
            (std::vector<Egress::Closed>{Egress::Closed::refused, Egress::Closed::taken}));
  EXPECT_EQ(pair.egress.live(), 0u);
  EXPECT_EQ(pair.ingress.live(), 0u);
}

TEST(StreamSlots, ACloseOfAnotherGenerationOrSessionHitsNobody) {
  Pair pair(limits::peer_bytes_max, 1);
  const Slot first = pair.open(7);
  pair.egress.end(first, {});
  pair.deliver();
  pair.ingress.finish(first);
  pair.answer();
  const Slot second = pair.open(8);
  ASSERT_EQ(second.index(), first.index());
  EXPECT_NE(second.generation(), first.generation());
  EXPECT_EQ(pair.egress.on_close(first, CloseReason::peer_gone, 7), Egress::Closed::ignored);
  // Even once the generation has come round.
  EXPECT_EQ(pair.egress.on_close(second, CloseReason::peer_gone, 7), Egress::Closed::ignored);
  EXPECT_TRUE(pair.egress.is_open(second));
  EXPECT_EQ(pair.egress.on_close(second, CloseReason::peer_gone, 8), Egress::Closed::refused);
}

TEST(StreamSlots, AreLimited) {
  Pair pair(limits::peer_bytes_max, 3);
  pair.open();
  pair.open();
  pair.open();
  EXPECT_FALSE(pair.egress.open(1, 1, pair.terms));
  EXPECT_FALSE(pair.ingress.open(Slot(3, 0), 1, pair.terms));
}

TEST(StreamSlots, OneThatIsOpenIsNotOpenedAgain) {
  Pair pair;
  EXPECT_TRUE(pair.ingress.open(Slot(0, 0), 1, pair.terms));
  EXPECT_FALSE(pair.ingress.open(Slot(0, 0), 1, pair.terms));
  EXPECT_FALSE(pair.ingress.open(Slot(0, 1), 1, pair.terms));
}

TEST(StreamSlots, ASenderThatTakesMoreThanItWasGrantedIsFoundOut) {
  Pair pair;
  pair.terms = StreamTerms(3, 1'000);
  ASSERT_TRUE(pair.ingress.open(Slot(0, 0), 1, pair.terms));
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(pair.ingress.on_data(Slot(0, 0), i, 10), Ingress::Verdict::accept);
  }
  EXPECT_EQ(pair.ingress.on_data(Slot(0, 0), 4, 10), Ingress::Verdict::violation);
  ASSERT_TRUE(pair.ingress.open(Slot(1, 0), 1, pair.terms));
  EXPECT_EQ(pair.ingress.on_data(Slot(1, 0), 1, 10), Ingress::Verdict::violation);
  EXPECT_EQ(pair.ingress.on_data(Slot(1, 0), 0, limits::item_bytes_max * 2),
            Ingress::Verdict::violation);
  EXPECT_EQ(pair.ingress.on_data(Slot(2, 0), 0, 10), Ingress::Verdict::ignore);
}

TEST(StreamSlots, APeerThatTakesMoreThanItWasGrantedIsFoundOut) {
  Pair pair(100'000);
  pair.terms = StreamTerms(10, 10'000'000);
  Ingress::Verdict verdict = Ingress::Verdict::accept;
  for (std::uint32_t i = 0; i < 100 && verdict == Ingress::Verdict::accept; ++i) {
    ASSERT_TRUE(pair.ingress.open(Slot(i, 0), 1, pair.terms));
    verdict = pair.ingress.on_data(Slot(i, 0), 0, 100'000);
  }
  EXPECT_EQ(verdict, Ingress::Verdict::violation);
  EXPECT_LE(pair.ingress.held_bytes(), 100'000u + 2 * limits::item_bytes_max);
}

TEST(StreamSlots, CreditForMoreThanIsOutIsFoundOut) {
  Pair pair;
  const Slot slot = pair.open();
  pair.fill(slot, 10, 2);
  EXPECT_TRUE(pair.egress.on_credit(slot, 2));
  EXPECT_FALSE(pair.egress.on_credit(slot, 1));
  EXPECT_TRUE(pair.egress.on_credit(Slot(99, 0), 1));
}

}  // namespace velo::streaming::slots_test
