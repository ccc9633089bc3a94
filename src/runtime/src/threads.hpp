// SPDX-License-Identifier: Apache-2.0
// What this room's threads share: names, processors, and that signals go to the user's threads.
// Threading: each function acts on the calling thread.
#pragma once

#include <csignal>
#include <cstddef>
#include <string>

namespace velo::runtime {

/// While it lives, threads that are started inherit a mask that blocks every signal.
class BlockedSignals {
 public:
  BlockedSignals() noexcept;
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals();

 private:
  sigset_t previous_;
};

void name_this_thread(const std::string& name) noexcept;

/// To the `index`-th processor of those allowed, counted round; does nothing where that is
/// forbidden.
void pin_this_thread(std::size_t index) noexcept;

}  // namespace velo::runtime
