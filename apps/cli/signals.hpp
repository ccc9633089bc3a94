// SPDX-License-Identifier: Apache-2.0
// Signals as something to poll: those that ask the program to end, and that a child ended. Blocks
// them for the calling thread and for every thread started later, so make it before a World.
// Threading: the main thread.
#pragma once

#include <velo/base/time.hpp>

#include <csignal>
#include <optional>

namespace velo::cli {

class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  /// Readable when something arrived; -1 if the system gave none, and then only time-outs end a
  /// wait.
  int descriptor() const noexcept { return descriptor_; }
  /// Takes what arrived. The first signal that asks to end (SIGINT, SIGTERM, SIGHUP) stays the
  /// answer.
  std::optional<int> asked_to_end();
  /// How often it was asked to end, of what asked_to_end() has taken.
  int times_asked() const noexcept { return times_asked_; }
  /// Blocks until asked to end, or for `patience`.
  std::optional<int> wait(std::optional<Duration> patience);

 private:
  sigset_t previous_{};
  int descriptor_ = -1;
  std::optional<int> end_;
  int times_asked_ = 0;
};

}  // namespace velo::cli
