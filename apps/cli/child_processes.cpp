// SPDX-License-Identifier: Apache-2.0
// Spawns, kills and reaps.

#include "child_processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

namespace velo::cli {

namespace child_processes_detail {

/// What posix_spawn needs besides the arguments.
class SpawnSettings {
 public:
  explicit SpawnSettings(int input) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    // Standard output is the coordinator's data.
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  int spawn(pid_t& pid, std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& each : arguments) argv.push_back(each.data());
    argv.push_back(nullptr);
    return ::posix_spawn(&pid, "/proc/self/exe", &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace child_processes_detail

Result<void> ChildProcesses::spawn(std::vector<std::string> arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return make_error(Errc::io, std::strerror(errno));
  arguments.insert(arguments.begin(), "velo");
  Child child;
  const int failure = child_processes_detail::SpawnSettings(ends[0]).spawn(child.pid, arguments);
  ::close(ends[0]);
  if (failure != 0) {
    ::close(ends[1]);
    return make_error(Errc::io, std::strerror(failure));
  }
  child.input = ends[1];
  child.alive = true;
  children_.push_back(child);
  return {};
}

bool ChildProcesses::kill(std::size_t index) {
  // Not yet reaped: the pid is still that child's.
  return children_[index].alive && ::kill(children_[index].pid, SIGKILL) == 0;
}

bool ChildProcesses::freeze(std::size_t index) {
  return children_[index].alive && ::kill(children_[index].pid, SIGSTOP) == 0;
}

bool ChildProcesses::thaw(std::size_t index) {
  return children_[index].alive && ::kill(children_[index].pid, SIGCONT) == 0;
}

bool ChildProcesses::tell(std::size_t index, std::string_view words) {
  const Child& child = children_[index];
  return child.alive && child.input >= 0 &&
         ::write(child.input, words.data(), words.size()) == static_cast<ssize_t>(words.size());
}

void ChildProcesses::let_go(std::size_t index) {
  Child& child = children_[index];
  if (child.input >= 0) ::close(std::exchange(child.input, -1));
}

std::vector<std::size_t> ChildProcesses::reap() {
  std::vector<std::size_t> ended;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    Child& child = children_[i];
    if (!child.alive || ::waitpid(child.pid, nullptr, WNOHANG) == 0) continue;
    child.alive = false;
    if (child.input >= 0) ::close(std::exchange(child.input, -1));
    ended.push_back(i);
  }
  return ended;
}

void ChildProcesses::stop() {
  for (std::size_t i = 0; i < children_.size(); ++i) let_go(i);
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + std::chrono::seconds(3);
  reap();
  while (alive_count() > 0 && steady_clock::now() < until) {
    ::poll(nullptr, 0, 5);
    reap();
  }
  for (Child& child : children_) {
    if (!child.alive) continue;
    ::kill(child.pid, SIGKILL);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    child.alive = false;
  }
}

std::size_t ChildProcesses::alive_count() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(children_.begin(), children_.end(), [](const Child& c) { return c.alive; }));
}

}  // namespace velo::cli
