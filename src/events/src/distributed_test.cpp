// SPDX-License-Identifier: Apache-2.0
// Events between simulated machines: awaited, completed and merged wherever they are, while
// connections break and owners die.

#include "event_messages.hpp"
#include "testing/machines.hpp"

#include <velo/events/limits.hpp>
#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace velo::events::distributed_test {

using testing::ClusterOptions;
using testing::Machines;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(DistributedEvents, AnyMachineAwaitsAnEventByItsHandle) {
  Machines machines(2);
  Event event = machines.make(0);
  auto awaiter = machines[1].awaiter(event.handle());
  ASSERT_TRUE(machines.subscribed(0));
  EXPECT_FALSE(awaiter.done());
  ASSERT_TRUE(std::move(event).trigger());
  EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_EQ(machines[0].counts().subscriptions, 0u);
  EXPECT_EQ(machines[1].counts().remote_awaits, 0u);
}

TEST(DistributedEvents, TheReasonOfAPoisonReachesEarlyAndLateSubscribers) {
  Machines machines(3);
  Event event = machines.make(0);
  const EventHandle handle = event.handle();
  auto early = machines[1].awaiter(handle);
  ASSERT_TRUE(machines.subscribed(0));
  ASSERT_TRUE(std::move(event).poison("out of paper"));
  EXPECT_EQ(machines.outcome(std::move(early)), "events.poisoned: out of paper");
  EXPECT_EQ(machines.outcome(machines[2].awaiter(handle)), "events.poisoned: out of paper");
  EXPECT_EQ(machines.outcome(machines[1].awaiter(handle)), "events.poisoned: out of paper");
}

TEST(DistributedEvents, ATriggerThatRacesWithTheSubscriptionIsNotMissed) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    Machines machines(2, std::move(options));
    Event event = machines.make(0);
    auto awaiter = machines[1].awaiter(event.handle());
    machines.cluster.sim.run_for(Duration(std::chrono::microseconds(20 * seed)));
    ASSERT_TRUE(std::move(event).trigger());
    EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready") << "seed " << seed;
  }
}

TEST(DistributedEvents, WhatIsKnownToBeOverIsNotAskedForAgain) {
  Machines machines(2);
  Event event = machines.make(0);
  const EventHandle handle = event.handle();
  ASSERT_TRUE(std::move(event).trigger());
  EXPECT_EQ(machines.outcome(machines[1].awaiter(handle)), "ready");
  const std::uint64_t before = machines[1].counts().messages;
  for (int i = 0; i < 100; ++i) {
    auto again = machines[1].awaiter(handle);
    EXPECT_TRUE(again.done());
    EXPECT_EQ(machines.outcome(std::move(again)), "ready");
  }
  EXPECT_EQ(machines[1].counts().messages, before);
}

TEST(DistributedEvents, FurtherAwaitersShareTheFirstOnesSubscription) {
  Machines machines(2);
  Event event = machines.make(0);
  std::vector<EventAwaiter> awaiters;
  for (int i = 0; i < 50; ++i) awaiters.push_back(machines[1].awaiter(event.handle()));
  ASSERT_TRUE(machines.subscribed(0));
  machines.cluster.sim.run_for(1s);
  EXPECT_LE(machines[1].counts().messages, 2u);
  EXPECT_EQ(machines[0].counts().subscriptions, 1u);
  ASSERT_TRUE(std::move(event).trigger());
  for (auto& awaiter : awaiters) EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_EQ(machines[0].counts().messages, 1u);
}

TEST(DistributedEvents, TheLastAwaitersDropUnsubscribes) {
  Machines machines(2);
  const Event event = machines.make(0);
  {
    auto first = machines[1].awaiter(event.handle());
    const auto second = machines[1].awaiter(event.handle());
    ASSERT_TRUE(machines.subscribed(0));
    first.cancel();
    EXPECT_EQ(machines.code(std::move(first)), "base.cancelled");
    EXPECT_EQ(machines[1].counts().remote_awaits, 1u);
  }
  EXPECT_EQ(machines[1].counts().remote_awaits, 0u);
  EXPECT_TRUE(machines.subscribed(0, 0));
}

TEST(DistributedEvents, OthersTriggerAndPoisonByTheHandle) {
  Machines machines(2);
  const EventHandle good = machines.make(0).into_handle();
  const EventHandle bad = machines.make(0).into_handle();
  EXPECT_EQ(machines.outcome(machines[1].trigger(good)), "ready");
  EXPECT_EQ(machines.outcome(machines[1].poison(bad, "from afar")), "ready");
  EXPECT_EQ(machines.outcome(machines[0].awaiter(good)), "ready");
  EXPECT_EQ(machines.outcome(machines[0].awaiter(bad)), "events.poisoned: from afar");
}

