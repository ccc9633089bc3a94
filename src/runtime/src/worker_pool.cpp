// SPDX-License-Identifier: Apache-2.0
// The worker threads' loop.

#include "worker_pool.hpp"

#include <string>

#include "threads.hpp"

namespace velo::runtime {

void WorkerPool::start(std::size_t threads) {
  const BlockedSignals blocked;
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { run_thread(i); });
  }
}

void WorkerPool::post(Task0 task) noexcept {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.push(task);
    wake = idle_ > signalled_;
    if (wake) ++signalled_;
  }
  if (wake) wake_.notify_one();
}

void WorkerPool::run_thread(std::size_t index) noexcept {
  name_this_thread("velo-pool-" + std::to_string(index));
  const Executor::Scope scope(this);
  std::unique_lock lock(mutex_);
  for (;;) {
    while (queue_.empty() && taken_ < last_wanted_) {
      ++idle_;
      wake_.wait(lock);
      --idle_;
      if (signalled_ > 0) --signalled_;
    }
    if (taken_ >= last_wanted_) return;
    const Task0 task = queue_.pop();
    ++taken_;
    lock.unlock();
    task.run(task.argument);
    lock.lock();
  }
}

void WorkerPool::join() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (last_wanted_ == UINT64_MAX) last_wanted_ = taken_ + queue_.size();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::size_t WorkerPool::drain_round() noexcept {
  const Executor::Scope scope(this);
  std::unique_lock lock(mutex_);
  const std::size_t count = queue_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Task0 task = queue_.pop();
    lock.unlock();
    task.run(task.argument);
    lock.lock();
  }
  return count;
}

std::size_t WorkerPool::queued() const noexcept {
  const std::scoped_lock lock(mutex_);
  return queue_.size();
}

}  // namespace velo::runtime
