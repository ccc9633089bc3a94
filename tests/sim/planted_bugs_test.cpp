// SPDX-License-Identifier: Apache-2.0
// The scenarios find defects: each planted bug breaks a promise within 50 seeds, under a plan that
// shrinks; without it the same seeds pass. Linked with the messenger, the transport and the events
// compiled a second time, with the bugs in them.

#define VELO_PLANTED_BUGS 1
#include "sim_tests.hpp"

#include <velo/base/planted.hpp>
#include <velo/sim/seeds.hpp>
#include <velo/sim/shrink.hpp>

#include <gtest/gtest.h>

#include <iostream>
#include <string>

namespace velo::planted_bugs_test {

using base_detail::PlantedBug;

constexpr std::uint64_t seeds_max = 50;

struct Case {
  std::string name;
  PlantedBug bug;
  std::string scenario;
};

/// Printed by GoogleTest where a test of the case is listed.
void PrintTo(const Case& tested, std::ostream* out) { *out << tested.name; }  // NOLINT

class PlantedBugs : public testing::TestWithParam<Case> {
 protected:
  ~PlantedBugs() override { base_detail::planted_bug = PlantedBug::none; }

 private:
  sim_tests::Quiet quiet_;
};

TEST_P(PlantedBugs, AreFoundWithinFiftySeedsAndNothingIsFoundWithoutThem) {
  const auto scenario = sim_tests::find(GetParam().scenario);
  base_detail::planted_bug = GetParam().bug;
  sim::SeedRangeOptions until_found;
  until_found.stop_at_failure = true;
  const auto found = sim::run_seeds(*scenario, 1, seeds_max, until_found);
  ASSERT_TRUE(found.lowest_failure.has_value()) << seeds_max << " seeds did not find it";
  const std::uint64_t seed = found.lowest_failure->seed;

  sim::ShrinkOptions few;
  few.runs_max = sim_tests::is_large(GetParam().scenario) ? 6 : 60;
  const auto breaks = [&](const sim::FaultPlan& plan) {
    return !sim::run_once(*scenario, seed, &plan).ok();
  };
  const auto whole = scenario->plan(seed);
  const auto shrunk = sim::shrink_plan(whole, breaks, few);
  EXPECT_LE(shrunk.plan.size(), whole.size());
  EXPECT_TRUE(breaks(shrunk.plan));
  std::string text;
  for (const sim::Fault& fault : shrunk.plan) text += "  " + to_string(fault) + "\n";
  RecordProperty("seed", static_cast<int>(seed));
  std::cout << GetParam().scenario << " seed " << seed << ": " << found.lowest_failure->sentence
            << "\n"
            << whole.size() << " faults shrunk to " << shrunk.plan.size() << "\n"
            << text;

  base_detail::planted_bug = PlantedBug::none;
  const auto clean = sim::run_seeds(*scenario, 1, seed);
  EXPECT_EQ(clean.failures, 0u) << clean.lowest_failure->sentence;
}

INSTANTIATE_TEST_SUITE_P(
    All, PlantedBugs,
    testing::Values(Case{"lost_wake_up", PlantedBug::lost_wake_up, "big-payloads"},
                    Case{"wrong_caller", PlantedBug::wrong_caller, "calls-in-calm"},
                    Case{"double_completion", PlantedBug::double_completion, "calls-under-resets"},
                    Case{"stale_end", PlantedBug::stale_end, "chaos"},
                    Case{"forgotten_deadline", PlantedBug::forgotten_deadline,
                         "calls-under-partition"},
                    Case{"overtaking", PlantedBug::overtaking, "restarts"},
                    Case{"no_barrier", PlantedBug::no_barrier, "path-changes"},
                    Case{"older_is_ready", PlantedBug::older_is_ready, "events"},
                    Case{"early_ending", PlantedBug::early_ending, "streams"}),
    [](const testing::TestParamInfo<Case>& tested) { return tested.param.name; });

}  // namespace velo::planted_bugs_test
