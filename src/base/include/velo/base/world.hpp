// SPDX-License-Identifier: Apache-2.0
// World: everything outside the process's own memory that velo uses: clocks, randomness, I/O
// threads (shards), the worker pool, network and files. Passed in, never global. `runtime` has the
// real one, `sim` the simulated one.
// Threading: a World and its parts may be used from any thread unless a function says otherwise.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/base/network.hpp>
#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace velo {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;
  virtual WallTime wall_now() const noexcept = 0;
};

/// Uniform random bits. Draw into named locals: two draws in one argument list come in the
/// compiler's order.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() noexcept = 0;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    std::uint64_t draw = next();
    while (draw >= limit) draw = next();
    return draw % bound;
  }
  void fill(std::span<std::byte> out) noexcept;
};

/// Something that a spinning shard looks at by itself instead of waiting to be told: memory that
/// another process writes to. On the shard's thread.
class PollSource {
 public:
  /// Whether something has come; called very often.
  virtual bool has_come() const noexcept = 0;
  /// Handles what has come.
  virtual void take() = 0;
  /// The shard is about to sleep: what comes from here on has to wake it by other means. False if
  /// something has come already; then the shard does not sleep.
  virtual bool before_sleep() noexcept = 0;
  /// It is awake, and looks again.
  virtual void after_sleep() noexcept = 0;

 protected:
  ~PollSource() = default;
};

/// One I/O thread: an executor whose tasks, timers and stream events all run on that thread, one at
/// a time.
class Shard : public Executor {
 public:
  /// The instant of the current turn on the shard's own thread (no system call); elsewhere the
  /// clock's now().
  virtual TimePoint now() const noexcept = 0;
  bool on_this_thread() const noexcept { return Executor::current() == this; }

  /// Runs `task` on the shard at or after `at`. Any thread. The node belongs to the shard until it
  /// ran or was cancelled.
  using TimerId = std::uint64_t;
  virtual TimerId start_timer(TimePoint at, Task0 task) = 0;
  /// On the shard's thread only. False if it already ran; true means it will never run.
  virtual bool cancel_timer(TimerId id) noexcept = 0;

  /// Runs `task` once at the end of the current turn, after all events of the turn were handled;
  /// for work worth batching. On the shard's thread only.
  virtual void at_turn_end(Task0 task) noexcept = 0;

  /// Looks at `source` while it spins and once per turn, until remove_poll_source(). False if this
  /// shard does not spin, or looks at as many as it can: then the source has to wake it for
  /// everything. On the shard's thread only, as is removing, which may happen within take().
  virtual bool add_poll_source(PollSource& source) {
    static_cast<void>(source);
    return false;
  }
  virtual void remove_poll_source(PollSource& source) noexcept { static_cast<void>(source); }
};

class Files;

class World {
 public:
  virtual ~World() = default;

  virtual Clock& clock() noexcept = 0;
  virtual Random& random() noexcept = 0;
  /// For what nobody may guess: names that are secrets, tokens, nonces. The operating system's
  /// generator, and slower than random(); in simulation from the seed, as everything is.
  virtual Random& secret_random() noexcept = 0;
  virtual Network& network() noexcept = 0;
  virtual Files& files() noexcept = 0;
  virtual std::size_t shard_count() const noexcept = 0;
  virtual Shard& shard(std::size_t index) noexcept = 0;
  /// Worker threads: `spawn` handlers, and continuations whose thread has no executor. Never an I/O
  /// shard.
  virtual Executor& pool() noexcept = 0;
};

}  // namespace velo
