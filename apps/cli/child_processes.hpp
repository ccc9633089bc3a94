// SPDX-License-Identifier: Apache-2.0
// Processes of this program, with a hidden command each: workers of the demo and of the soak. They
// end when the pipe to their standard input closes, and are killed if they do not; none outlives
// the object.
// Threading: the main thread, which must be the one that lives longest: a child is killed when the thread that made it ends.
#pragma once

#include <velo/base/error.hpp>

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

class ChildProcesses {
 public:
  ChildProcesses() = default;
  ChildProcesses(const ChildProcesses&) = delete;
  ChildProcesses& operator=(const ChildProcesses&) = delete;
  /// stop().
  ~ChildProcesses() { stop(); }

  /// Starts one more, with the next index and this command line without the program's name, in a
  /// process group of its own so that Ctrl-C reaches only the coordinator.
  Result<void> spawn(std::vector<std::string> arguments);
  /// Writes to its standard input. Whether it was still there.
  bool tell(std::size_t index, std::string_view words);
  /// Stops it where it is, or lets it go on. Whether it was still there.
  bool freeze(std::size_t index);
  bool thaw(std::size_t index);
  /// Closes its standard input: it is to end.
  void let_go(std::size_t index);
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
