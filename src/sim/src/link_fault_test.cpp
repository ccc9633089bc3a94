// SPDX-License-Identifier: Apache-2.0
// Faults that worsen links for a time, and power cuts that tear files.

#include <velo/base/files.hpp>

#include "stream_test_kit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace velo::sim::link_fault_test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using stream_test_kit::Pair;
using stream_test_kit::pattern;

Fault between(FaultKind kind, Duration duration, std::int64_t amount) {
  return {Duration::zero(), kind, 0, 1, duration, amount};
}

TEST(SimLinkFault, LossEndsConnectionsAtItsRateUntilItIsOver) {
  Simulation sim(1);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  sim.inject(between(FaultKind::loss, seconds(1000), 100'000));
  int lost = 0;
  const auto one_message = [&](std::uint16_t port) {
    Pair pair;
    pair.start(a, b, b.endpoint(port));
    EXPECT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(5)));
    pair.client->say("x");
    sim.run_for(milliseconds(50));
    if (pair.client->error() == ECONNRESET) ++lost;
  };
  for (std::uint16_t port = 1; port <= 1000; ++port) one_message(port);
  EXPECT_GT(lost, 60);
  EXPECT_LT(lost, 140);
  EXPECT_EQ(sim.stats().resets, static_cast<std::uint64_t>(lost));
  sim.run_for(minutes(20));
  lost = 0;
  for (std::uint16_t port = 1; port <= 100; ++port) one_message(port);
  EXPECT_EQ(lost, 0);
}

TEST(SimLinkFault, LossTakesDatagramsToo) {
  Simulation sim(2);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  int arrived = 0;
  auto there = b.network().bind_datagram(b.shard(0), b.endpoint(9),
                                         [&](const Endpoint&, ByteSpan) { ++arrived; });
  auto here =
      a.network().bind_datagram(a.shard(0), a.endpoint(9), [](const Endpoint&, ByteSpan) {});
  sim.inject(between(FaultKind::loss, seconds(0), 300'000));
  for (int i = 0; i < 1000; ++i) {
    (*here)->try_send(b.endpoint(9), as_bytes("x"));
    sim.run_for(milliseconds(1));
  }
  sim.run_for(seconds(1));
  EXPECT_GT(arrived, 600);
  EXPECT_LT(arrived, 800);
  sim.heal();
  arrived = 0;
  for (int i = 0; i < 100; ++i) (*here)->try_send(b.endpoint(9), as_bytes("x"));
  sim.run_for(seconds(1));
  EXPECT_EQ(arrived, 100);
}

TEST(SimLinkFault, BandwidthIsLimitedForATime) {
  Simulation sim(3);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(1));
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(5)));
  sim.inject(between(FaultKind::bandwidth, seconds(10), 10'000));
  const TimePoint began = sim.now();
  pair.client->say(pattern(50'000));
  ASSERT_TRUE(sim.run_until([&] { return pair.server->heard().size() == 50'000; }, minutes(1)));
  EXPECT_GT(sim.now() - began, milliseconds(4'900));
  EXPECT_LT(sim.now() - began, milliseconds(5'200));
  sim.run_for(seconds(10));
  const TimePoint later = sim.now();
  pair.client->say(pattern(50'000));
  ASSERT_TRUE(sim.run_until([&] { return pair.server->heard().size() == 100'000; }, minutes(1)));
  EXPECT_LT(sim.now() - later, milliseconds(100));
}

TEST(SimLinkFault, AmountsBeyondTheirLimitsActAsTheLimits) {
  Simulation sim(4);
  sim.add_node("a");
  sim.add_node("b");
  for (const std::int64_t amount : {INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    for (int kind = 1; kind <= static_cast<int>(FaultKind::power_off_torn); ++kind) {
      Fault fault = between(static_cast<FaultKind>(kind), Duration::max(), amount);
      sim.inject(fault);
      fault.a = fault.b = any_node;
      sim.inject(fault);
    }
  }
  SimNode& a = sim.restart(sim.node(0));
  for (int i = 0; i < 3; ++i) {
    sim.inject(
        Fault(Duration::zero(), FaultKind::wall_clock_jump, 0, any_node, seconds(0), INT64_MAX));
  }
  const std::int64_t wall = a.clock().wall_now().unix_nanoseconds;
  EXPECT_EQ(wall - SimOptions().start_unix_nanoseconds, limits::wall_clock_offset_max.count());
  sim.run_for(minutes(1));
}

/// What is left of 4 KiB of 'x' that were appended just before the power went.
std::string left_over(std::uint64_t seed, const SimOptions& options, FaultKind kind) {
  Simulation sim(seed, options);
  SimNode& a = sim.add_node("a");
  EXPECT_TRUE(a.files().append("/log", as_bytes("flushed")).has_value());
  sim.run_for(seconds(10));
  EXPECT_TRUE(a.files().append("/log", as_bytes(std::string(4096, 'x'))).has_value());
  EXPECT_TRUE(a.files().write_atomic("/atomic", as_bytes("whole")).has_value());
  sim.inject(Fault(Duration::zero(), kind, 0, any_node, seconds(1)));
  sim.run_for(seconds(2));
  EXPECT_EQ(sim.node(0).incarnation(), 1U);
  EXPECT_EQ(sim.node(0).files().read("/atomic", 100)->text(), "whole");
  return std::string(sim.node(0).files().read("/log", 10'000)->text());
}

TEST(SimLinkFault, APowerCutTearsAppendsOnlyWhereItIsSaid) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    EXPECT_EQ(left_over(seed, SimOptions(), FaultKind::power_off).size(), 4103U);
    const std::string torn = left_over(seed, SimOptions(), FaultKind::power_off_torn);
    EXPECT_TRUE(("flushed" + std::string(4096, 'x')).starts_with(torn));
    EXPECT_TRUE(torn.starts_with("flushed"));
    sizes.insert(torn.size());
  }
  EXPECT_GT(sizes.size(), 20U);
}

TEST(SimLinkFault, ATornFileMayHaveLostSectorsInItsMiddle) {
  SimOptions options;
  options.torn_holes = true;
  int with_holes = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const std::string torn = left_over(seed, options, FaultKind::power_off_torn);
    ASSERT_TRUE(torn.starts_with("flushed"));
    const std::size_t zeros = static_cast<std::size_t>(std::count(torn.begin(), torn.end(), '\0'));
    const std::size_t written = static_cast<std::size_t>(std::count(torn.begin(), torn.end(), 'x'));
    EXPECT_EQ(zeros + written + 7, torn.size());
    if (zeros != 0 && written != 0) ++with_holes;
    for (std::size_t sector = 512; sector + 512 <= torn.size(); sector += 512) {
      EXPECT_EQ(torn.substr(sector, 512), std::string(512, torn[sector])) << "a sector is whole";
    }
  }
  EXPECT_GT(with_holes, 10);
}

}  // namespace velo::sim::link_fault_test