TEST(DistributedEvents, ARequestToCompleteIsAnsweredWithATypedError) {
  Machines machines(2);
  const EventHandle done = machines.make(0).into_handle();
  ASSERT_EQ(machines.outcome(machines[0].trigger(done)), "ready");
  EXPECT_EQ(machines.code(machines[1].trigger(done)), "events.already_completed");
  EXPECT_EQ(machines.code(machines[1].poison(done, "late")), "events.already_completed");
  const EventHandle never(done.system(), done.index() + 9, done.generation());
  EXPECT_EQ(machines.code(machines[1].trigger(never)), "events.unknown_event");
  EXPECT_EQ(machines.code(machines[1].awaiter(never)), "events.unknown_event");
  NewEvent local;
  local.local_only = true;
  const EventHandle own = machines.make(0, local).into_handle();
  EXPECT_EQ(machines.code(machines[1].trigger(own)), "events.foreign_event");
  EXPECT_EQ(machines.code(machines[1].awaiter(own)), "events.foreign_event");
  EXPECT_EQ(machines.outcome(machines[0].trigger(own)), "ready");
}

// The public velo never sends a request for what it has awaited or polled before.
TEST(DistributedEvents, WhatIsAwaitedHereCanBeTriggeredFromHere) {
  Machines machines(2);
  const EventHandle handle = machines.make(0).into_handle();
  auto awaiter = machines[1].awaiter(handle);
  EXPECT_EQ(*machines.cluster.wait(machines[1].poll(handle)), EventStatus::pending);
  EXPECT_EQ(machines.outcome(machines[1].trigger(handle)), "ready");
  EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_EQ(*machines.cluster.wait(machines[1].poll(handle)), EventStatus::ready);
}

TEST(DistributedEvents, APollAsksTheOwner) {
  Machines machines(2);
  Event event = machines.make(0);
  const EventHandle handle = event.handle();
  EXPECT_EQ(*machines.cluster.wait(machines[1].poll(handle)), EventStatus::pending);
  EXPECT_EQ(machines[0].counts().subscriptions, 0u);
  ASSERT_TRUE(std::move(event).poison("x"));
  EXPECT_EQ(*machines.cluster.wait(machines[1].poll(handle)), EventStatus::poisoned);
}

TEST(DistributedEvents, AGuardedEventIsAwaitedByAllAndCompletedWithItsCapabilityOnly) {
  Machines machines(2);
  NewEvent how;
  how.guarded = true;
  const Event event = machines.make(0, how);
  auto awaiter = machines[1].awaiter(event.handle());
  EXPECT_EQ(machines.code(machines[1].trigger(event.handle())), "events.capability_needed");
  EXPECT_EQ(machines.code(machines[1].poison(event.handle(), "no")), "events.capability_needed");
  EXPECT_EQ(machines.outcome(machines[1].trigger(event.handle(), event.capability())), "ready");
  EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
}

TEST(DistributedEvents, MergedEventsSpanMachinesAndFailAtOnce) {
  Machines machines(4);
  std::vector<EventHandle> inputs;
  for (std::size_t i = 0; i < 3; ++i) inputs.push_back(machines.make(i).into_handle());
  const EventHandle all = *machines[3].merge_events(inputs);
  const EventHandle any = *machines[3].any_of(inputs);
  auto everything = machines[0].awaiter(all);
  EXPECT_EQ(machines.outcome(machines[2].trigger(inputs[1])), "ready");
  EXPECT_EQ(machines.outcome(machines[0].awaiter(any)), "ready");
  EXPECT_FALSE(everything.done());
  EXPECT_EQ(machines.outcome(machines[1].poison(inputs[0], "broken")), "ready");
  // The third one is never completed.
  EXPECT_EQ(machines.outcome(std::move(everything)), "events.poisoned: broken");
  EXPECT_TRUE(machines.cluster.until([&] { return machines[3].counts().remote_awaits == 0; }));
  EXPECT_TRUE(machines.subscribed(2, 0));
}

TEST(DistributedEvents, AnOwnerThatShutsDownPoisonsItsEventsAndSaysSo) {
  Machines machines(2);
  const EventHandle handle = machines.make(0).into_handle();
  auto awaiter = machines[1].awaiter(handle);
  ASSERT_TRUE(machines.subscribed(0));
  const TimePoint before = machines.cluster.sim.now();
  ASSERT_TRUE(machines.cluster.wait(machines.cluster[0].shutdown()));
  EXPECT_EQ(machines.outcome(std::move(awaiter)),
            "events.poisoned: the owner of the event is shutting down");
  EXPECT_LT(machines.cluster.sim.now() - before, 1s);
}

