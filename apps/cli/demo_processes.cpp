// SPDX-License-Identifier: Apache-2.0
// Spawns, kills and reaps.

#include "demo_processes.hpp"

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

namespace velo::cli {

namespace demo_processes_detail {

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

}  // namespace demo_processes_detail

Result<void> DemoProcesses::spawn(const Rendezvous& where, const std::string& coordinator,
                                  const DemoOptions& options) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return make_error(Errc::io, std::strerror(errno));
  std::vector<std::string> arguments = {"velo",          "demo-worker",
                                        "--discovery",   where.directory,
                                        "--cluster",     where.cluster,
                                        "--transport",   options.transport,
                                        "--coordinator", coordinator,
                                        "--index",       std::to_string(children_.size()),
                                        "--parent",      std::to_string(::getpid())};
  if (!options.spoil.empty()) arguments.insert(arguments.end(), {"--spoil", options.spoil});
  Child child;
  const int failure = demo_processes_detail::SpawnSettings(ends[0]).spawn(child.pid, arguments);
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

bool DemoProcesses::kill(std::size_t index) {
  // Not yet reaped: the pid is still that child's.
  return children_[index].alive && ::kill(children_[index].pid, SIGKILL) == 0;
}

std::vector<std::size_t> DemoProcesses::reap() {
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

void DemoProcesses::stop() {
  for (Child& child : children_) {
    if (child.input >= 0) ::close(std::exchange(child.input, -1));
  }
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

std::size_t DemoProcesses::alive_count() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(children_.begin(), children_.end(), [](const Child& c) { return c.alive; }));
}

}  // namespace velo::cli
