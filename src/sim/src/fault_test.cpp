// SPDX-License-Identifier: Apache-2.0
// Faults: resets, partitions, crashes and restarts, pauses, slow readers, and plans of them.

#include "stream_test_kit.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>

namespace velo::sim::fault_test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using stream_test_kit::Pair;
using stream_test_kit::pattern;

/// Two connected nodes.
struct Two {
  Simulation sim;
  SimNode& a;
  SimNode& b;
  Pair pair;
  explicit Two(std::uint64_t seed, const SimOptions& options = SimOptions(),
               bool server_reads = true)
      : sim(seed, options), a(sim.add_node("a")), b(sim.add_node("b")) {
    pair.start(a, b, b.endpoint(7000), server_reads);
    EXPECT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  }
};

TEST(SimFault, AResetIsSeenByBothEndsAndLosesOnlyATail) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Two two(seed);
    const std::string message = pattern(50'000);
    two.pair.client->say(message);
    two.sim.run_for(std::chrono::microseconds(seed * 10));
    two.sim.reset_connections(two.a, two.b);
    EXPECT_TRUE(two.sim.run_until_idle(seconds(60)));
    EXPECT_EQ(two.pair.client->error(), ECONNRESET);
    EXPECT_EQ(two.pair.server->error(), ECONNRESET);
    EXPECT_TRUE(message.starts_with(two.pair.server->heard()));
    EXPECT_EQ(two.sim.stats().connections_open, 0U);
    two.pair.client->say("more");
    EXPECT_EQ(two.pair.client->error(), EPIPE);
  }
}

TEST(SimFault, LostSegmentsShowAsResets) {
  SimOptions options;
  options.link.reset_per_million_segments = 20'000;
  Two two(1, options);
  for (int i = 0; i < 1000 && two.pair.client->error() == 0; ++i) {
    two.pair.client->say("ping");
    two.sim.run_for(milliseconds(1));
  }
  EXPECT_TRUE(two.sim.run_until_idle(seconds(60)));
  EXPECT_NE(two.pair.client->error(), 0);
  EXPECT_NE(two.pair.server->error(), 0);
  EXPECT_EQ(two.sim.stats().resets, 1U);
}

TEST(SimFault, APartitionHoldsWhatIsSentUntilItHeals) {
  Two two(2);
  two.sim.partition(two.a, two.b);
  two.pair.client->say("from a");
  two.pair.server->say("from b");
  two.sim.run_for(seconds(10));
  EXPECT_EQ(two.pair.server->heard(), "");
  EXPECT_EQ(two.pair.client->heard(), "");
  two.sim.heal();
  EXPECT_TRUE(two.sim.run_until_idle(seconds(1)));
  EXPECT_EQ(two.pair.server->heard(), "from a");
  EXPECT_EQ(two.pair.client->heard(), "from b");
}

TEST(SimFault, APartitionThatLastsFailsTheSenderAndLeavesAnIdlePeerHalfOpen) {
  Two two(3);
  two.sim.partition(two.a, two.b);
  two.pair.client->say("lost");
  two.sim.run_for(seconds(25));
  EXPECT_EQ(two.pair.client->error(), ETIMEDOUT);
  EXPECT_FALSE(two.pair.server->over());
  two.sim.heal();
  two.sim.run_for(seconds(1));
  EXPECT_FALSE(two.pair.server->over());
  two.pair.server->say("still there?");
  two.sim.run_for(seconds(1));
  EXPECT_EQ(two.pair.server->error(), ECONNRESET);
}

TEST(SimFault, AOneWayPartitionStopsOneWayAndTheAcknowledgementsOfTheOther) {
  Two two(4);
  two.sim.partition_one_way(two.a, two.b);
  two.pair.client->say("lost");
  two.pair.server->say("heard");
  two.sim.run_for(seconds(5));
  EXPECT_EQ(two.pair.client->heard(), "heard");
  EXPECT_EQ(two.pair.server->heard(), "");
  two.sim.run_for(seconds(20));
  EXPECT_EQ(two.pair.client->error(), ETIMEDOUT);
  EXPECT_EQ(two.pair.server->error(), ETIMEDOUT);
}

