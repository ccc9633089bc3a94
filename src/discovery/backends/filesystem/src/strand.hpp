// SPDX-License-Identifier: Apache-2.0
// Runs functions one at a time and in order on an executor of several threads. Not an Executor: it
// takes closures, so that what never runs is destroyed with it, and it can refuse when too many
// wait.
// Threading: any thread.
#pragma once

#include <velo/base/executor.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace velo::discovery {

class Strand {
 public:
  using Work = std::move_only_function<void()>;

  explicit Strand(Executor& executor) : shared_(std::make_shared<Shared>(executor)) {}

  void post(Work work) { try_post(std::move(work), SIZE_MAX); }

  /// False, and nothing is queued, while `pending_max` wait.
  bool try_post(Work work, std::size_t pending_max) {
    // Running the work may destroy this strand before try_post() returns.
    const std::shared_ptr<Shared> shared = shared_;
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->queue.size() >= pending_max) return false;
      shared->queue.push_back(std::move(work));
      if (std::exchange(shared->running, true)) return true;
    }
    schedule(shared);
    return true;
  }

 private:
  struct Shared {
    explicit Shared(Executor& e) : executor(e) {}
    Executor& executor;
    std::mutex mutex;
    std::deque<Work> queue;
    bool running = false;
  };

  static void schedule(const std::shared_ptr<Shared>& shared) {
    velo::post(shared->executor, [shared] {
      Work work;
      {
        const std::lock_guard lock(shared->mutex);
        work = std::move(shared->queue.front());
        shared->queue.pop_front();
      }
      work();
      work = nullptr;
      {
        const std::lock_guard lock(shared->mutex);
        shared->running = !shared->queue.empty();
        if (!shared->running) return;
      }
      schedule(shared);
    });
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace velo::discovery
