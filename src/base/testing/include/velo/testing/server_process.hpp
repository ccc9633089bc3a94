// SPDX-License-Identifier: Apache-2.0
// A server program of this machine, on a port of loopback with a folder of its own, for tests. It
// dies with the process that started it.
// Threading: one thread, the one that lives as long as the process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velo::testing {

/// The program's path, from PATH and /usr/sbin, where Debian has some that only root looks for;
/// empty if there is none.
std::string find_program(std::string_view name);

/// A port of loopback that nobody listened on a moment ago.
std::uint16_t free_loopback_port();

class ServerProcess {
 public:
  /// Makes the folder, in memory where that is possible: nothing in it has to survive.
  explicit ServerProcess(std::string_view program);
  ServerProcess(const ServerProcess&) = delete;
  /// kill(), and the folder goes.
  ~ServerProcess();

  const std::string& folder() const noexcept { return folder_; }
  std::string path(std::string_view file) const;

  /// Its output goes to path("log"). Returns when it accepts at `port`; aborts if it ended, or did
  /// not within 30 s.
  void start(std::vector<std::string> arguments, std::uint16_t port);
  /// SIGKILL; what it stored stays.
  void kill();
  /// It keeps its connections, and says nothing.
  void freeze();
  void thaw();

 private:
  void wait_until_it_accepts(std::uint16_t port) const;

  const std::string program_;
  std::string folder_;
  pid_t process_ = -1;
};

}  // namespace velo::testing