TEST(SimFault, ConnectingThroughAPartitionTimesOutOrSucceedsOnceItHeals) {
  Simulation sim(5);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  sim.inject(Fault(Duration::zero(), FaultKind::partition, 0, 1, seconds(8)));
  Pair hasty;
  hasty.start(a, b, b.endpoint(7000));
  ConnectOptions patient_options;
  patient_options.timeout = seconds(60);
  Pair patient;
  patient.start(a, b, b.endpoint(7001), true, patient_options);
  ASSERT_TRUE(sim.run_until([&] { return patient.connected(); }, minutes(1)));
  ASSERT_TRUE(hasty.error.has_value());
  EXPECT_TRUE(hasty.error->is(Errc::deadline_exceeded));
  EXPECT_GE(sim.now(), TimePoint(seconds(8)));
}

TEST(SimFault, PartitionsThatEndByThemselvesHeal) {
  Two two(6);
  two.sim.apply({Fault(seconds(1), FaultKind::split, 1, any_node, seconds(3))});
  two.sim.run_for(seconds(2));
  two.pair.client->say("x");
  two.sim.run_for(seconds(1));
  EXPECT_EQ(two.pair.server->heard(), "");
  two.sim.run_for(seconds(2));
  EXPECT_EQ(two.pair.server->heard(), "x");
}

TEST(SimFault, DelaysAreAddedBothWays) {
  Two two(7);
  two.sim.inject(Fault(Duration::zero(), FaultKind::delay, 0, 1, seconds(10),
                       Duration(milliseconds(700)).count()));
  two.pair.client->say("x");
  two.pair.server->say("y");
  two.sim.run_for(milliseconds(700));
  EXPECT_EQ(two.pair.server->heard() + two.pair.client->heard(), "");
  two.sim.run_for(milliseconds(10));
  EXPECT_EQ(two.pair.server->heard() + two.pair.client->heard(), "xy");
}

struct Count {
  int runs = 0;
  static void add(void* self) { ++static_cast<Count*>(self)->runs; }
};

TEST(SimFault, ACrashTakesTasksTimersAndThePoolWithIt) {
  Simulation sim(8);
  SimNode& a = sim.add_node("a");
  Count count;
  const Task0 task{&Count::add, &count};
  a.shard(0).post(task);
  a.pool().post(task);
  const auto timer = a.shard(0).start_timer(TimePoint(seconds(1)), task);
  a.shard(0).at_turn_end(task);
  sim.crash(a);
  EXPECT_FALSE(a.alive());
  sim.run_for(seconds(5));
  EXPECT_EQ(count.runs, 0);
  EXPECT_TRUE(a.shard(0).cancel_timer(timer));
}

TEST(SimFault, ANodeMayCrashInTheMiddleOfItsOwnTurn) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Simulation sim(seed);
    SimNode& a = sim.add_node("a");
    Count count;
    a.post([&] { a.shard(0).at_turn_end(Task0{&Count::add, &count}); });
    a.post([&] { sim.crash(a); });
    a.shard(0).post(Task0{&Count::add, &count});
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
    EXPECT_LE(count.runs, 1);  // the first task's turn may have ended before
  }
}

TEST(SimFault, CleanUpPostedToACrashedNodeStillRuns) {
  Simulation sim(9);
  SimNode& a = sim.add_node("a");
  sim.crash(a);
  Count count;
  a.shard(0).post(Task0{&Count::add, &count});
  a.pool().post(Task0{&Count::add, &count});
  a.shard(0).start_timer(TimePoint(seconds(1)), Task0{&Count::add, &count});
  EXPECT_TRUE(sim.run_until_idle(seconds(5)));
  EXPECT_EQ(count.runs, 2);
}

