// SPDX-License-Identifier: Apache-2.0
// RealWorld: the World of a real process: I/O threads over epoll, a worker pool, sockets, files,
// clocks, randomness. Not a policy: it decides nothing about connections, retries or peers. A
// process may have several; they share nothing. The World outlives everything made from it
// (streams, listeners, attempts, locks), and does not survive fork().
// Threading: any thread, except where a function says otherwise.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/base/world.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace velo::runtime {

struct RuntimeOptions {
  std::size_t shards = 1;  ///< I/O threads; 1 to 256
  std::size_t
      workers;  ///< threads of the pool; 1 to 1024; default: the hardware's threads, at least 2
  Duration spin{0};         ///< how long an I/O thread polls before it blocks; zero: blocks at once
  bool pin_shards = false;  ///< binds shard i to the i-th processor that the process may use
  /// Shard 0 has no thread of its own: the user calls run_once(), or awaits poll_descriptor() in a
  /// loop of their own.
  bool external_first_shard = false;
  std::optional<std::uint64_t>
      seed;  ///< of random(); default: from the system. Not for keys either way.

  RuntimeOptions();
};

class RealWorld final : public World {
 public:
  /// Threads run when this returns. Errc::invalid_argument, or Errc::overloaded when descriptors or
  /// threads ran out.
  static Result<std::unique_ptr<RealWorld>> create(
      const RuntimeOptions& options = RuntimeOptions());

  /// stop(), then runs what was posted since.
  ~RealWorld() override;

  RealWorld(const RealWorld&) = delete;
  RealWorld& operator=(const RealWorld&) = delete;

  /// Ends the threads: every task posted before or meanwhile runs exactly once, the last ones on
  /// the calling thread; attempts to connect end with Errc::shutting_down; timers that are not due
  /// never run. Afterwards no stream event arrives and everything made from this World may be
  /// destroyed on one thread. Never on a thread of this World. Returns how many tasks were given up
  /// because tasks kept posting tasks for 1000 rounds: 0 unless there is a defect.
  std::size_t stop() noexcept;

  /// Runs one turn of the external shard on the calling thread, waiting at most `timeout` (rounded
  /// up to milliseconds; Duration::max() waits without limit) for something to do. One thread at a
  /// time; not from within a turn. Returns how many events, tasks and timers were handled.
  std::size_t run_once(Duration timeout) noexcept;

  /// An epoll descriptor that is readable whenever run_once() has something to do, also for a due
  /// timer; owned by the World. -1 without an external shard.
  int poll_descriptor() const noexcept;

  Clock& clock() noexcept override;
  Random& random() noexcept override;
  Random& secret_random() noexcept override;
  Network& network() noexcept override;
  Files& files() noexcept override;
  std::size_t shard_count() const noexcept override;
  Shard& shard(std::size_t index) noexcept override;
  Executor& pool() noexcept override;

 private:
  struct Parts;
  explicit RealWorld(std::unique_ptr<Parts> parts) noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace velo::runtime
