// SPDX-License-Identifier: Apache-2.0
// Tests of the seeded random source.

#include "random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <set>
#include <thread>
#include <vector>

namespace velo::runtime {
namespace random_test {

static std::vector<std::uint64_t> draw(Random& random, std::size_t count) {
  std::vector<std::uint64_t> drawn;
  for (std::size_t i = 0; i < count; ++i) drawn.push_back(random.next());
  return drawn;
}

TEST(SeededRandom, RepeatsItselfForTheSameSeedOnOneThread) {
  SeededRandom a(42);
  SeededRandom b(42);
  SeededRandom c(43);
  const auto first = draw(a, 100);
  EXPECT_EQ(draw(b, 100), first);
  EXPECT_NE(draw(c, 100), first);
}

TEST(SystemRandom, OwesNothingToASeed) {
  SystemRandom a;
  SystemRandom b;
  std::set<std::uint64_t> seen;
  for (SystemRandom* each : {&a, &b}) {
    for (const std::uint64_t value : draw(*each, 1000)) seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 2000U) << "each draw is new";
}

TEST(SeededRandom, DiffersBetweenThreadsAndBetweenUnseededSources) {
  SeededRandom a(42);
  std::set<std::uint64_t> seen;
  for (const std::uint64_t value : draw(a, 1000)) seen.insert(value);
  std::thread([&] {
    for (const std::uint64_t value : draw(a, 1000)) seen.insert(value);
  }).join();
  SeededRandom b(std::nullopt);
  SeededRandom c(std::nullopt);
  for (const std::uint64_t value : draw(b, 1000)) seen.insert(value);
  for (const std::uint64_t value : draw(c, 1000)) seen.insert(value);
  EXPECT_EQ(seen.size(), 4000U);
}

TEST(SeededRandom, IsUniformBelowABound) {
  SeededRandom random(1);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

}  // namespace random_test
}  // namespace velo::runtime
