// SPDX-License-Identifier: Apache-2.0
// Why an event has not happened: owners, awaiters, and circles, across machines.

#include "testing/cluster.hpp"
#include "why_walk.hpp"

#include <velo/events/attach.hpp>
#include <velo/events/limits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace velo::events::why_test {

using messenger::testing::Cluster;

class WhyOfEvents : public ::testing::Test {
 protected:
  WhyOfEvents() {
    for (std::size_t i = 0; i < 3; ++i) managers.push_back(attach_events(cluster[i]).value());
  }
  EventHandle make(std::size_t node) {
    return std::move(*managers[node].new_event()).into_handle();
  }
  EventWhy why(std::size_t node, const EventHandle& event) {
    auto told = cluster.wait(managers[node].why(event));
    EXPECT_TRUE(told) << told.error().to_string();
    return told ? std::move(*told) : EventWhy();
  }

  Cluster cluster{3};
  std::vector<EventManager> managers;
};

TEST_F(WhyOfEvents, TellsOwnerNoteAndWhoAwaitsItWhere) {
  const EventHandle event = make(0);
  EventNote note;
  note.text = "the last shard is loading";
  ASSERT_TRUE(managers[0].annotate(event, note));
  const auto here = managers[0].awaiter(event);
  const auto there = managers[1].awaiter(event);
  const auto again = managers[1].awaiter(event);
  const EventHandle merged = *managers[1].merge_events({event});
  ASSERT_TRUE(cluster.until([&] { return managers[0].counts().subscriptions == 1; }));
  const EventWhy told = why(2, event);
  ASSERT_EQ(told.events.size(), 1u);
  const EventReport& report = told.events[0];
  EXPECT_EQ(report.event, event);
  EXPECT_EQ(report.told_by, cluster.id(0).worker_id());
  EXPECT_EQ(report.status, "pending");
  EXPECT_EQ(report.kind, "event");
  EXPECT_EQ(report.note, "the last shard is loading");
  EXPECT_EQ(report.awaiters, 1u);
  EXPECT_EQ(report.subscribers, std::vector<WorkerId>({cluster.id(1).worker_id()}));
  ASSERT_EQ(told.awaited_by.size(), 1u);
  EXPECT_EQ(told.awaited_by[0].status, "awaited");
  EXPECT_EQ(told.awaited_by[0].awaiters, 2u);
  EXPECT_EQ(told.awaited_by[0].needed_by, std::vector<EventHandle>({merged}));
  EXPECT_TRUE(told.cycles.empty());
}

TEST_F(WhyOfEvents, FollowsMergedEventsToTheMachinesThatOwnWhatIsMissing) {
  const EventHandle done = make(0);
  const EventHandle missing = make(1);
  const EventHandle all = *managers[2].merge_events({done, missing});
  ASSERT_TRUE(cluster.wait(managers[0].trigger(done)));
  ASSERT_TRUE(cluster.until([&] { return managers[1].counts().subscriptions == 1; }));
  ASSERT_TRUE(cluster.until([&] { return managers[2].counts().remote_awaits == 1; }));
  const EventWhy told = why(0, all);
  ASSERT_EQ(told.events.size(), 2u);
  EXPECT_EQ(told.events[0].kind, "all of");
  EXPECT_EQ(told.events[0].waits_for, std::vector<EventHandle>({missing}));
  EXPECT_EQ(told.events[1].event, missing);
  EXPECT_EQ(told.events[1].told_by, cluster.id(1).worker_id());
}

TEST_F(WhyOfEvents, FindsEventsThatWaitForEachOther) {
  const EventHandle first = make(0);
  const EventHandle second = *managers[1].merge_events({first});
  const EventHandle third = *managers[2].merge_events({second});
  EventNote note;
  note.waits_for = {third};
  ASSERT_TRUE(managers[0].annotate(first, note));
  const EventWhy told = why(1, second);
  EXPECT_EQ(told.events.size(), 3u);
  ASSERT_EQ(told.cycles.size(), 1u);
  EXPECT_EQ(told.cycles[0], std::vector<EventHandle>({second, first, third}));
}

TEST_F(WhyOfEvents, SaysHowAnEventEndedAndWhoDoesNotAnswer) {
  const EventHandle event = make(0);
  ASSERT_TRUE(cluster.wait(managers[0].poison(event, "no paper")));
  const EventWhy told = why(1, event);
  ASSERT_EQ(told.events.size(), 1u);
  EXPECT_EQ(told.events[0].status, "poisoned");
  EXPECT_EQ(told.events[0].reason, "no paper");
  const EventHandle nobodys(WorkerId(77), 1, 1);
  const EventWhy silent = why(1, nobodys);
  ASSERT_EQ(silent.events.size(), 1u);
  EXPECT_EQ(silent.events[0].status, "messenger.unknown_peer");
  const EventHandle never(event.system(), event.index() + 1, event.generation());
  EXPECT_EQ(why(1, never).events.at(0).status, "events.unknown_event");
}

TEST_F(WhyOfEvents, ALargeGraphIsCutOff) {
  std::vector<EventHandle> groups;
  for (int i = 0; i < 5; ++i) {
    std::vector<EventHandle> inputs;
    for (std::size_t k = 0; k < limits::why_listed_max + 1; ++k) inputs.push_back(make(0));
    groups.push_back(*managers[0].merge_events(inputs));
  }
  const EventWhy told = why(0, *managers[0].merge_events(groups));
  EXPECT_TRUE(told.cut_off);
  EXPECT_EQ(told.events.size(), limits::why_events_max);
  EXPECT_EQ(told.events[1].waits_for.size(), limits::why_listed_max);
  EXPECT_EQ(told.events[1].waits_for_count, limits::why_listed_max + 1);
}

TEST(WhyCycles, AreFoundOnceEachAndNotWhereThereAreNone) {
  const auto at = [](std::uint32_t index) { return EventHandle(WorkerId(1), index, 1); };
  const auto report = [&](std::uint32_t index, std::vector<std::uint32_t> waits_for) {
    EventReport made;
    made.event = at(index);
    for (const std::uint32_t other : waits_for) made.waits_for.push_back(at(other));
    return made;
  };
  // A diamond is none.
  EXPECT_TRUE(
      find_cycles({report(1, {2, 3}), report(2, {4}), report(3, {4}), report(4, {})}).empty());
  EXPECT_EQ(find_cycles({report(1, {1})}), std::vector<std::vector<EventHandle>>({{at(1)}}));
  EXPECT_EQ(find_cycles({report(1, {2}), report(2, {3, 9}), report(3, {2})}),
            std::vector<std::vector<EventHandle>>({{at(2), at(3)}}));
}

}  // namespace velo::events::why_test
