// SPDX-License-Identifier: Apache-2.0
// 1 GiB offered to real processes that are stopped (SIGSTOP): the sender's memory stays within its
// budget, its sends are refused by name, and calls to another peer do not become slower.

#include "flood_report.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/json.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

extern char** environ;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VELO_FLOODING_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VELO_FLOODING_SANITIZED 1
#endif

namespace velo::flooding {
namespace flooding_test {

#ifdef VELO_FLOODING_SANITIZED
// Their shadow memory is no measure of ours, and needs more than any limit.
constexpr bool memory_is_measured = false;
#else
constexpr bool memory_is_measured = true;
#endif

/// flood_node as a child, spoken to by lines.
class Node {
 public:
  explicit Node(std::vector<std::string> words) {
    int input[2];
    int output[2];
    VELO_CHECK(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    words.insert(words.begin(), program());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    VELO_CHECK(posix_spawn(&child_, arguments[0], &actions, nullptr, arguments.data(), environ) ==
               0);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    to_ = fdopen(input[1], "w");
    from_ = fdopen(output[0], "r");
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() {
    resume();
    std::fclose(to_);
    int status = 0;
    waitpid(child_, &status, 0);
    std::fclose(from_);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

  void say(const std::string& line) {
    std::fputs((line + '\n').c_str(), to_);
    std::fflush(to_);
  }
  std::string hear() {
    std::string line;
    for (int c = 0; (c = std::fgetc(from_)) != EOF && c != '\n';) line += static_cast<char>(c);
    return line;
  }
  template <class T>
  T hear_report() {
    const std::string line = hear();
    auto report = codec::from_json<T>(line);
    EXPECT_TRUE(report.has_value()) << line;
    return report ? *report : T();
  }

  void freeze() {
    kill(child_, SIGSTOP);
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, WUNTRACED), child_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void resume() { kill(child_, SIGCONT); }

 private:
  static std::string program() {
    std::string self(4096, '\0');
    self.resize(static_cast<std::size_t>(readlink("/proc/self/exe", self.data(), self.size())));
    return self.substr(0, self.rfind('/')) + "/velo_flood_node";
  }

  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

/// The other peer's medians, the frozen ones' over the usual.
static double flood(const std::string& transport, std::size_t frozen_count) {
  Node frozen({"serve", transport, std::to_string(frozen_count)});
  Node other({"serve", transport, "1"});
  const std::size_t limit_mib = memory_is_measured && frozen_count > 1 ? 256 : 0;
  Node sender({"offer", transport, std::to_string(frozen_count), std::to_string(limit_mib)});
  for (std::size_t i = 0; i < frozen_count; ++i) sender.say(frozen.hear());
  sender.say(other.hear());
  EXPECT_EQ(sender.hear(), "ready");
  frozen.freeze();
  sender.say("offer");
  const auto report = sender.hear_report<FloodReport>();
  EXPECT_EQ(report.offered_bytes, offered_bytes);
  EXPECT_GT(report.accepted, 0U);
  EXPECT_GT(report.over_budget, report.accepted);
  EXPECT_EQ(report.otherwise, 0U);
  EXPECT_LE(report.used_bytes, budget_bytes);
  if (memory_is_measured) {
    EXPECT_LE(report.resident_bytes_max, budget_bytes + (std::uint64_t{64} << 20));
  }
  frozen.resume();
  sender.say("drain");
  const auto drained = sender.hear_report<DrainReport>();
  EXPECT_EQ(drained.well, report.accepted);
  EXPECT_EQ(drained.otherwise, 0U);
  EXPECT_EQ(drained.used_bytes, 0U);
  EXPECT_TRUE(drained.balanced);
  testing::Test::RecordProperty("resident_bytes_max", std::to_string(report.resident_bytes_max));
  std::printf(
      "%zu frozen: %llu accepted, %llu over_budget, resident %.1f MiB, medians %llu -> %llu ns\n",
      frozen_count, static_cast<unsigned long long>(report.accepted),
      static_cast<unsigned long long>(report.over_budget),
      static_cast<double>(report.resident_bytes_max) / (1 << 20),
      static_cast<unsigned long long>(report.before_ns),
      static_cast<unsigned long long>(report.during_ns));
  return static_cast<double>(report.during_ns) / static_cast<double>(report.before_ns);
}

/// The best of a few rounds: a busy machine disturbs a median, but not always the same one.
static void expect_no_slower(const std::string& transport, std::size_t frozen_count) {
  constexpr int rounds = 3;
  double ratio = flood(transport, frozen_count);
  for (int round = 1; round < rounds && ratio > 1.5 && !testing::Test::HasFailure(); ++round) {
    ratio = std::min(ratio, flood(transport, frozen_count));
  }
  EXPECT_LE(ratio, 1.5);
}

TEST(Flooding, AFrozenReceiverHarmsNobodyElse) { expect_no_slower("tcp", 1); }

TEST(Flooding, TwoHundredFrozenReceiversHarmNobodyElse) { expect_no_slower("uds", 200); }

}  // namespace flooding_test
}  // namespace velo::flooding
