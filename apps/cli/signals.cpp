// SPDX-License-Identifier: Apache-2.0
// Signals over signalfd.

#include "signals.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace velo::cli {

Signals::Signals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&watched, number);
  ::pthread_sigmask(SIG_BLOCK, &watched, &previous_);
  descriptor_ = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() {
  if (descriptor_ >= 0) ::close(descriptor_);
  ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

std::optional<int> Signals::asked_to_end() {
  signalfd_siginfo info;
  while (descriptor_ >= 0 && ::read(descriptor_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    ++times_asked_;
    if (!end_) end_ = static_cast<int>(info.ssi_signo);
  }
  return end_;
}

std::optional<int> Signals::wait(std::optional<Duration> patience) {
  using std::chrono::steady_clock;
  const auto start = steady_clock::now();
  for (;;) {
    if (const auto number = asked_to_end()) return number;
    int milliseconds = 1000;
    if (patience) {
      const Duration left = *patience - (steady_clock::now() - start);
      if (left <= Duration::zero()) return std::nullopt;
      const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
      milliseconds = static_cast<int>(std::min<std::int64_t>(rounded, milliseconds));
    }
    pollfd watched{descriptor_, POLLIN, 0};
    ::poll(&watched, 1, milliseconds);
  }
}

}  // namespace velo::cli
