// SPDX-License-Identifier: Apache-2.0
// Every scenario of `velo sim` keeps its promises, whatever the seed. VELO_SEEDS says how many
// seeds to run, spread evenly over the scenarios (100 unless told); a failing seed is printed, and
// `velo sim run` replays it.

#include "sim_tests.hpp"

#include <velo/sim/seeds.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace velo::scenarios_test {

using sim_tests::find;
using sim_tests::Quiet;

/// Of each scenario. "events" has eight of 12,500 events each, and the nightly's 2,000 are at least
/// 500 of it.
static std::uint64_t seeds(const std::string& scenario) {
  const char* text = std::getenv("VELO_SEEDS");
  const std::uint64_t total = text == nullptr ? 100 : std::strtoull(text, nullptr, 10);
  const std::uint64_t count = sim_tests::names().size();
  const std::uint64_t least = sim_tests::is_large(scenario) ? (text == nullptr ? 8 : total / 4) : 1;
  return std::max<std::uint64_t>((total + count - 1) / count, least);
}

class Scenarios : public testing::TestWithParam<std::string> {
 private:
  Quiet quiet_;
};

/// Seeds of one process: what crashed nodes owned stays allocated (crashed_nodes.cpp), some 6 MB
/// for each of "events".
constexpr std::uint64_t seeds_per_process = 50;

/// Empty: none failed.
static std::string failure_of(const std::string& scenario, std::uint64_t first,
                              std::uint64_t count) {
  sim::SeedRangeOptions first_failure;
  first_failure.stop_at_failure = true;
  const auto totals = sim::run_seeds(*find(scenario), first, count, first_failure);
  if (!totals.lowest_failure) return {};
  return totals.lowest_failure->sentence + "\nvelo sim run " + scenario + " --seed " +
         std::to_string(totals.lowest_failure->seed);
}

TEST_P(Scenarios, KeepTheirPromisesWhateverTheSeed) {
  const std::uint64_t count = seeds(GetParam());
  if (count <= seeds_per_process) {
    EXPECT_EQ(failure_of(GetParam(), 1, count), "");
    return;
  }
  for (std::uint64_t first = 1; first <= count; first += seeds_per_process) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string failure =
          failure_of(GetParam(), first, std::min(seeds_per_process, count - first + 1));
      std::fputs(failure.c_str(), stderr);
      std::fflush(stderr);
      ::_exit(failure.empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "seeds from " << first;
  }
}

/// What must have happened at least once in a few seeds, or the scenario shows nothing.
static const std::multimap<std::string, std::string>& happenings() {
  static const std::multimap<std::string, std::string> table{
      {"calls-under-resets", "resets"},
      {"calls-under-resets", "ended unknown"},
      {"calls-under-partition", "ended rejected"},
      {"calls-under-partition", "ended unknown"},
      {"restarts", "crashes"},
      {"restarts", "lost with their node"},
      {"overload", "ended rejected"},
      {"simultaneous-dial", "resets"},
      {"drain-under-load", "shutdowns"},
      {"clocks", "ended expired"},
      {"big-payloads", "resets"},
      {"crowd", "crashes"},
      {"events", "ended poisoned"},
      {"events", "ended owner lost"},
      {"events", "crashes"},
      {"chaos", "crashes"},
      {"chaos", "shutdowns"},
      {"chaos", "resets"},
      {"streams", "crashes"},
      {"streams", "handed over"},
      {"streams", "ended finalized"},
      {"streams", "ended streaming.sender_dropped"},
      {"streams", "ended streaming.transport_error"},
      {"streams", "ended streaming.nobody_attached"},
      {"path-changes", "path moves"},
      {"path-changes", "path failovers"},
      {"path-changes", "sent again by another path"},
      {"path-changes", "known to have arrived by a dead path"}};
  return table;
}

TEST_P(Scenarios, AreNotIdle) {
  const auto totals = sim::run_seeds(*find(GetParam()), 1, sim_tests::is_large(GetParam()) ? 1 : 3);
  EXPECT_GT(totals.events, 1'000u);
  const auto [begin, end] = happenings().equal_range(GetParam());
  for (auto entry = begin; entry != end; ++entry) {
    const auto figure = totals.figures.find(entry->second);
    ASSERT_NE(figure, totals.figures.end()) << entry->second;
    EXPECT_GT(figure->second, 0u) << entry->second;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, testing::ValuesIn(sim_tests::names()),
                         [](const testing::TestParamInfo<std::string>& scenario) {
                           std::string name = scenario.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(AMillionCalls, KeepTheirPromises) {
  if (std::getenv("VELO_SEEDS") == nullptr) GTEST_SKIP() << "the nightly runs it: VELO_SEEDS";
  const Quiet quiet;
  const auto totals = sim::run_seeds(*find(sim_tests::largest), 1, 1);
  EXPECT_EQ(totals.failures, 0u) << totals.lowest_failure->sentence;
  EXPECT_GE(totals.figures.at("sends"), 900'000u);
}

}  // namespace velo::scenarios_test