TEST(DistributedEvents, AwaitersEndWithTheirOwnMessenger) {
  Machines machines(2);
  const Event event = machines.make(0);
  auto awaiter = machines[1].awaiter(event.handle());
  ASSERT_TRUE(machines.subscribed(0));
  ASSERT_TRUE(machines.cluster.wait(machines.cluster[1].shutdown()));
  EXPECT_EQ(machines.code(std::move(awaiter)), "base.shutting_down");
  EXPECT_EQ(machines.code(machines[1].awaiter(event.handle())), "base.shutting_down");
}

TEST(DistributedEvents, ADeadOwnerPoisonsWhoeverAwaitsItsEvents) {
  Machines machines(2);
  machines.cluster.outsiders = true;
  const EventHandle handle = machines.make(0).into_handle();
  auto awaiter = machines[1].awaiter(handle);
  ASSERT_TRUE(machines.subscribed(0));
  const TimePoint before = machines.cluster.sim.now();
  machines.cluster.sim.isolate(machines.cluster.sim.node(0));
  const auto ended = machines.cluster.wait(std::move(awaiter));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is(Errc::owner_lost)) << ended.error().to_string();
  EXPECT_TRUE(EventPoison::of(ended.error())->owner_lost);
  // Since the last question before that, which may be a little older.
  EXPECT_GE(machines.cluster.sim.now() - before, limits::owner_patience - 100ms);
  machines.cluster.sim.heal();
}

TEST(DistributedEvents, AnOwnerThatWasStartedAgainIsKnownToBeGone) {
  ClusterOptions options;
  options.setup = [](sim::SimNode& node, std::size_t, testing::NodeSetup& setup) {
    transport::TcpOptions tcp = messenger::testing::tcp_of(node);
    tcp.bind = node.endpoint(7000);
    setup.transport = transport::make_tcp(std::move(tcp));
  };
  Machines machines(2, std::move(options));
  machines.cluster.outsiders = true;
  const EventHandle handle = machines.make(0).into_handle();
  auto awaiter = machines[1].awaiter(handle);
  ASSERT_TRUE(machines.subscribed(0));
  auto& sim = machines.cluster.sim;
  const TimePoint before = sim.now();
  sim.crash(sim.node(0));
  machines.cluster.messengers[0] = nullptr;
  machines.cluster.messengers[0] = machines.cluster.build(sim.restart(sim.node(0)), 0);
  EXPECT_EQ(machines.outcome(std::move(awaiter)),
            "events.owner_lost: the owner of the event was started again");
  EXPECT_LT(sim.now() - before, limits::owner_patience / 2);
}

TEST(DistributedEvents, AMergedEventIsPoisonedWhenTheOwnerOfAnInputDies) {
  Machines machines(3);
  machines.cluster.outsiders = true;
  const EventHandle theirs = machines.make(0).into_handle();
  const EventHandle merged = *machines[1].merge_events({theirs, machines.make(1).into_handle()});
  auto awaiter = machines[2].awaiter(merged);
  ASSERT_TRUE(machines.subscribed(0));
  ASSERT_TRUE(machines.subscribed(1));
  machines.cluster.sim.isolate(machines.cluster.sim.node(0));
  EXPECT_EQ(machines.outcome(std::move(awaiter)),
            "events.poisoned: " + theirs.to_string() +
                ": events.owner_lost: the owner of the event is out of reach");
  machines.cluster.sim.heal();
}

TEST(DistributedEvents, OlderGenerationsOfASlotKeepTheirOwnEndsElsewhere) {
  testing::Cluster cluster(2);
  EventOptions one_slot;
  one_slot.events_max = 1;
  const EventManager owner = attach_events(cluster[0], one_slot).value();
  const EventManager other = attach_events(cluster[1]).value();
  std::vector<EventHandle> ended;
  for (int i = 0; i < 30; ++i) {
    Event event = owner.new_event().value();
    ended.push_back(event.handle());
    ASSERT_EQ(event.handle().slot(), ended[0].slot());
    if (i % 2 == 0) {
      ASSERT_TRUE(std::move(event).trigger());
    } else {
      ASSERT_TRUE(std::move(event).poison("odd " + std::to_string(i)));
    }
  }
  // The newest first: what it says of the slot is no end of the older ones.
  for (int i = 29; i >= 0; --i) {
    const auto end = cluster.wait(other.awaiter(ended[static_cast<std::size_t>(i)]));
    ASSERT_EQ(end.has_value(), i % 2 == 0) << i;
    if (!end) {
      EXPECT_EQ(end.error().context(), "odd " + std::to_string(i));
    }
  }
}

