// SPDX-License-Identifier: Apache-2.0
// The worker processes of the demo: this program again, one hidden command each. They end when the
// pipe to their standard input closes, and are killed if they do not; none outlives the object.
// Threading: the main thread, which must be the one that lives longest: a child is killed when the thread that made it ends.
#pragma once

#include "commands.hpp"

#include <velo/base/error.hpp>

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace velo::cli {

class DemoProcesses {
 public:
  DemoProcesses() = default;
  DemoProcesses(const DemoProcesses&) = delete;
  DemoProcesses& operator=(const DemoProcesses&) = delete;
  /// stop().
  ~DemoProcesses() { stop(); }

  /// Starts one more, with the next index, in a process group of its own so that Ctrl-C reaches
  /// only the coordinator.
  Result<void> spawn(const Rendezvous& where, const std::string& coordinator,
                     const DemoOptions& options);
  /// SIGKILL. Whether it was still there.
  bool kill(std::size_t index);
  /// Notices which ended; their indices.
  std::vector<std::size_t> reap();
  /// Asks all to end, waits 3 s, kills the rest.
  void stop();

  std::size_t size() const noexcept { return children_.size(); }
  bool alive(std::size_t index) const noexcept { return children_[index].alive; }
  std::size_t alive_count() const noexcept;
  pid_t pid(std::size_t index) const noexcept { return children_[index].pid; }

 private:
  struct Child {
    pid_t pid = -1;
    int input = -1;  ///< our end of the pipe
    bool alive = false;
  };

  std::vector<Child> children_;
};

}  // namespace velo::cli
