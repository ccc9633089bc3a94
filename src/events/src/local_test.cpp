// SPDX-License-Identifier: Apache-2.0
// Events within one process: what completes them, who hears of it, and what is remembered.

#include "engine.hpp"

#include <velo/events/event_manager.hpp>
#include <velo/events/limits.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace velo::events::local_test {

class LocalEvents : public ::testing::Test {
 protected:
  static Event make(const EventManager& manager, NewEvent how = NewEvent()) {
    auto event = manager.new_event(how);
    EXPECT_TRUE(event) << event.error().to_string();
    return std::move(*event);
  }
  template <class T>
  Result<T> wait(Op<T> op) {
    return sim.wait(std::move(op), std::chrono::seconds(10));
  }
  Event make(NewEvent how = NewEvent()) { return make(events, how); }
  /// "ready", or the error's name and context.
  std::string outcome(Op<void> op) {
    const Result<void> ended = wait(std::move(op));
    return ended ? "ready" : ended.error().to_string();
  }
  EventStatus status(const EventHandle& event) {
    const auto status = wait(events.poll(event));
    EXPECT_TRUE(status) << status.error().to_string();
    return status ? *status : EventStatus::pending;
  }

  sim::Simulation sim{1};
  sim::SimNode& node = sim.add_node("node");
  EventManager events = EventManager::alone(node);
};

TEST_F(LocalEvents, ATriggerWakesThoseWhoWait) {
  Event event = make();
  auto first = event.awaiter();
  auto second = events.awaiter(event.handle());
  EXPECT_FALSE(first.done());
  ASSERT_TRUE(std::move(event).trigger());
  EXPECT_TRUE(first.done());
  EXPECT_EQ(outcome(std::move(first)), "ready");
  EXPECT_EQ(outcome(std::move(second)), "ready");
}

TEST_F(LocalEvents, APoisonTellsItsReasonToEarlyAndToLateAwaiters) {
  Event event = make();
  const EventHandle handle = event.handle();
  auto early = event.awaiter();
  ASSERT_TRUE(std::move(event).poison("the disk is full"));
  EXPECT_EQ(outcome(std::move(early)), "events.poisoned: the disk is full");
  EXPECT_EQ(outcome(events.awaiter(handle)), "events.poisoned: the disk is full");
  const auto late = wait(events.awaiter(handle));
  const auto poison = EventPoison::of(late.error());
  ASSERT_TRUE(poison);
  EXPECT_EQ(poison->reason, "the disk is full");
  EXPECT_FALSE(poison->owner_lost);
}

TEST_F(LocalEvents, ADroppedEventIsPoisoned) {
  EventHandle handle;
  {
    const Event event = make();
    handle = event.handle();
  }
  EXPECT_EQ(outcome(events.awaiter(handle)),
            "events.poisoned: event dropped without being triggered");
}

TEST_F(LocalEvents, AnEventIsDroppedWhenAnotherIsMovedIntoItsPlaceAndThatDies) {
  Event kept = make();
  const EventHandle first = kept.handle();
  {
    Event other = make();
    kept = std::move(other);
  }
  EXPECT_EQ(status(first), EventStatus::poisoned);
  EXPECT_EQ(status(kept.handle()), EventStatus::pending);
}

TEST_F(LocalEvents, AHandleTakenOutDisarmsTheEvent) {
  EventHandle handle;
  {
    Event event = make();
    handle = std::move(event).into_handle();
  }
  EXPECT_EQ(status(handle), EventStatus::pending);
  EXPECT_TRUE(wait(events.trigger(handle)));
  EXPECT_EQ(status(handle), EventStatus::ready);
}

