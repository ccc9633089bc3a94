// SPDX-License-Identifier: Apache-2.0
// Other processes for the tests of shared memory: this program runs itself again, with one thread,
// and forks from there as often as it is asked. What such a process does is one of the parts below.
// Threading: the test's own thread.
#pragma once

#include <sys/types.h>

#include <string>

namespace velo::transport::shm_testing {

enum class Part : char {
  streams = 's',  ///< connects and sends frames of many lengths until it is killed
  lies = 'l',     ///< makes links again and again, and writes what it likes into their memory
};

class Zygote {
 public:
  /// Processes will connect to the socket at `path`.
  explicit Zygote(const std::string& path);
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;
  ~Zygote();

  /// Its process id. It ends with the zygote at the latest.
  pid_t fork(Part part) const;

 private:
  pid_t process_ = -1;
  int orders_ = -1;
  int answers_ = -1;
};

}  // namespace velo::transport::shm_testing
