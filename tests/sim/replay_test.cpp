// SPDX-License-Identifier: Apache-2.0
// A seed replays to the same trace hash: in this process, in a fresh one, and with the other
// compiler, for which tests/sim/hashes.txt is committed. Whatever changes what velo does on the
// wire changes those; then write them anew with
//     VELO_WRITE_HASHES=1 ./dev test -R CommittedHashes

#include "sim_tests.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace velo::replay_test {

using sim_tests::find;
using sim_tests::Quiet;

constexpr std::uint64_t seed = 7;

static std::string hash_of(std::string_view name, std::uint64_t of_seed) {
  const auto scenario = find(name);
  return fmt::format("{:016x}", scenario->run(of_seed, scenario->plan(of_seed)).trace_hash);
}

TEST(Replay, GivesTheSameHashTwiceInOneProcess) {
  const Quiet quiet;
  for (const std::string& name : sim_tests::names()) {
    if (sim_tests::is_large(name)) continue;  // its committed hash says the same
    const std::string first = hash_of(name, seed);
    // Something else lives where the first run's memory was.
    std::vector<std::unique_ptr<std::byte[]>> elsewhere;
    for (std::size_t i = 1; i < 200; ++i) {
      elsewhere.push_back(std::make_unique<std::byte[]>(i * 7));
    }
    EXPECT_EQ(hash_of(name, seed), first) << name;
    EXPECT_NE(hash_of(name, seed + 1), first) << name;
  }
}

/// The child's part of the next test.
TEST(Replay, PrintsAHashWhenItIsAskedTo) {
  const char* name = std::getenv("VELO_PRINT_HASH");
  if (name == nullptr) GTEST_SKIP() << "asked by another test";
  const Quiet quiet;
  std::printf("hash %s\n", hash_of(name, seed).c_str());
}

TEST(Replay, GivesTheSameHashInAFreshProcess) {
  const Quiet quiet;
  for (const std::string name : {"calls-in-calm", "chaos", "restarts"}) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    const std::string command = "VELO_PRINT_HASH=" + name + " '" + program +
                                "' --gtest_filter=Replay.PrintsAHashWhenItIsAskedTo 2>&1";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> child(popen(command.c_str(), "r"),
                                                                &pclose);
    ASSERT_NE(child, nullptr);
    std::string output;
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), child.get()) != nullptr) output += line.data();
    EXPECT_NE(output.find("hash " + hash_of(name, seed) + "\n"), std::string::npos) << output;
  }
}

TEST(Replay, GivesTheCommittedHashesWithEveryCompiler) {
  const Quiet quiet;
  const char* source = std::getenv("VELO_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "run by ctest, which says where the tree is";
  const std::filesystem::path path = std::filesystem::path(source) / "tests/sim/hashes.txt";
  std::string now;
  for (const std::string& name : sim_tests::names()) {
    for (const std::uint64_t of_seed : {1, 2}) {
      if (of_seed != 1 && sim_tests::is_large(name)) continue;
      now += fmt::format("{} {} {}\n", name, of_seed, hash_of(name, of_seed));
    }
  }
  if (std::getenv("VELO_WRITE_HASHES") != nullptr) std::ofstream(path) << now;
  std::ostringstream committed;
  committed << std::ifstream(path).rdbuf();
  EXPECT_EQ(now, committed.str()) << "VELO_WRITE_HASHES=1 ./dev test -R CommittedHashes";
}

}  // namespace velo::replay_test
