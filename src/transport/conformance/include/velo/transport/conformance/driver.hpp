// SPDX-License-Identifier: Apache-2.0
// The two Worlds that a conformance scenario plays in, and how to wait in them: real ones with
// threads, or one simulation.
// Threading: used by the test's main thread; notify() and mutex() by any.
#pragma once

#include <velo/base/world.hpp>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

namespace velo::transport::conformance {

class Driver {
 public:
  Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;

  /// Side 0 listens, side 1 connects; both see the same host.
  virtual World& world(std::size_t side) = 0;

  /// Waits until `condition`, which is asked with mutex() held, is true. False if that takes half a
  /// minute.
  virtual bool wait(const std::function<bool()>& condition) = 0;

  /// Runs `task` on the shard and waits for it.
  virtual void run_on(Shard& shard, const std::function<void()>& task) = 0;

  /// Calls `step(sender, i)` for each sender and each i below `count`, a sender's in order: from
  /// threads of their own, or interleaved where there is one thread only.
  virtual void concurrently(std::size_t senders, std::size_t count,
                            const std::function<void(std::size_t, std::size_t)>& step) = 0;

  /// Whether time is virtual and everything happens on one thread.
  virtual bool simulated() const = 0;

  /// Guards what scenarios record. Whoever changes that calls notify() before unlocking:
  /// whoever waits may destroy what was recorded as soon as it can lock.
  std::mutex& mutex() noexcept { return mutex_; }
  void notify() noexcept { changed_.notify_all(); }

 protected:
  std::mutex mutex_;
  std::condition_variable changed_;
};

std::unique_ptr<Driver> make_real_driver();

}  // namespace velo::transport::conformance
