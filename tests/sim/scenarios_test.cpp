// SPDX-License-Identifier: Apache-2.0
// Every scenario of `velo sim` keeps its promises, whatever the seed. VELO_SEEDS says how many
// seeds to run, spread evenly over the scenarios; a failing seed is printed, and `velo sim run`
// replays it.

#include <velo/base/log.hpp>
#include <velo/scenarios/scenarios.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::scenarios_test {

/// Too large to be one of many seeds; it has a test of its own.
constexpr std::string_view largest = "million-calls";

static std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& scenario : scenarios::all()) {
    if (scenario->name() != largest) names.emplace_back(scenario->name());
  }
  return names;
}

static std::unique_ptr<sim::Scenario> find(std::string_view name) {
  for (auto& scenario : scenarios::all()) {
    if (scenario->name() == name) return std::move(scenario);
  }
  return nullptr;
}

/// Of each scenario.
static std::uint64_t seeds() {
  const char* text = std::getenv("VELO_SEEDS");
  const std::uint64_t total = text == nullptr ? 100 : std::strtoull(text, nullptr, 10);
  const std::uint64_t count = names().size();
  return std::max<std::uint64_t>((total + count - 1) / count, 1);
}

class Scenarios : public testing::TestWithParam<std::string> {
 protected:
  Scenarios() { log::set_level(Room::transport, log::Level::error); }
  ~Scenarios() override { log::set_level(Room::transport, log::Level::warn); }
};

TEST_P(Scenarios, KeepTheirPromisesWhateverTheSeed) {
  const auto scenario = find(GetParam());
  ASSERT_NE(scenario, nullptr);
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    const auto outcome = scenario->run(seed, scenario->plan(seed));
    ASSERT_EQ(outcome.failure, "") << "velo sim run " << GetParam() << " --seed " << seed;
  }
}

static std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, testing::ValuesIn(names()), test_name);

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
      {"chaos", "crashes"},
      {"chaos", "shutdowns"},
      {"chaos", "resets"}};
  return table;
}

TEST_P(Scenarios, AreNotIdle) {
  const auto scenario = find(GetParam());
  std::map<std::string, std::uint64_t> sums;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto outcome = scenario->run(seed, scenario->plan(seed));
    EXPECT_GT(outcome.events, 0u);
    for (const auto& [name, count] : outcome.figures) sums[name] += count;
  }
  const auto [begin, end] = happenings().equal_range(GetParam());
  for (auto entry = begin; entry != end; ++entry) {
    EXPECT_GT(sums[entry->second], 0u) << entry->second;
  }
}

TEST_P(Scenarios, ReplayToTheSameHash) {
  const auto scenario = find(GetParam());
  const auto first = scenario->run(7, scenario->plan(7));
  // Something else lives where the first run's memory was.
  std::vector<std::unique_ptr<std::byte[]>> elsewhere;
  for (std::size_t i = 1; i < 200; ++i) elsewhere.push_back(std::make_unique<std::byte[]>(i * 7));
  const auto second = scenario->run(7, scenario->plan(7));
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.figures, second.figures);
  EXPECT_NE(first.trace_hash, scenario->run(8, scenario->plan(8)).trace_hash);
}

}  // namespace velo::scenarios_test