TEST(DistributedEvents, WhoHasToBeGivenUpHearsOfTheEndWhenItIsBack) {
  testing::Cluster cluster(2);
  cluster.outsiders = true;
  EventOptions patient;
  patient.owner_patience = 10min;
  const EventManager owner = attach_events(cluster[0]).value();
  const EventManager other = attach_events(cluster[1], patient).value();
  Event event = owner.new_event().value();
  auto awaiter = other.awaiter(event.handle());
  ASSERT_TRUE(cluster.until([&] { return owner.counts().subscriptions == 1; }));
  auto& sim = cluster.sim;
  sim.partition(sim.node(0), sim.node(1));
  ASSERT_TRUE(std::move(event).trigger());
  ASSERT_TRUE(sim.run_until([&] { return owner.counts().unacknowledged == 0; },
                            limits::completion_patience * 2));
  EXPECT_FALSE(awaiter.done());
  sim.heal();
  EXPECT_TRUE(cluster.wait(std::move(awaiter)));
}

TEST(DistributedEvents, AShortPartitionIsWaitedOut) {
  Machines machines(2);
  machines.cluster.outsiders = true;
  Event event = machines.make(0);
  auto awaiter = machines[1].awaiter(event.handle());
  ASSERT_TRUE(machines.subscribed(0));
  auto& sim = machines.cluster.sim;
  sim.partition(sim.node(0), sim.node(1));
  sim.reset_connections(sim.node(0), sim.node(1));
  sim.run_for(3s);
  ASSERT_TRUE(std::move(event).trigger());
  sim.run_for(2s);
  EXPECT_FALSE(awaiter.done());
  sim.heal();
  EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
}

TEST(DistributedEvents, ALostNotificationIsMadeGood) {
  Machines machines(2);
  machines.cluster.outsiders = true;
  auto& sim = machines.cluster.sim;
  Event event = machines.make(0);
  auto awaiter = machines[1].awaiter(event.handle());
  ASSERT_TRUE(machines.subscribed(0));
  // What the owner sends disappears, and the connection with it.
  sim.partition_one_way(sim.node(0), sim.node(1));
  ASSERT_TRUE(std::move(event).trigger());
  EXPECT_EQ(machines[0].counts().unacknowledged, 1u);
  sim.run_for(1s);
  sim.heal();
  sim.reset_connections(sim.node(0), sim.node(1));
  EXPECT_EQ(machines.outcome(std::move(awaiter)), "ready");
  EXPECT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
}

TEST(DistributedEvents, OnlyTheOwnerSaysThatAnEventIsOver) {
  Machines machines(3);
  const Event event = machines.make(0);
  auto awaiter = machines[1].awaiter(event.handle());
  ASSERT_TRUE(machines.subscribed(0));
  for (const std::string_view name : {protocol::completion_name, protocol::over_name}) {
    const auto forged = machines.cluster.wait(
        messenger::system_sync(machines.cluster[2], name)
            .raw_payload(protocol::completion(event.handle(), Outcome::ready()))
            .send_to(machines.cluster.id(1)));
    ASSERT_FALSE(forged);
    EXPECT_TRUE(forged.error().is(messenger::Errc::permission_denied))
        << forged.error().to_string();
  }
  EXPECT_FALSE(awaiter.done());
  EXPECT_EQ(*machines.cluster.wait(machines[1].poll(event.handle())), EventStatus::pending);
}

TEST(DistributedEvents, UnreadableMessagesAreRefused) {
  Machines machines(2);
  for (const std::string_view name :
       {protocol::subscribe_name, protocol::completion_name, protocol::request_name,
        protocol::unwatch_name, protocol::over_name, protocol::heard_name}) {
    for (const std::string& body :
         {std::string("{}"), std::string("["), std::string(20'000, ' ')}) {
      const auto sent = machines.cluster.wait(messenger::system_sync(machines.cluster[1], name)
                                                  .raw_payload(body)
                                                  .send_to(machines.cluster.id(0)));
      ASSERT_FALSE(sent) << name;
      EXPECT_TRUE(sent.error().is(messenger::Errc::bad_request)) << sent.error().to_string();
    }
  }
}

TEST(DistributedEvents, ThereIsOneManagerOfAMessenger) {
  Machines machines(1);
  const auto again = attach_events(machines.cluster[0]);
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().is(velo::Errc::already_exists));
}

}  // namespace velo::events::distributed_test
