// SPDX-License-Identifier: Apache-2.0
// Acknowledgements of completions: gathered, never lost for good, and never in the way of who
// waits.

#include "receipts.hpp"

#include "event_messages.hpp"
#include "subscribers.hpp"
#include "testing/machines.hpp"

#include <velo/events/limits.hpp>
#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace velo::events::receipts_test {

using testing::Machines;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr WorkerId peer(9);

static TimePoint at(Duration since) { return TimePoint(since); }
static EventHandle event(std::uint64_t owner, std::uint32_t index) {
  return {WorkerId(owner), index, 1};
}

TEST(EventReceipts, OneMessageCarriesAllOfOneOwner) {
  Receipts receipts;
  EXPECT_TRUE(receipts.add(event(8, 1)).empty());
  EXPECT_TRUE(receipts.add(event(7, 1)).empty());
  EXPECT_TRUE(receipts.add(event(8, 2)).empty());
  EXPECT_EQ(receipts.size(), 3u);
  const auto all = receipts.take_all();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].owner, WorkerId(7));
  EXPECT_EQ(all[0].events, std::vector<EventHandle>({event(7, 1)}));
  EXPECT_EQ(all[1].events, std::vector<EventHandle>({event(8, 1), event(8, 2)}));
  EXPECT_EQ(receipts.size(), 0u);
  EXPECT_TRUE(receipts.take_all().empty());
}

TEST(EventReceipts, AsManyAsOneMessageCarriesLeaveAtOnce) {
  Receipts receipts;
  EXPECT_TRUE(receipts.add(event(8, 1)).empty());
  for (std::uint32_t i = 1; i < limits::receipts_per_message; ++i) {
    ASSERT_TRUE(receipts.add(event(7, i)).empty());
  }
  const auto full = receipts.add(event(7, 0));
  ASSERT_EQ(full.size(), 1u);
  EXPECT_EQ(full[0].owner, WorkerId(7));
  EXPECT_EQ(full[0].events.size(), limits::receipts_per_message);
  EXPECT_EQ(receipts.size(), 1u);
}

TEST(EventReceipts, AllLeaveAtOnceWhenTooManyWait) {
  Receipts receipts;
  for (std::uint64_t i = 1; i < limits::receipts_max; ++i) {
    ASSERT_TRUE(receipts.add(event(i, 0)).empty());
  }
  EXPECT_EQ(receipts.add(event(1, 1)).size(), limits::receipts_max - 1);
  EXPECT_EQ(receipts.size(), 0u);
}

TEST(EventReceipts, OneMessageFullOfThemCanBeRead) {
  protocol::Heard body;
  for (std::uint32_t i = 0; i < limits::receipts_per_message; ++i) {
    body.handles.push_back(EventHandle(WorkerId(UINT64_MAX), i, UINT32_MAX).to_u128());
  }
  const auto read = protocol::decode<protocol::Heard>(protocol::encode(body).span());
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->handles, body.handles);
}

/// One completion that has left, at 1 s.
static Notice complete(Subscribers& subscribers, std::uint32_t index) {
  EXPECT_TRUE(subscribers.add(event(7, index), peer, false, at(0s)));
  auto notices = subscribers.completed(event(7, index), Outcome::ready(), at(1s));
  EXPECT_EQ(notices.size(), 1u);
  return notices.at(0);
}

TEST(EventSubscribers, WhatIsNotAcknowledgedIsRepeatedLessAndLessOften) {
  Subscribers subscribers;
  (void)complete(subscribers, 1);
  EXPECT_EQ(subscribers.expected_count(), 1u);
  TimePoint now = at(1s);
  Duration before = Duration::zero();
  int repeated = 0;
  for (;; ++repeated) {
    const Duration pause = subscribers.next_due() - now;
    now = subscribers.next_due();
    const auto again = subscribers.sweep(now);
    EXPECT_EQ(subscribers.expected_count(), 0u);  // no drain waits for it any more
    if (again.empty()) break;
    EXPECT_GE(pause, limits::receipt_patience);
    EXPECT_GE(pause, before);
    before = pause;
  }
  EXPECT_EQ(subscribers.unacknowledged_count(), 0u);
  EXPECT_GE(now, at(1s + limits::completion_patience));
  EXPECT_GE(repeated, 3);
  EXPECT_LE(repeated, 6);
}

