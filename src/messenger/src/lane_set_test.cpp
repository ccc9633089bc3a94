// SPDX-License-Identifier: Apache-2.0
// Lanes as values: order, widths, limits, turns, reaping; and a random walk against a simple model.

#include "lane_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace velo::messenger::lane_set_test {

using Admission = LaneSet::Admission;
using std::chrono::seconds;

static TimePoint at(int second) { return TimePoint(seconds(second)); }

static LaneSet::Options options() {
  LaneSet::Options options;
  options.max_depth = 4;
  options.lanes_max = 3;
  options.idle_ttl = seconds(30);
  return options;
}

TEST(LaneSet, GivesNothingWhileNothingWaits) {
  LaneSet lanes(options());
  EXPECT_EQ(lanes.next(), nullptr);
  EXPECT_EQ(lanes.reap(at(1'000'000)), TimePoint::never());
}

TEST(LaneSet, RunsOneOfALaneAtATimeInOrder) {
  LaneSet lanes(options());
  std::array<LaneItem, 3> items;
  for (LaneItem& item : items) EXPECT_EQ(lanes.enter(7, item, at(0)).admission, Admission::queued);
  for (LaneItem& item : items) {
    EXPECT_EQ(lanes.next(), &item);
    EXPECT_EQ(lanes.next(), nullptr) << "the lane is busy";
    lanes.finished(item, at(1));
    EXPECT_EQ(item.state, LaneItem::State::outside);
  }
  EXPECT_EQ(lanes.next(), nullptr);
  EXPECT_EQ(lanes.queued() + lanes.running(), 0u);
}

TEST(LaneSet, RunsLanesSideBySide) {
  LaneSet lanes(options());
  std::array<LaneItem, 2> a;
  std::array<LaneItem, 2> b;
  for (int i = 0; i < 2; ++i) {
    (void)lanes.enter(1, a[i], at(0));
    (void)lanes.enter(2, b[i], at(0));
  }
  EXPECT_EQ(lanes.next(), a.data());
  EXPECT_EQ(lanes.next(), b.data());
  EXPECT_EQ(lanes.next(), nullptr);
  lanes.finished(b[0], at(0));
  EXPECT_EQ(lanes.next(), &b[1]) << "lane 1 does not hold lane 2 up";
}

TEST(LaneSet, LanesTakeTurnsWhenConcurrencyIsLimited) {
  LaneSet::Options limited = options();
  limited.max_concurrent = 1;
  LaneSet lanes(limited);
  std::array<LaneItem, 3> a;
  LaneItem b;
  for (LaneItem& item : a) (void)lanes.enter(1, item, at(0));
  (void)lanes.enter(2, b, at(0));
  EXPECT_EQ(lanes.next(), a.data());
  EXPECT_EQ(lanes.next(), nullptr) << "one at a time";
  lanes.finished(a[0], at(0));
  EXPECT_EQ(lanes.next(), &b) << "lane 2 waited longer for its turn";
  lanes.finished(b, at(0));
  EXPECT_EQ(lanes.next(), &a[1]);
}

TEST(LaneSet, AWideLaneRunsUpToItsWidth) {
  LaneSet::Options wide = options();
  wide.width = 2;
  LaneSet lanes(wide);
  std::array<LaneItem, 3> items;
  for (LaneItem& item : items) (void)lanes.enter(0, item, at(0));
  EXPECT_EQ(lanes.next(), items.data());
  EXPECT_EQ(lanes.next(), &items[1]);
  EXPECT_EQ(lanes.next(), nullptr);
  lanes.finished(items[1], at(0));
  EXPECT_EQ(lanes.next(), &items[2]);
}

TEST(LaneSet, RefusesWhatAFullLaneCannotHold) {
  LaneSet::Options shallow = options();
  shallow.max_depth = 1;
  LaneSet lanes(shallow);
  std::array<LaneItem, 3> items;
  (void)lanes.enter(1, items[0], at(0));
  ASSERT_EQ(lanes.next(), items.data());
  EXPECT_EQ(lanes.enter(1, items[1], at(0)).admission, Admission::queued)
      << "the one that runs takes no place";
  EXPECT_EQ(lanes.enter(1, items[2], at(0)).admission, Admission::lane_full);
  EXPECT_EQ(items[2].state, LaneItem::State::outside);
  EXPECT_EQ(lanes.queued(), 1u);
  LaneItem elsewhere;
  EXPECT_EQ(lanes.enter(2, elsewhere, at(0)).admission, Admission::queued) << "of its own depth";
}

