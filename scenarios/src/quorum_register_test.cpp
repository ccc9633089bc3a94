// SPDX-License-Identifier: Apache-2.0
// The register holds under many seeds, and does not when its replicas forget.

#include <velo/scenarios/quorum_register.hpp>
#include <velo/scenarios/scenarios.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace velo::scenarios::quorum_register_test {

TEST(QuorumRegister, NeverGoesBackUnderFiftySeedsOfFaults) {
  const auto scenario = quorum_register();
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto outcome = scenario->run(seed, scenario->plan(seed));
    EXPECT_EQ(outcome.failure, "") << "seed " << seed;
    EXPECT_GT(outcome.figures.at("writes"), 50U) << "seed " << seed;
    crashes += outcome.figures.at("crashes");
  }
  EXPECT_GT(crashes, 50U);
}

TEST(QuorumRegister, ReplaysToTheSameHash) {
  const auto scenario = quorum_register();
  const auto first = scenario->run(7, scenario->plan(7));
  const auto second = scenario->run(7, scenario->plan(7));
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.figures, second.figures);
  EXPECT_NE(first.trace_hash, scenario->run(8, scenario->plan(8)).trace_hash);
}

TEST(QuorumRegister, IsFoundOutWhenItsReplicasForget) {
  QuorumRegisterOptions options;
  options.replicas = 1;  // with three, only two that forget at once are noticed
  options.replicas_use_their_disk = false;
  const auto scenario = quorum_register(options);
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto outcome = scenario->run(seed, scenario->plan(seed));
    if (!outcome.ok()) ++failures;
    EXPECT_TRUE(scenario->run(seed, {}).ok()) << "without faults nothing is forgotten";
  }
  EXPECT_GT(failures, 10U);
}

TEST(Scenarios, HaveNamesAndSentencesOfTheirOwn) {
  std::set<std::string> names;
  for (const auto& scenario : all()) {
    EXPECT_TRUE(names.emplace(scenario->name()).second) << scenario->name();
    EXPECT_TRUE(std::all_of(scenario->name().begin(), scenario->name().end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    })) << scenario->name();
    EXPECT_GT(scenario->description().size(), 20U);
  }
  EXPECT_FALSE(names.empty());
}

}  // namespace velo::scenarios::quorum_register_test