TEST_F(LocalEvents, CompletingTwiceIsAnErrorAndPoisoningTwiceIsNot) {
  const EventHandle triggered = make().into_handle();
  ASSERT_TRUE(wait(events.trigger(triggered)));
  EXPECT_EQ(outcome(events.trigger(triggered)), "events.already_completed: triggered");
  EXPECT_EQ(outcome(events.poison(triggered, "late")), "events.already_completed: triggered");
  const EventHandle poisoned = make().into_handle();
  ASSERT_TRUE(wait(events.poison(poisoned, "first")));
  EXPECT_EQ(outcome(events.poison(poisoned, "second")), "ready");
  EXPECT_EQ(outcome(events.awaiter(poisoned)), "events.poisoned: first");
  EXPECT_EQ(outcome(events.trigger(poisoned)), "events.already_completed: poisoned: first");
}

TEST_F(LocalEvents, TheOwnersTriggerSaysThatSomebodyElseWasFaster) {
  Event event = make();
  ASSERT_TRUE(wait(events.poison(event.handle(), "faster")));
  const auto triggered = std::move(event).trigger();
  ASSERT_FALSE(triggered);
  EXPECT_TRUE(triggered.error().is(Errc::already_completed));
}

TEST_F(LocalEvents, HandlesThatNeverWereAreUnknown) {
  const Event event = make();
  const EventHandle handle = event.handle();
  const EventHandle newer(handle.system(), handle.index(), handle.generation() + 1);
  const EventHandle older(handle.system(), handle.index(), handle.generation() - 1);
  const EventHandle elsewhere(handle.system(), handle.index() + 7, handle.generation());
  const EventHandle public_one(handle.system(), handle.slot(), handle.generation());
  for (const EventHandle& wrong : {newer, older, elsewhere, public_one}) {
    const auto ended = wait(events.awaiter(wrong));
    ASSERT_FALSE(ended);
    EXPECT_TRUE(ended.error().is(Errc::unknown_event)) << ended.error().to_string();
    const auto triggered = wait(events.trigger(wrong));
    ASSERT_FALSE(triggered);
    EXPECT_TRUE(triggered.error().is(Errc::unknown_event)) << triggered.error().to_string();
  }
  EXPECT_EQ(status(handle), EventStatus::pending);
}

TEST_F(LocalEvents, AnotherRunsHandlesNeverMatch) {
  const Event event = make();
  const EventManager later = EventManager::alone(node);
  const Event other = make(later);
  EXPECT_NE(event.handle().system(), other.handle().system());
  EXPECT_NE(event.handle().generation(), other.handle().generation());
  EXPECT_EQ(outcome(later.awaiter(event.handle())),
            "events.foreign_event: " + event.handle().to_string());
  EXPECT_EQ(outcome(later.trigger(event.handle())),
            "events.foreign_event: " + event.handle().to_string());
}

TEST_F(LocalEvents, ASlotIsUsedAgainAsANewerGenerationAndTheOlderOnesStayOver) {
  const EventHandle first = make().into_handle();
  ASSERT_TRUE(wait(events.trigger(first)));
  const EventHandle second = make().into_handle();
  ASSERT_TRUE(wait(events.poison(second, "bad")));
  const Event third = make();
  EXPECT_EQ(second.index(), first.index());
  EXPECT_EQ(third.handle().generation(), first.generation() + 2);
  EXPECT_EQ(outcome(events.awaiter(first)), "ready");
  EXPECT_EQ(outcome(events.awaiter(second)), "events.poisoned: bad");
  EXPECT_EQ(status(third.handle()), EventStatus::pending);
}

TEST_F(LocalEvents, WhatIsOlderThanTheHistoryIsNotCalledReady) {
  const EventHandle poisoned = make().into_handle();
  ASSERT_TRUE(wait(events.poison(poisoned, "long ago")));
  const EventHandle ready = make().into_handle();
  ASSERT_EQ(ready.index(), poisoned.index());
  ASSERT_TRUE(wait(events.trigger(ready)));
  for (std::size_t i = 0; i < limits::remembered_reasons_max; ++i) {
    EXPECT_EQ(outcome(events.awaiter(poisoned)), "events.poisoned: long ago");
    ASSERT_TRUE(make().poison("another"));
  }
  EXPECT_EQ(outcome(events.awaiter(poisoned)), "events.forgotten: " + poisoned.to_string());
  // It ended after the last one whose reason is gone.
  EXPECT_EQ(outcome(events.awaiter(ready)), "ready");
}

