// SPDX-License-Identifier: Apache-2.0
// Plans become small, stay failing, and cost no more runs than allowed.

#include <velo/sim/shrink.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace velo::sim::shrink_test {

using std::chrono::milliseconds;
using std::chrono::seconds;

FaultPlan long_plan(std::uint64_t seed, std::size_t faults = 60) {
  FaultPlanOptions options;
  options.nodes = 5;
  options.faults = faults;
  return random_fault_plan(seed, options);
}

bool has(const FaultPlan& plan, FaultKind kind) {
  return std::any_of(plan.begin(), plan.end(), [kind](const Fault& f) { return f.kind == kind; });
}

TEST(SimShrink, WhatFailsWithoutFaultsNeedsNone) {
  const ShrinkResult result = shrink_plan(long_plan(1), [](const FaultPlan&) { return true; });
  EXPECT_TRUE(result.plan.empty());
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.runs, 1U);
  EXPECT_TRUE(shrink_plan({}, [](const FaultPlan&) { return true; }).finished);
}

TEST(SimShrink, FindsTheOneFaultThatMatters) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FaultPlan plan = long_plan(seed);
    const Fault culprit(milliseconds(12'345), FaultKind::crash, 77, any_node, milliseconds(2345));
    plan.insert(plan.begin() + static_cast<std::ptrdiff_t>(seed), culprit);
    const ShrinkResult result = shrink_plan(plan, [](const FaultPlan& tried) {
      return std::any_of(tried.begin(), tried.end(), [](const Fault& f) { return f.a == 77; });
    });
    ASSERT_EQ(result.plan.size(), 1U);
    EXPECT_EQ(result.plan.front(),
              Fault(seconds(12), FaultKind::crash, 77, any_node, milliseconds(1)));
    EXPECT_TRUE(result.finished);
    EXPECT_LT(result.runs, 40U);
  }
}

TEST(SimShrink, KeepsFaultsThatOnlyTogetherBreakSomethingAndTheirOrder) {
  const FaultPlan plan = long_plan(3, 200);
  const auto fails = [](const FaultPlan& tried) {
    const auto crash = std::find_if(tried.begin(), tried.end(),
                                    [](const Fault& f) { return f.kind == FaultKind::crash; });
    return has(FaultPlan(crash, tried.end()), FaultKind::partition) &&
           has(FaultPlan(tried.begin(), crash), FaultKind::pause);
  };
  ASSERT_TRUE(fails(plan));
  const ShrinkResult result = shrink_plan(plan, fails);
  ASSERT_EQ(result.plan.size(), 3U);
  EXPECT_EQ(result.plan[0].kind, FaultKind::pause);
  EXPECT_EQ(result.plan[1].kind, FaultKind::crash);
  EXPECT_EQ(result.plan[2].kind, FaultKind::partition);
  EXPECT_TRUE(result.finished);
}

TEST(SimShrink, ShortensAndRoundsAsFarAsItStillFails) {
  const FaultPlan plan{
      Fault(Duration(5'678'901'234), FaultKind::delay, 0, 1, Duration(7'654'321'098), 123'456'789)};
  const ShrinkResult result = shrink_plan(plan, [](const FaultPlan& tried) {
    return !tried.empty() && tried[0].duration >= milliseconds(1500) &&
           tried[0].amount >= 1'000'000 && tried[0].at >= milliseconds(5600);
  });
  ASSERT_EQ(result.plan.size(), 1U);
  EXPECT_EQ(result.plan[0].at, milliseconds(5600));
  EXPECT_EQ(result.plan[0].duration, milliseconds(1900));
  EXPECT_EQ(result.plan[0].amount, 1'929'012);
}

TEST(SimShrink, NeverMakesAFaultLastForGood) {
  const FaultPlan plan{Fault(seconds(1), FaultKind::partition, 0, 1, Duration(300))};
  const ShrinkResult result =
      shrink_plan(plan, [](const FaultPlan& tried) { return !tried.empty(); });
  EXPECT_EQ(result.plan[0].duration, Duration(300));
}

TEST(SimShrink, StopsAfterItsRunsWithAPlanThatFails) {
  const FaultPlan plan = long_plan(4, 100);
  std::size_t asked = 0;
  const auto fails = [&asked](const FaultPlan& tried) {
    ++asked;
    return has(tried, FaultKind::crash) && has(tried, FaultKind::split);
  };
  ShrinkOptions options;
  options.runs_max = 10;
  const ShrinkResult result = shrink_plan(plan, fails, options);
  EXPECT_EQ(asked, 10U);
  EXPECT_EQ(result.runs, 10U);
  EXPECT_FALSE(result.finished);
  EXPECT_LT(result.plan.size(), plan.size());
  EXPECT_TRUE(fails(result.plan));
}

TEST(SimShrink, NoSingleFaultOfAFinishedPlanCanBeLeftOut) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto fails = [](const FaultPlan& tried) {
      std::set<std::uint32_t> touched;
      for (const Fault& fault : tried) touched.insert(fault.a);
      return touched.size() >= 3;
    };
    const ShrinkResult result = shrink_plan(long_plan(seed), fails);
    ASSERT_TRUE(result.finished);
    ASSERT_TRUE(fails(result.plan));
    for (std::size_t i = 0; i < result.plan.size(); ++i) {
      FaultPlan less = result.plan;
      less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_FALSE(fails(less));
    }
  }
}

}  // namespace velo::sim::shrink_test
