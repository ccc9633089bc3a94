// SPDX-License-Identifier: Apache-2.0
// Events that complete by others: all of them, or one of them.

#include <velo/events/event_manager.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace velo::events::merge_test {

class MergedEvents : public ::testing::Test {
 protected:
  std::vector<EventHandle> make(std::size_t count) {
    std::vector<EventHandle> made;
    for (std::size_t i = 0; i < count; ++i) {
      auto event = events.new_event();
      EXPECT_TRUE(event);
      made.push_back(std::move(*event).into_handle());
    }
    return made;
  }
  std::string outcome(Op<void> op) {
    const Result<void> ended = sim.wait(std::move(op), std::chrono::seconds(10));
    return ended ? "ready" : ended.error().to_string();
  }
  void trigger(const EventHandle& event) { EXPECT_EQ(outcome(events.trigger(event)), "ready"); }
  void poison(const EventHandle& event, std::string_view reason) {
    EXPECT_EQ(outcome(events.poison(event, reason)), "ready");
  }

  sim::Simulation sim{1};
  sim::SimNode& node = sim.add_node("node");
  EventManager events = EventManager::alone(node);
};

TEST_F(MergedEvents, AllIsReadyWithTheLastOne) {
  const auto inputs = make(3);
  const auto all = events.merge_events(inputs);
  ASSERT_TRUE(all);
  auto awaiter = events.awaiter(*all);
  trigger(inputs[1]);
  trigger(inputs[0]);
  EXPECT_FALSE(awaiter.done());
  trigger(inputs[2]);
  EXPECT_EQ(outcome(std::move(awaiter)), "ready");
}

TEST_F(MergedEvents, AllOfWhatIsOverOrOfNothingIsReadyAtOnce) {
  const auto inputs = make(2);
  trigger(inputs[0]);
  trigger(inputs[1]);
  EXPECT_EQ(outcome(events.awaiter(*events.merge_events(inputs))), "ready");
  EXPECT_EQ(outcome(events.awaiter(*events.merge_events({}))), "ready");
}

TEST_F(MergedEvents, TheFirstPoisonDecidesWithoutWaitingForTheRest) {
  const auto inputs = make(3);
  auto awaiter = events.awaiter(*events.merge_events(inputs));
  trigger(inputs[0]);
  poison(inputs[2], "no");
  ASSERT_TRUE(awaiter.done());
  EXPECT_EQ(outcome(std::move(awaiter)), "events.poisoned: no");
}

TEST_F(MergedEvents, CollectingWaitsForAllAndJoinsTheirReasons) {
  const auto inputs = make(3);
  MergeOptions options;
  options.collect_reasons = true;
  auto awaiter = events.awaiter(*events.merge_events(inputs, options));
  poison(inputs[2], "no disk");
  trigger(inputs[0]);
  EXPECT_FALSE(awaiter.done());
  poison(inputs[1], "no net");
  EXPECT_EQ(outcome(std::move(awaiter)), "events.poisoned: no disk; no net");
}

TEST_F(MergedEvents, AnyIsReadyWithTheFirstAndPoisonedWithTheLast) {
  const auto inputs = make(3);
  auto one = events.awaiter(*events.any_of(inputs));
  poison(inputs[0], "a");
  EXPECT_FALSE(one.done());
  trigger(inputs[1]);
  EXPECT_EQ(outcome(std::move(one)), "ready");
  const auto bad = make(2);
  auto none = events.awaiter(*events.any_of(bad));
  poison(bad[0], "a");
  poison(bad[1], "b");
  EXPECT_EQ(outcome(std::move(none)), "events.poisoned: a; b");
  const auto nothing = events.any_of({});
  ASSERT_FALSE(nothing);
  EXPECT_TRUE(nothing.error().is(velo::Errc::invalid_argument));
}

TEST_F(MergedEvents, WhatCannotBeAwaitedPoisons) {
  const EventHandle foreign(WorkerId(77), 1, 1);
  const auto awaited = outcome(events.awaiter(*events.merge_events({foreign})));
  EXPECT_EQ(awaited, "events.poisoned: " + foreign.to_string() +
                         ": events.foreign_event: " + foreign.to_string());
}

TEST_F(MergedEvents, TheSameEventMayBeNamedTwice) {
  const auto inputs = make(1);
  auto ready = events.awaiter(*events.merge_events({inputs[0], inputs[0]}));
  auto any = events.awaiter(*events.any_of({inputs[0], inputs[0]}));
  trigger(inputs[0]);
  EXPECT_EQ(outcome(std::move(ready)), "ready");
  EXPECT_EQ(outcome(std::move(any)), "ready");
}

TEST_F(MergedEvents, AMergedEventMayBeCompletedByHandAndThenLetsGo) {
  const auto inputs = make(2);
  const EventHandle all = *events.merge_events(inputs);
  poison(all, "called off");
  trigger(inputs[0]);
  trigger(inputs[1]);
  EXPECT_EQ(outcome(events.awaiter(all)), "events.poisoned: called off");
}

TEST_F(MergedEvents, ADeepChainEndsWithoutDeepCalls) {
  const auto inputs = make(1);
  EventHandle last = inputs[0];
  for (int i = 0; i < 50'000; ++i) last = *events.merge_events({last});
  auto awaiter = events.awaiter(last);
  trigger(inputs[0]);
  EXPECT_EQ(outcome(std::move(awaiter)), "ready");
  EXPECT_EQ(events.counts().pending, 0u);
}

TEST_F(MergedEvents, AShutdownEndsThem) {
  const auto inputs = make(2);
  auto awaiter = events.awaiter(*events.merge_events(inputs));
  events.force_shutdown("over");
  EXPECT_EQ(outcome(std::move(awaiter)), "events.poisoned: over");
  EXPECT_EQ(events.counts().pending, 0u);
}

}  // namespace velo::events::merge_test