TEST(EventSubscribers, WhatWasUnderWayWhenTheConnectionEndedIsRepeatedSoon) {
  Subscribers subscribers;
  (void)complete(subscribers, 1);
  EXPECT_TRUE(subscribers.expects(peer));
  EXPECT_FALSE(subscribers.expects(WorkerId(8)));
  subscribers.peer_down(WorkerId(8), at(1s), 0);
  EXPECT_EQ(subscribers.expected_count(), 1u);
  subscribers.peer_down(peer, at(1s), UINT64_MAX);
  EXPECT_FALSE(subscribers.expects(peer));
  EXPECT_EQ(subscribers.expected_count(), 0u);
  EXPECT_LE(subscribers.next_due(), at(1s + limits::repeat_pause_first));
  const auto again = subscribers.sweep(subscribers.next_due());
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].event, event(7, 1));
  subscribers.told(peer, event(7, 1));
  EXPECT_EQ(subscribers.unacknowledged_count(), 0u);
  EXPECT_TRUE(subscribers.sweep(at(10s)).empty());
}

TEST(EventSubscribers, APeerThatComesBackIsNotToldAgainOfWhatIsOnItsWay) {
  Subscribers subscribers;
  const Notice slow = complete(subscribers, 1);
  subscribers.leaving(slow);
  (void)complete(subscribers, 2);
  subscribers.peer_up(peer, at(1s));
  EXPECT_TRUE(subscribers.sweep(at(1s)).empty());
  EXPECT_TRUE(subscribers.sweep(at(1s + limits::receipt_patience / 2)).empty());
  subscribers.left(slow, at(1500ms));
  EXPECT_EQ(subscribers.expected_count(), 2u);
}

/// All of them awaited by machine 1.
static std::vector<EventAwaiter> await_all(Machines& machines, std::vector<Event>& events) {
  std::vector<EventAwaiter> awaiters;
  for (Event& one : events) awaiters.push_back(machines[1].awaiter(one.handle()));
  EXPECT_TRUE(machines.subscribed(0, events.size()));
  machines.cluster.sim.run_for(10ms);  // until the answers are there, too
  return awaiters;
}

static std::vector<Event> make_events(Machines& machines, std::size_t count) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < count; ++i) events.push_back(machines.make(0));
  return events;
}

TEST(Acknowledgements, ManyCompletionsToOneMachineAreAcknowledgedByOneMessage) {
  Machines machines(2);
  auto events = make_events(machines, 100);
  auto awaiters = await_all(machines, events);
  const std::uint64_t before = machines[1].counts().messages;
  for (Event& one : events) ASSERT_TRUE(std::move(one).trigger());
  for (auto& awaiter : awaiters) EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  ASSERT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
  EXPECT_EQ(machines[0].counts().messages, 100u);
  EXPECT_EQ(machines[1].counts().messages, before + 1);
}

TEST(Acknowledgements, WhoWaitsRunsBeforeTheOwnerIsTold) {
  Machines machines(2);
  auto events = make_events(machines, 1);
  auto awaiters = await_all(machines, events);
  const std::uint64_t before = machines[1].counts().messages;
  ASSERT_TRUE(std::move(events[0]).trigger());
  ASSERT_TRUE(machines.cluster.until([&] { return awaiters[0].done(); }));
  EXPECT_EQ(machines[1].counts().messages, before);
  EXPECT_EQ(machines[0].counts().unacknowledged, 1u);
  machines.cluster.sim.run_for(limits::receipt_delay * 5);
  EXPECT_EQ(machines[1].counts().messages, before + 1);
  EXPECT_EQ(machines[0].counts().unacknowledged, 0u);
}