TEST_F(LocalEvents, AwaitersThatAreDroppedAreForgotten) {
  Event event = make();
  {
    const auto dropped = event.awaiter();
    auto cancelled = event.awaiter();
    cancelled.cancel();
    EXPECT_EQ(outcome(std::move(cancelled)), "base.cancelled");
  }
  auto kept = event.awaiter();
  ASSERT_TRUE(std::move(event).trigger());
  EXPECT_EQ(outcome(std::move(kept)), "ready");
}

TEST_F(LocalEvents, CancellingAfterTheEndChangesNothing) {
  Event event = make();
  auto awaiter = event.awaiter();
  ASSERT_TRUE(std::move(event).trigger());
  awaiter.cancel();
  EXPECT_EQ(outcome(std::move(awaiter)), "ready");
}

TEST_F(LocalEvents, TheNumberOfPendingEventsIsBounded) {
  EventOptions options;
  options.events_max = 2;
  const EventManager small = EventManager::alone(node, options);
  Event first = make(small);
  const Event second = make(small);
  const auto third = small.new_event();
  ASSERT_FALSE(third);
  EXPECT_TRUE(third.error().is(Errc::too_many_events));
  ASSERT_TRUE(std::move(first).trigger());
  EXPECT_TRUE(small.new_event());
}

TEST_F(LocalEvents, ALongReasonIsCutOffBetweenCharacters) {
  std::string reason(limits::reason_bytes_max - 1, 'x');
  const std::string cut = reason;
  reason += "\u00e9\u00e9";
  const EventHandle handle = make().into_handle();
  ASSERT_TRUE(wait(events.poison(handle, reason)));
  EXPECT_EQ(wait(events.awaiter(handle)).error().context(), cut);
}

TEST_F(LocalEvents, AShutdownPoisonsWhatIsPendingAndMakesNoMore) {
  Event event = make();
  auto awaiter = event.awaiter();
  events.force_shutdown("power is out");
  EXPECT_EQ(outcome(std::move(awaiter)), "events.poisoned: power is out");
  EXPECT_FALSE(std::move(event).trigger());
  const auto more = events.new_event();
  ASSERT_FALSE(more);
  EXPECT_TRUE(more.error().is(velo::Errc::shutting_down));
  EXPECT_EQ(events.counts().pending, 0u);
}

TEST_F(LocalEvents, TheEndOfTheLastManagerPoisonsWhatNobodyCanCompleteAnyMore) {
  auto manager = std::make_unique<EventManager>(EventManager::alone(node));
  auto awaiter = manager->awaiter(make(*manager).into_handle());
  manager.reset();
  EXPECT_EQ(outcome(std::move(awaiter)), "events.poisoned: the event manager is gone");
}

TEST_F(LocalEvents, AGuardedEventIsCompletedByItsOwnerOrWithItsCapability) {
  NewEvent how;
  how.guarded = true;
  Event event = make(how);
  const EventCapability capability = event.capability();
  ASSERT_TRUE(capability.valid());
  const auto parsed = EventCapability::parse(capability.to_string());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, capability);
  const EventCapability wrong(capability.token() ^ 2);
  EXPECT_EQ(outcome(events.trigger(event.handle())),
            "events.capability_needed: " + event.handle().to_string());
  EXPECT_EQ(outcome(events.poison(event.handle(), "no", wrong)),
            "events.capability_needed: " + event.handle().to_string());
  EXPECT_EQ(status(event.handle()), EventStatus::pending);
  EXPECT_EQ(outcome(events.trigger(event.handle(), capability)), "ready");
  EXPECT_EQ(status(event.handle()), EventStatus::ready);
  Event another = make(how);
  EXPECT_NE(another.capability(), capability);
  EXPECT_TRUE(std::move(another).trigger());
  EXPECT_FALSE(make().capability().valid());
}