TEST(SimFault, ACrashResetsThePeersAndFreesThePort) {
  Two two(10);
  two.pair.client->say(pattern(1000));
  two.sim.crash(two.b);
  EXPECT_TRUE(two.sim.run_until_idle(seconds(1)));
  EXPECT_EQ(two.pair.client->error(), ECONNRESET);
  EXPECT_FALSE(two.pair.server->over());  // a dead process is told nothing
  two.pair.server->say("zombie");
  EXPECT_NE(two.pair.server->error(), 0);

  SimNode& again = two.sim.restart(two.b);
  EXPECT_EQ(again.index(), two.b.index());
  EXPECT_EQ(again.incarnation(), 1U);
  EXPECT_EQ(again.host(), two.b.host());
  const std::uint64_t old_draw = two.b.random().next();
  const std::uint64_t new_draw = again.random().next();
  EXPECT_NE(old_draw, new_draw);
  Pair fresh;
  fresh.start(two.a, again, again.endpoint(7000));
  EXPECT_TRUE(two.sim.run_until([&] { return fresh.connected(); }, seconds(1)));
}

TEST(SimFault, WhatADeadNodeStartsNeverEnds) {
  Simulation sim(11);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  sim.crash(a);
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  EXPECT_TRUE(sim.run_until_idle(minutes(5)));
  EXPECT_FALSE(pair.client || pair.server || pair.error);
  auto listening = a.network().listen(a.shard(0), a.endpoint(1), ListenOptions(),
                                      [](Result<std::unique_ptr<ByteStream>>) {});
  EXPECT_FALSE(listening.has_value());
}

TEST(SimFault, PowerOffIsSilentUntilTheMachineIsBack) {
  Two two(12);
  two.sim.crash(two.b, CrashKind::power);
  two.pair.client->say("hello?");
  two.sim.run_for(seconds(5));
  EXPECT_FALSE(two.pair.client->over());
  two.sim.restart(two.b);
  two.sim.run_for(seconds(1));
  EXPECT_EQ(two.pair.client->error(), ECONNRESET);

  Two other(13);
  other.sim.crash(other.b, CrashKind::power);
  other.pair.client->say("hello?");
  other.sim.run_for(seconds(25));
  EXPECT_EQ(other.pair.client->error(), ETIMEDOUT);
}

TEST(SimFault, APausedNodeRunsNothingAndThenCatchesUp) {
  Two two(14);
  Count count;
  two.sim.pause(two.b);
  two.b.shard(0).post(Task0{&Count::add, &count});
  two.b.pool().post(Task0{&Count::add, &count});
  two.b.shard(0).start_timer(two.sim.now() + milliseconds(1), Task0{&Count::add, &count});
  const std::string message = pattern(1'000'000);
  two.pair.client->say(message);
  two.sim.run_for(seconds(60));
  EXPECT_EQ(count.runs, 0);
  EXPECT_EQ(two.pair.server->heard(), "");
  EXPECT_GE(two.pair.client->unsent(), message.size() - SimOptions().send_window_bytes);
  EXPECT_FALSE(two.pair.client->over());  // its kernel acknowledges
  two.sim.resume(two.b);
  two.sim.run_for(seconds(5));
  EXPECT_EQ(count.runs, 3);
  EXPECT_TRUE(two.pair.server->heard() == message);
}

