// SPDX-License-Identifier: Apache-2.0
// Eight threads on the parts of one World, and eight simulations at once.

#include "crew.hpp"

#include <velo/base/executor.hpp>
#include <velo/base/files.hpp>
#include <velo/base/world.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/sim/scenario.hpp>
#include <velo/sim/seeds.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/on_shard.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace velo::threads_test {
namespace shared_world_test {

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.shards = 2;
  options.workers = 2;
  auto world = runtime::RealWorld::create(options);
  EXPECT_TRUE(world) << world.error().to_string();
  return std::move(*world);
}

/// Runs a seeded simulation of one node that counts its timers; nothing in it is shared.
class Ticking final : public sim::Scenario {
 public:
  std::string_view name() const noexcept override { return "ticking"; }
  std::string_view description() const noexcept override { return "Timers run in order."; }
  sim::FaultPlan plan(std::uint64_t seed) const override {
    sim::FaultPlanOptions options;
    options.faults = 5;
    return sim::random_fault_plan(seed, options);
  }
  sim::ScenarioOutcome run(std::uint64_t seed, const sim::FaultPlan& plan) const override {
    sim::Simulation simulation(seed);
    sim::SimNode& node = simulation.add_node("node");
    simulation.apply(plan);
    std::uint64_t ticks = 0;
    for (int i = 0; i < 100; ++i) {
      const auto at = simulation.now() + std::chrono::milliseconds(node.random().below(1000));
      node.shard(0).start_timer(
          at, Task0{[](void* count) { ++*static_cast<std::uint64_t*>(count); }, &ticks});
    }
    simulation.run_for(std::chrono::seconds(100));
    sim::ScenarioOutcome outcome;
    outcome.trace_hash = simulation.trace_hash();
    outcome.figures["ticks"] = ticks;
    return outcome;
  }
};

}  // namespace shared_world_test

using namespace shared_world_test;  // NOLINT(google-build-using-namespace)

TEST(SharedWorld, ExecutorsRunEachTaskOnce) {
  const auto world = make_world();
  constexpr int rounds = 2000;
  std::latch ran(crew_size * rounds * 3);
  std::atomic<int> misplaced{0};
  in_eight_threads([&](int /*thread*/) {
    for (int i = 0; i < rounds; ++i) {
      for (std::size_t shard = 0; shard < 2; ++shard) {
        post(world->shard(shard), [&, shard] {
          if (!world->shard(shard).on_this_thread()) ++misplaced;
          ran.count_down();
        });
      }
      post(world->pool(), [&] {
        if (Executor::current() != &world->pool()) ++misplaced;
        ran.count_down();
      });
      if (i % 100 == 0) {
        bool inside = false;
        transport::run_on_shard(world->shard(0),
                                [&] { inside = world->shard(0).on_this_thread(); });
        if (!inside) ++misplaced;
      }
    }
  });
  ran.wait();
  EXPECT_EQ(misplaced.load(), 0);
}

TEST(SharedWorld, ClockRandomnessAndTimers) {
  const auto world = make_world();
  constexpr int rounds = 500;
  std::latch fired(crew_size * rounds);
  std::array<std::set<std::uint64_t>, crew_size> draws;
  std::atomic<int> backwards{0};
  in_eight_threads([&](int thread) {
    TimePoint before = world->clock().now();
    for (int i = 0; i < rounds; ++i) {
      const TimePoint now = world->clock().now();
      if (now < before) ++backwards;
      before = now;
      static_cast<void>(world->clock().wall_now());
      draws.at(static_cast<std::size_t>(thread)).insert(world->random().next());
      draws.at(static_cast<std::size_t>(thread)).insert(world->secret_random().next());
      static_cast<void>(world->random().below(10));
      Shard& shard = world->shard(static_cast<std::size_t>(i) % world->shard_count());
      static_cast<void>(shard.now());
      shard.start_timer(
          now + std::chrono::microseconds(i),
          Task0{[](void* latch) { static_cast<std::latch*>(latch)->count_down(); }, &fired});
      if (i % 100 == 0) {
        EXPECT_FALSE(world->network().interfaces().empty());
      }
    }
  });
  fired.wait();
  EXPECT_EQ(backwards.load(), 0);
  std::set<std::uint64_t> all;
  for (const auto& each : draws) all.insert(each.begin(), each.end());
  EXPECT_EQ(all.size(), std::size_t{crew_size} * rounds * 2) << "two threads drew the same";
}

TEST(SharedWorld, FilesAreReadAndWritten) {
  std::string folder = testing::TempDir() + "velo-threads-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto world = make_world();
  Files& files = world->files();
  const std::string shared = folder + "/shared";
  ASSERT_TRUE(files.write_atomic(shared, as_bytes(std::string(1000, '0'))));
  std::atomic<int> torn{0};
  std::atomic<int> holders{0};
  in_eight_threads([&](int thread) {
    const std::string own(1000, static_cast<char>('0' + thread));
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(files.create_directories(folder + "/a/b"));
      EXPECT_TRUE(files.write_atomic(shared, as_bytes(own)));
      const auto read = files.read(shared, 2000);
      if (!read || read->text() != std::string(1000, read->text().front())) ++torn;
      EXPECT_TRUE(files.append(folder + "/log", as_bytes("line\n")));
      EXPECT_TRUE(files.list(folder));
      EXPECT_TRUE(files.remove(folder + "/nobody"));
      if (const auto lock = files.try_lock(folder + "/lock")) {
        EXPECT_EQ(holders.fetch_add(1), 0);
        holders.fetch_sub(1);
      }
    }
  });
  EXPECT_EQ(torn.load(), 0);
  EXPECT_EQ(files.read(folder + "/log", 1 << 20)->size(), crew_size * 50 * 5U);
  std::filesystem::remove_all(folder);
}

TEST(SharedWorld, OneScenarioRunsInEveryThreadAlike) {
  const Ticking scenario;
  const sim::ScenarioOutcome expected = scenario.run(7, scenario.plan(7));
  std::atomic<int> different{0};
  in_eight_threads([&](int /*thread*/) {
    for (int i = 0; i < 5; ++i) {
      const sim::ScenarioOutcome outcome = scenario.run(7, scenario.plan(7));
      if (outcome.trace_hash != expected.trace_hash || outcome.figures != expected.figures) {
        ++different;
      }
    }
  });
  EXPECT_EQ(different.load(), 0);
  EXPECT_GT(expected.figures.at("ticks"), 0U);
}

TEST(SharedWorld, OneRangeOfSeedsIsWorkedOffTogether) {
  const Ticking scenario;
  constexpr std::uint64_t count = 40;
  const sim::SeedTotals expected = sim::run_seeds(scenario, 1, count);
  sim::SeedRange range(scenario, 1, count);
  in_eight_threads([&](int /*thread*/) {
    range.work();
    static_cast<void>(range.totals());
  });
  const sim::SeedTotals totals = range.totals();
  EXPECT_EQ(totals.runs, count);
  EXPECT_EQ(totals.combined_hash, expected.combined_hash);
  EXPECT_EQ(totals.figures, expected.figures);
}

}  // namespace velo::threads_test