TEST_F(LocalEvents, ContinuationsRunAfterTheTriggerOnTheExecutorOfWhoWaits) {
  Event event = make();
  std::vector<std::string> order;
  event.awaiter().then(node.pool(), [&](const Result<void>& ended) {
    order.emplace_back(ended ? "woken" : "failed");
  });
  ASSERT_TRUE(std::move(event).trigger());
  order.emplace_back("triggered");
  sim.run_until_quiet(std::chrono::seconds(1));
  EXPECT_EQ(order, std::vector<std::string>({"triggered", "woken"}));
}

TEST(EventHandles, ReadWhatTheyWrite) {
  const EventHandle handle(WorkerId(0x0123456789abcdef), EventHandle::local_bit | 5, 42);
  EXPECT_EQ(handle.to_string(), "0123456789abcdef-80000005-0000002a");
  EXPECT_EQ(*EventHandle::parse(handle.to_string()), handle);
  EXPECT_EQ(EventHandle::from_u128(handle.to_u128()), handle);
  EXPECT_EQ(handle.slot(), 5u);
  EXPECT_TRUE(handle.local_only());
  const EventHandle small(WorkerId(1), 0, 7);
  EXPECT_EQ(*EventHandle::parse("18446744073709551623"), small);
  for (const char* wrong :
       {"", "7", "0123456789abcdef-80000005-000000", "-18446744073709551623",
        "0000000000000000-00000001-00000001", "g123456789abcdef-80000005-0000002a"}) {
    EXPECT_FALSE(EventHandle::parse(wrong)) << wrong;
  }
}

TEST(EventHandles, AreOneNumberOfOwnerIndexAndGeneration) {
  constexpr EventHandle handle(WorkerId(0x1111), EventHandle::local_bit | 3, 9);
  static_assert(codec::high_half(handle.to_u128()) == 0x1111);
  static_assert(codec::low_half(handle.to_u128()) == 0x8000'0003'0000'0009);
  EXPECT_FALSE(EventHandle(WorkerId(1), 1, 0).valid());
  EXPECT_FALSE(EventHandle(WorkerId(), 1, 1).valid());
  EXPECT_EQ(std::hash<EventHandle>()(handle),
            std::hash<EventHandle>()(EventHandle::from_u128(handle.to_u128())));
}

TEST(EventSlots, RetireWithTheirLastGeneration) {
  Slots slots(WorkerId(1), UINT32_MAX - 1, 8);
  const auto first = slots.create(false);
  slots.complete(*slots.pending(*first), Outcome::ready());
  const auto last = slots.create(false);
  EXPECT_EQ(last->index(), first->index());
  EXPECT_EQ(last->generation(), UINT32_MAX);
  slots.complete(*slots.pending(*last), Outcome::ready());
  const auto next = slots.create(false);
  EXPECT_NE(next->index(), first->index());
  EXPECT_EQ(next->generation(), UINT32_MAX - 1);
  EXPECT_TRUE(slots.ended(*last).is_ready());
}

TEST(EventSlots, TheSlotThatWasFreeForLongestIsNext) {
  Slots slots(WorkerId(1), 1, 8);
  std::vector<EventHandle> made;
  for (int i = 0; i < 4; ++i) made.push_back(*slots.create(false));
  for (const std::size_t i : {2U, 0U, 3U}) {
    slots.complete(*slots.pending(made[i]), Outcome::ready());
  }
  EXPECT_EQ(slots.create(false)->index(), made[2].index());
  EXPECT_EQ(slots.create(false)->index(), made[0].index());
  slots.complete(*slots.pending(made[1]), Outcome::ready());
  EXPECT_EQ(slots.create(false)->index(), made[3].index());
  EXPECT_EQ(slots.create(false)->index(), made[1].index());
  EXPECT_EQ(slots.create(false)->index(), 4u);
}

}  // namespace velo::events::local_test
