// SPDX-License-Identifier: Apache-2.0
// Worker threads over one first-in first-out queue; a post wakes a thread only if one sleeps that
// no post has woken yet. Not an I/O shard: tasks here may take long.
// Threading: post() from any thread.
#pragma once

#include <velo/base/executor.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "task_queue.hpp"

namespace velo::runtime {

class WorkerPool final : public Executor {
 public:
  WorkerPool() = default;
  ~WorkerPool() override { join(); }

  /// Throws std::system_error when the system has no thread left; the ones started are then ended
  /// by join().
  void start(std::size_t threads);
  /// Runs what was posted before this call on the workers, then ends and joins them.
  void join() noexcept;
  /// After join(), on the stopping thread: runs what is queued now, and returns how much that was.
  std::size_t drain_round() noexcept;
  std::size_t queued() const noexcept;

  void post(Task0 task) noexcept override;

 private:
  void run_thread(std::size_t index) noexcept;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  TaskQueue queue_;
  std::size_t idle_ = 0;       ///< threads asleep
  std::size_t signalled_ = 0;  ///< of those, how many a post has woken
  std::uint64_t taken_ = 0;
  std::uint64_t last_wanted_ =
      UINT64_MAX;  ///< once stopping: how many tasks the workers take in all
  std::vector<std::thread> threads_;
};

}  // namespace velo::runtime