TEST(SimFault, ASlowReaderGetsABoundedRate) {
  Two two(15);
  two.sim.slow_reader(two.b, 100);
  const std::string message = pattern(400'000);
  two.pair.client->say(message);
  two.sim.run_for(seconds(1));
  EXPECT_GE(two.pair.server->heard().size(), 90'000U);
  EXPECT_LE(two.pair.server->heard().size(), 101'000U);
  two.sim.slow_reader(two.b, 0);
  two.sim.run_for(seconds(1));
  EXPECT_TRUE(two.pair.server->heard() == message);
}

/// A service that counts its lives and posts its clean-up, as a real one would.
struct Service {
  SimNode& node;
  std::map<std::string, int>& books;
  Service(SimNode& n, std::map<std::string, int>& b) : node(n), books(b) { ++books["born"]; }
  ~Service() {
    ++books[node.alive() ? "retired" : "killed"];
    node.post([&b = books] { ++b["cleaned"]; });
  }
};

TEST(SimFault, BootMakesTheServicesOfEachIncarnation) {
  std::map<std::string, int> books;
  {
    Simulation sim(16);
    sim.add_node("a", NodeOptions(),
                 [&](SimNode& node) { return std::make_shared<Service>(node, books); });
    sim.apply({Fault(seconds(1), FaultKind::crash, 0, any_node, seconds(1)),
               Fault(seconds(5), FaultKind::power_off, 0, any_node, seconds(1)),
               Fault(seconds(9), FaultKind::crash_wiped, 0)});
    sim.run_for(seconds(8));
    EXPECT_TRUE(sim.node(0).alive());
    EXPECT_EQ(sim.node(0).incarnation(), 2U);
    sim.run_for(seconds(100));
    EXPECT_FALSE(sim.node(0).alive());
    EXPECT_EQ(sim.stats().crashes, 3U);
  }
  EXPECT_EQ(books["born"], 3);
  EXPECT_EQ(books["killed"], 3);
  EXPECT_EQ(books["cleaned"], 3);
}

TEST(SimFault, PlansAreReproduciblePlainValuesInOrderOfTime) {
  FaultPlanOptions options;
  options.nodes = 5;
  options.faults = 200;
  const FaultPlan plan = random_fault_plan(7, options);
  EXPECT_EQ(plan, random_fault_plan(7, options));
  EXPECT_NE(plan, random_fault_plan(8, options));
  ASSERT_EQ(plan.size(), 200U);
  std::map<FaultKind, int> kinds;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    ++kinds[plan[i].kind];
    EXPECT_LT(plan[i].a, 5U);
    EXPECT_NE(plan[i].a, plan[i].b);
    EXPECT_LE(plan[i == 0 ? 0 : i - 1].at, plan[i].at);
  }
  EXPECT_EQ(kinds.size(), 16U);
  EXPECT_EQ(to_string(Fault(milliseconds(1500), FaultKind::partition, 0, 3, seconds(2))),
            "1.5s partition 0 3 for 2s");
  EXPECT_EQ(periodic_faults(FaultKind::reset_one, seconds(2), seconds(10)).size(), 5U);
}

TEST(SimFault, EveryFaultOnceLeavesNoConnectionBehind) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimOptions sim_options;
    sim_options.torn_appends = true;
    Simulation sim(seed, sim_options);
    for (int i = 0; i < 4; ++i) sim.add_node("n" + std::to_string(i));
    FaultPlanOptions options;
    options.nodes = 4;
    options.faults = 40;
    options.span = seconds(30);
    sim.apply(random_fault_plan(seed, options));
    std::vector<std::unique_ptr<Pair>> pairs;
    for (int round = 0; round < 60; ++round) {
      const std::uint64_t from = sim.random().below(4);
      const std::uint64_t to = sim.random().below(4);
      auto pair = std::make_unique<Pair>();
      SimNode& server = sim.node(to);
      pair->start(sim.node(from), server,
                  server.endpoint(static_cast<std::uint16_t>(1000 + round)));
      pairs.push_back(std::move(pair));
      for (const auto& each : pairs) {
        if (each->client) each->client->say("some words from the client");
        if (each->server) each->server->say("and some from the server");
      }
      sim.run_for(milliseconds(700));
    }
    pairs.clear();
    EXPECT_TRUE(sim.run_until_idle(minutes(10)));
    EXPECT_EQ(sim.stats().connections_open, 0U) << "seed " << seed;
  }
}

}  // namespace velo::sim::fault_test
