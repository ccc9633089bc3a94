// SPDX-License-Identifier: Apache-2.0
// An executor for this room's tests that runs its tasks when told, on the calling thread.
// Not for product code.
// Threading: post() from any thread, run() from one.
#pragma once

#include <velo/base/executor.hpp>

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

namespace velo::discovery {

class ManualExecutor final : public Executor {
 public:
  void post(Task0 task) noexcept override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
  }

  /// Runs until nothing is posted; how many tasks that were.
  std::size_t run() {
    const Scope scope(this);
    std::size_t count = 0;
    while (const std::optional<Task0> task = next()) {
      task->run(task->argument);
      ++count;
    }
    return count;
  }

 private:
  std::optional<Task0> next() {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return std::nullopt;
    const Task0 task = tasks_.front();
    tasks_.pop_front();
    return task;
  }

  std::mutex mutex_;
  std::deque<Task0> tasks_;
};

}  // namespace velo::discovery
