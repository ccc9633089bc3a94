// SPDX-License-Identifier: Apache-2.0
// Hands what continuations of a World's threads learn to the main thread, which polls. Not bounded:
// what is sent decides how much can come back.
// Threading: put() from any thread; take() and wait() on the main thread.
#pragma once

#include "signals.hpp"

#include <velo/base/check.hpp>
#include <velo/base/time.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace velo::cli {

template <class T>
class Mailbox {
 public:
  Mailbox() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    VELO_CHECK(descriptor_ >= 0);
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { ::close(descriptor_); }

  void put(T item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    if (items_.size() > 1) return;
    const std::uint64_t one = 1;
    // Cannot fail: the counter is far from its limit, since take() resets it.
    [[maybe_unused]] const ssize_t written = ::write(descriptor_, &one, sizeof one);
  }

  std::vector<T> take() {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(descriptor_, &count, sizeof count);
    return std::exchange(items_, {});
  }

  /// Blocks until something is there, a signal came, or `patience` (at most a minute) is over.
  void wait(const Signals& signals, Duration patience) const {
    pollfd watched[] = {{descriptor_, POLLIN, 0}, {signals.descriptor(), POLLIN, 0}};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    ::poll(watched, 2, static_cast<int>(milliseconds < 60'000 ? milliseconds : 60'000));
  }

 private:
  std::mutex mutex_;
  std::vector<T> items_;
  int descriptor_;
};

}  // namespace velo::cli
