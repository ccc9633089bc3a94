// SPDX-License-Identifier: Apache-2.0
// Tests of the order and the cancelling of timers.

#include "timer_heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace velo::runtime {
namespace timer_heap_test {

static TimePoint at(std::int64_t nanoseconds) { return TimePoint(Duration(nanoseconds)); }

static std::vector<std::uint64_t> pop_tags(TimerHeap& heap, TimePoint now) {
  std::vector<std::uint64_t> tags;
  while (const auto due = heap.pop_due(now)) tags.push_back(due->tag);
  return tags;
}

TEST(TimerHeap, GivesOnlyWhatIsDueEarliestFirst) {
  TimerHeap heap;
  heap.add(at(30), {}, 3);
  heap.add(at(10), {}, 1);
  heap.add(at(20), {}, 2);
  EXPECT_EQ(heap.earliest(), at(10));
  EXPECT_EQ(pop_tags(heap, at(20)), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(heap.earliest(), at(30));
  EXPECT_EQ(pop_tags(heap, at(30)), (std::vector<std::uint64_t>{3}));
  EXPECT_EQ(heap.earliest(), TimePoint::never());
}

TEST(TimerHeap, KeepsTheOrderOfStartAmongTimersOfOneInstant) {
  TimerHeap heap;
  std::vector<std::uint64_t> expected;
  for (std::uint64_t tag = 1; tag <= 100; ++tag) {
    heap.add(at(5), {}, tag);
    expected.push_back(tag);
  }
  EXPECT_EQ(pop_tags(heap, at(5)), expected);
}

TEST(TimerHeap, CancelsOnceAndNeverAnotherTimerThatReusesTheSlot) {
  TimerHeap heap;
  const TimerHeap::Id first = heap.add(at(1), {}, 7);
  EXPECT_EQ(heap.cancel(first), 7U);
  EXPECT_EQ(heap.cancel(first), std::nullopt);
  const TimerHeap::Id second = heap.add(at(1), {}, 8);
  EXPECT_NE(first, second);
  EXPECT_EQ(heap.cancel(first), std::nullopt);
  EXPECT_EQ(heap.size(), 1U);
  EXPECT_EQ(pop_tags(heap, at(1)), (std::vector<std::uint64_t>{8}));
  EXPECT_EQ(heap.cancel(second), std::nullopt);
  EXPECT_EQ(heap.cancel(0), std::nullopt);
  EXPECT_EQ(heap.cancel(UINT64_MAX >> 1), std::nullopt);
}

TEST(TimerHeap, AgreesWithASortedListUnderRandomStartsAndCancels) {
  struct Waiting {
    TimerHeap::Id id;
    std::int64_t at;
    std::uint64_t tag;
  };
  std::mt19937 random(7);
  TimerHeap heap;
  std::vector<Waiting> waiting;
  std::uint64_t next_tag = 1;
  for (int step = 0; step < 20'000; ++step) {
    const auto draw = random() % 10;
    if (draw < 6 || waiting.empty()) {
      const std::int64_t when = random() % 1000;
      const TimerHeap::Id id = heap.add(at(when), {}, next_tag);
      waiting.push_back({id, when, next_tag++});
    } else if (draw < 9) {
      const auto index = random() % waiting.size();
      const Waiting victim = waiting[index];
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(index));
      ASSERT_EQ(heap.cancel(victim.id), victim.tag);
    } else {
      const auto first = std::ranges::min_element(waiting, [](const Waiting& a, const Waiting& b) {
        return a.at != b.at ? a.at < b.at : a.tag < b.tag;
      });
      const auto due = heap.pop_due(at(1000));
      ASSERT_TRUE(due.has_value());
      ASSERT_EQ(due->tag, first->tag);
      waiting.erase(first);
    }
    ASSERT_EQ(heap.size(), waiting.size());
  }
}

}  // namespace timer_heap_test
}  // namespace velo::runtime