TEST(Acknowledgements, OneThatIsDueLeavesBeforeADrainEnds) {
  Machines machines(2);
  auto events = make_events(machines, 1);
  auto awaiters = await_all(machines, events);
  ASSERT_TRUE(std::move(events[0]).trigger());
  ASSERT_TRUE(machines.cluster.until([&] { return awaiters[0].done(); }));
  ASSERT_EQ(machines[0].counts().unacknowledged, 1u);
  ASSERT_TRUE(machines.cluster.wait(machines.cluster[1].shutdown()));
  machines.cluster.sim.run_for(limits::repeat_pause_first / 2);
  EXPECT_EQ(machines[0].counts().unacknowledged, 0u);
  EXPECT_EQ(machines[0].counts().messages, 1u);
}

TEST(Acknowledgements, OneThatIsDueLeavesWithTheMessengerThatEnds) {
  Machines machines(2);
  auto events = make_events(machines, 1);
  auto awaiters = await_all(machines, events);
  ASSERT_TRUE(std::move(events[0]).trigger());
  ASSERT_TRUE(machines.cluster.until([&] { return awaiters[0].done(); }));
  ASSERT_EQ(machines[0].counts().unacknowledged, 1u);
  machines.cluster.messengers[1] = nullptr;
  machines.cluster.sim.run_for(limits::repeat_pause_first / 2);
  EXPECT_EQ(machines[0].counts().unacknowledged, 0u);
  EXPECT_EQ(machines[0].counts().messages, 1u);
}

TEST(Acknowledgements, ADrainWaitsForThoseOfWhatWasSent) {
  Machines machines(2);
  auto events = make_events(machines, 3);
  auto awaiters = await_all(machines, events);
  for (Event& one : events) ASSERT_TRUE(std::move(one).trigger());
  ASSERT_EQ(machines[0].counts().unacknowledged, 3u);
  auto drained = machines.cluster[0].shutdown();
  EXPECT_EQ(machines.cluster[0].drain_state().subsystems, 3u);
  ASSERT_TRUE(machines.cluster.wait(std::move(drained)));
  EXPECT_EQ(machines[0].counts().unacknowledged, 0u);
  for (auto& awaiter : awaiters) EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
}

TEST(Acknowledgements, CompletionsWhoseAcknowledgementIsLostAreSentAgainAndCountedOnce) {
  Machines machines(2);
  machines.cluster.outsiders = true;
  auto& sim = machines.cluster.sim;
  auto events = make_events(machines, 5);
  auto awaiters = await_all(machines, events);
  const std::uint64_t before = machines[1].counts().messages;
  for (Event& one : events) ASSERT_TRUE(std::move(one).trigger());
  for (auto& awaiter : awaiters) {
    ASSERT_TRUE(machines.cluster.until([&] { return awaiter.done(); }));
  }
  // What the subscriber says disappears, and the connection with it.
  sim.partition_one_way(sim.node(1), sim.node(0));
  sim.run_for(500ms);
  EXPECT_EQ(machines[0].counts().unacknowledged, 5u);
  EXPECT_EQ(machines[0].counts().messages, 5u);
  EXPECT_EQ(machines[1].counts().messages, before + 1);
  sim.heal();
  sim.reset_connections(sim.node(0), sim.node(1));
  EXPECT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
  EXPECT_EQ(machines[0].counts().messages, 10u);
  for (auto& awaiter : awaiters) EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_EQ(machines[0].counts().triggered, 5u);
  EXPECT_EQ(machines[1].counts().remote_awaits, 0u);
}

TEST(Acknowledgements, ThoseOfOthersCountForNothing) {
  Machines machines(3);
  machines.cluster.outsiders = true;
  auto& sim = machines.cluster.sim;
  auto events = make_events(machines, 1);
  auto awaiters = await_all(machines, events);
  const EventHandle handle = events[0].handle();
  sim.partition(sim.node(0), sim.node(1));
  ASSERT_TRUE(std::move(events[0]).trigger());
  protocol::Heard forged;
  forged.handles.push_back(handle.to_u128());
  ASSERT_TRUE(
      machines.cluster.wait(messenger::system_sync(machines.cluster[2], protocol::heard_name)
                                .raw_payload(protocol::encode(forged))
                                .send_to(machines.cluster.id(0))));
  EXPECT_EQ(machines[0].counts().unacknowledged, 1u);
  sim.heal();
  EXPECT_EQ(machines.outcome(std::move(awaiters[0])), "ready");
  EXPECT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
}

}  // namespace velo::events::receipts_test