TEST(LaneSet, DisplacesTheOldestWhenToldTo) {
  LaneSet::Options displacing = options();
  displacing.max_depth = 2;
  displacing.displace_oldest = true;
  LaneSet lanes(displacing);
  std::array<LaneItem, 4> items;
  (void)lanes.enter(1, items[0], at(0));
  ASSERT_EQ(lanes.next(), items.data());
  EXPECT_EQ(lanes.enter(1, items[1], at(0)).displaced, nullptr);
  EXPECT_EQ(lanes.enter(1, items[2], at(0)).displaced, nullptr);
  const LaneSet::Entered entered = lanes.enter(1, items[3], at(0));
  EXPECT_EQ(entered.admission, Admission::queued);
  EXPECT_EQ(entered.displaced, &items[1]) << "not the one that runs";
  EXPECT_EQ(items[1].state, LaneItem::State::outside);
  lanes.finished(items[0], at(0));
  EXPECT_EQ(lanes.next(), &items[2]);
  lanes.finished(items[2], at(0));
  EXPECT_EQ(lanes.next(), &items[3]);
}

TEST(LaneSet, TakesOutOnlyWhatWaits) {
  LaneSet lanes(options());
  std::array<LaneItem, 4> items;
  for (LaneItem& item : items) (void)lanes.enter(1, item, at(0));
  ASSERT_EQ(lanes.next(), items.data());
  EXPECT_FALSE(lanes.remove(items[0], at(0))) << "runs";
  EXPECT_TRUE(lanes.remove(items[2], at(0)));
  EXPECT_FALSE(lanes.remove(items[2], at(0))) << "out already";
  lanes.finished(items[0], at(0));
  EXPECT_EQ(lanes.next(), &items[1]);
  lanes.finished(items[1], at(0));
  EXPECT_TRUE(lanes.remove(items[3], at(5))) << "the last of its lane";
  EXPECT_EQ(lanes.next(), nullptr);
  EXPECT_EQ(lanes.reap(at(5)), at(35)) << "which is idle from then on";
}

TEST(LaneSet, ForgetsIdleLanesAfterTheirTime) {
  LaneSet lanes(options());
  LaneItem a;
  LaneItem b;
  (void)lanes.enter(1, a, at(0));
  (void)lanes.enter(2, b, at(0));
  (void)lanes.next();
  (void)lanes.next();
  EXPECT_EQ(lanes.reap(at(100)), TimePoint::never()) << "both run";
  lanes.finished(a, at(100));
  EXPECT_EQ(lanes.reap(at(101)), at(130));
  lanes.finished(b, at(110));
  EXPECT_EQ(lanes.lanes(), 2u);
  EXPECT_EQ(lanes.reap(at(130)), at(140));
  EXPECT_EQ(lanes.lanes(), 1u);
  EXPECT_EQ(lanes.reap(at(140)), TimePoint::never());
  EXPECT_EQ(lanes.lanes(), 0u);
}

TEST(LaneSet, AUsedLaneIsIdleAnewOnlyAfterwards) {
  LaneSet lanes(options());
  LaneItem item;
  (void)lanes.enter(1, item, at(0));
  lanes.finished(*lanes.next(), at(0));
  (void)lanes.enter(1, item, at(29));
  EXPECT_EQ(lanes.reap(at(31)), TimePoint::never());
  lanes.finished(*lanes.next(), at(40));
  EXPECT_EQ(lanes.reap(at(69)), at(70));
}

TEST(LaneSet, AtTheLimitOfLanesTheLongestIdleOneGoes) {
  LaneSet lanes(options());
  std::array<LaneItem, 3> items;
  for (std::uint64_t i = 0; i < 3; ++i) (void)lanes.enter(i, items[i], at(0));
  LaneItem more;
  EXPECT_EQ(lanes.enter(9, more, at(1)).admission, Admission::too_many_lanes) << "none is idle";
  for (int i = 0; i < 3; ++i) (void)lanes.next();
  lanes.finished(items[1], at(2));
  lanes.finished(items[0], at(3));
  EXPECT_EQ(lanes.enter(9, more, at(4)).admission, Admission::queued);
  EXPECT_EQ(lanes.lanes(), 3u);
  EXPECT_EQ(lanes.reap(at(4)), at(33)) << "lane 1 went, lane 0 stayed";
}

