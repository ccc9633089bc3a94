// SPDX-License-Identifier: Apache-2.0
// Executors for base's own tests, where no World exists yet: one driven by hand, one with a thread.
// Threading: post() from any thread, as the contract asks; the rest from the test's thread.
#pragma once

#include <velo/base/executor.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace velo::test_executors {

/// Keeps tasks until the test runs them, on the test's thread.
class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(bool others_may_block = true) noexcept
      : others_may_block_(others_may_block) {}

  void post(Task0 task) noexcept override {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(task);
  }
  bool others_may_block() const noexcept override { return others_may_block_; }

  std::size_t queued() const {
    const std::scoped_lock lock(mutex_);
    return tasks_.size();
  }
  bool run_one() {
    Task0 task;
    {
      const std::scoped_lock lock(mutex_);
      if (tasks_.empty()) return false;
      task = tasks_.front();
      tasks_.pop_front();
    }
    const Executor::Scope scope(this);
    task.run(task.argument);
    return true;
  }
  /// Until nothing is left; the number of tasks run.
  std::size_t run_all() {
    std::size_t count = 0;
    while (run_one()) ++count;
    return count;
  }

 private:
  const bool others_may_block_;
  mutable std::mutex mutex_;
  std::deque<Task0> tasks_;
};

/// Runs tasks on a thread of its own; the destructor runs what is queued first.
class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor() : thread_([this] { run(); }) {}
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;
  ~ThreadExecutor() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void post(Task0 task) noexcept override {
    {
      const std::scoped_lock lock(mutex_);
      tasks_.push_back(task);
    }
    changed_.notify_one();
  }
  std::thread::id thread_id() const noexcept { return thread_.get_id(); }

 private:
  void run() {
    const Executor::Scope scope(this);
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      std::deque<Task0> batch = std::exchange(tasks_, {});
      lock.unlock();
      for (const Task0& task : batch) task.run(task.argument);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task0> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace velo::test_executors