TEST(LaneSet, TakesOutEverythingThatWaitsInOrder) {
  LaneSet lanes(options());
  std::array<LaneItem, 3> a;
  std::array<LaneItem, 2> b;
  for (LaneItem& item : a) (void)lanes.enter(1, item, at(0));
  for (LaneItem& item : b) (void)lanes.enter(2, item, at(0));
  ASSERT_EQ(lanes.next(), a.data());
  const std::vector<LaneItem*> out = lanes.remove_all(at(1));
  EXPECT_EQ(out, (std::vector<LaneItem*>{b.data(), &b[1], &a[1], &a[2]}));
  EXPECT_EQ(lanes.queued(), 0u);
  EXPECT_EQ(lanes.running(), 1u);
  lanes.finished(a[0], at(1));
  EXPECT_EQ(lanes.next(), nullptr);
}

/// What the set should do, in the simplest words.
struct Model {
  std::map<std::uint64_t, std::deque<LaneItem*>> queues;
  std::vector<std::pair<LaneItem*, std::uint64_t>> running;

  std::size_t running_of(std::uint64_t key) const {
    return static_cast<std::size_t>(std::count_if(running.begin(), running.end(),
                                                  [&](const auto& r) { return r.second == key; }));
  }
  bool may_run(const LaneSet::Options& options) const {
    if (running.size() >= options.max_concurrent) return false;
    return std::any_of(queues.begin(), queues.end(), [&](const auto& queue) {
      return !queue.second.empty() && running_of(queue.first) < options.width;
    });
  }
};

/// One random step on both; `out` holds what is in neither.
static void step(std::mt19937& random, LaneSet& lanes, Model& model,
                 const LaneSet::Options& options, std::vector<LaneItem*>& out, TimePoint now) {
  const std::uint64_t key = random() % 5;
  switch (random() % 4) {
    case 0: {
      if (out.empty()) return;
      const auto entered = lanes.enter(key, *out.back(), now);
      if (entered.admission != Admission::queued) {
        EXPECT_EQ(entered.admission == Admission::lane_full,
                  model.queues[key].size() >= options.max_depth);
        return;
      }
      EXPECT_LT(model.queues[key].size(), options.max_depth);
      model.queues[key].push_back(out.back());
      return out.pop_back();
    }
    case 1: {
      LaneItem* item = lanes.next();
      ASSERT_EQ(item != nullptr, model.may_run(options));
      if (item == nullptr) return;
      const auto queue = std::find_if(model.queues.begin(), model.queues.end(), [&](const auto& q) {
        return !q.second.empty() && q.second.front() == item;
      });
      ASSERT_NE(queue, model.queues.end()) << "not the first of its lane";
      EXPECT_LT(model.running_of(queue->first), options.width);
      model.running.emplace_back(item, queue->first);
      return queue->second.pop_front();
    }
    case 2: {
      if (model.running.empty()) return;
      LaneItem* item = model.running.front().first;
      lanes.finished(*item, now);
      model.running.erase(model.running.begin());
      return out.push_back(item);
    }
    default: {
      auto& queue = model.queues[key];
      if (queue.empty()) return void(lanes.reap(now));
      LaneItem* item = queue[random() % queue.size()];
      EXPECT_TRUE(lanes.remove(*item, now));
      queue.erase(std::find(queue.begin(), queue.end(), item));
      return out.push_back(item);
    }
  }
}

TEST(LaneSet, AgreesWithItsModelOnRandomWalks) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    LaneSet::Options walk = options();
    walk.width = 1 + seed % 3;
    walk.max_concurrent = seed % 4 == 0 ? SIZE_MAX : 1 + seed % 5;
    walk.lanes_max = 5;
    LaneSet lanes(walk);
    Model model;
    std::array<LaneItem, 24> items;
    std::vector<LaneItem*> out;
    for (LaneItem& item : items) out.push_back(&item);
    for (int i = 0; i < 500 && !::testing::Test::HasFailure(); ++i) {
      step(random, lanes, model, walk, out, at(i));
      EXPECT_EQ(lanes.running(), model.running.size());
      EXPECT_EQ(lanes.queued() + lanes.running() + out.size(), items.size());
    }
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace velo::messenger::lane_set_test
