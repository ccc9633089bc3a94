// SPDX-License-Identifier: Apache-2.0
// Exactly once under stress: two producers and a dropped promise race for each operation's end,
// while its consumer gets, continues, awaits, cancels or drops it.

#include <velo/base/op.hpp>

#include <velo/base/task.hpp>

#include "testing/test_executors.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace velo::op_stress_test {

using test_executors::ThreadExecutor;

constexpr std::size_t operations = 200'000;
constexpr std::size_t batch_size = 50;

/// A value that double frees and lost results show up in.
using Value = std::unique_ptr<std::size_t>;

struct Counters {
  std::atomic<unsigned> ends{0};       ///< set() calls that won
  std::atomic<unsigned> delivered{0};  ///< results that reached a consumer
  std::atomic<unsigned> wrong{0};      ///< results that were not this operation's
};

struct Batch {
  std::size_t first;
  std::vector<Promise<Value>> promises;
};

/// Hands batches to one producer.
class Inbox {
 public:
  void put(std::shared_ptr<Batch> batch) {
    {
      const std::scoped_lock lock(mutex_);
      batches_.push_back(std::move(batch));
    }
    changed_.notify_one();
  }
  /// Null: no more will come.
  std::shared_ptr<Batch> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batches_.empty(); });
    auto batch = std::move(batches_.front());
    batches_.pop_front();
    return batch;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Batch>> batches_;
};

/// Nobody sets these: the promise's end ends them.
static bool abandoned(std::size_t index) noexcept { return index % 11 == 0; }

class Stress {
 public:
  void run() {
    {
      std::vector<std::jthread> producers;
      producers.reserve(2);
      for (std::size_t p = 0; p < 2; ++p) producers.emplace_back([this, p] { produce(p); });
      {
        std::vector<std::jthread> consumers;
        consumers.reserve(2);
        for (std::size_t c = 0; c < 2; ++c) consumers.emplace_back([this, c] { consume(c); });
      }
      for (Inbox& inbox : inboxes_) inbox.put(nullptr);
    }
    executors_ = {};
    check();
  }

 private:
  enum class Way : std::uint8_t { get, then, then_here, await, drop, cancel_then, count };

  static Way way_of(std::size_t index) noexcept {
    return static_cast<Way>(index % static_cast<std::size_t>(Way::count));
  }

  void produce(std::size_t which) {
    while (const std::shared_ptr<Batch> batch = inboxes_[which].take()) {
      for (std::size_t i = 0; i < batch_size; ++i) {
        const std::size_t index = batch->first + i;
        if (abandoned(index)) continue;
        const bool won = which == 0 ? batch->promises[i].set(std::make_unique<std::size_t>(index))
                                    : batch->promises[i].set(make_error(Errc::deadline_exceeded));
        if (won) ++counters_[index].ends;
      }
    }
  }

  void consume(std::size_t which) {
    for (std::size_t first = which * batch_size; first < operations; first += 2 * batch_size) {
      auto batch = std::make_shared<Batch>(Batch{first, {}});
      batch->promises.reserve(batch_size);
      std::vector<Op<Value>> ops;
      for (std::size_t i = 0; i < batch_size; ++i) {
        auto& promise = batch->promises.emplace_back(*executors_[first % 2]);
        // The third contender. It may be the one that lets the whole batch go.
        promise.on_cancel([this, weak = std::weak_ptr(batch), first, i]() noexcept {
          const std::shared_ptr<Batch> alive = weak.lock();
          if (alive && alive->promises[i].set(make_error(Errc::cancelled))) {
            ++counters_[first + i].ends;
          }
        });
        ops.push_back(promise.op());
      }
      inboxes_[0].put(batch);
      inboxes_[1].put(std::move(batch));
      for (std::size_t i = 0; i < batch_size; ++i) consume_one(first + i, std::move(ops[i]));
    }
  }

  void consume_one(std::size_t index, Op<Value> op) {
    switch (way_of(index)) {
      case Way::get: return deliver(index, std::move(op).get());
      case Way::then:
        std::move(op).then(
            [this, index](Result<Value> result) { deliver(index, std::move(result)); });
        return;
      case Way::then_here:
        // Attached on the executor's own thread.
        post(*executors_[index % 2], [this, index, moved = std::move(op)]() mutable {
          std::move(moved).then(
              [this, index](Result<Value> result) { deliver(index, std::move(result)); });
        });
        return;
      case Way::await:
        start(await(this, index, std::move(op)), [this, index](const Result<void>& ended) {
          if (!ended) ++counters_[index].wrong;
        });
        return;
      case Way::drop: return;
      case Way::cancel_then:
        op.cancel();
        std::move(op).then(
            [this, index](Result<Value> result) { deliver(index, std::move(result)); });
        return;
      case Way::count: return;
    }
  }

  static Task<void> await(Stress* self, std::size_t index, Op<Value> op) {
    Result<Value> result = co_await op;
    self->deliver(index, std::move(result));
  }

  void deliver(std::size_t index, Result<Value> result) {
    ++counters_[index].delivered;
    const Way way = way_of(index);
    bool right = !abandoned(index);
    if (result) {
      right = right && **result == index;
    } else if (result.error().is(Errc::cancelled)) {
      right = abandoned(index) || way == Way::cancel_then;
    } else {
      right = right && result.error().is(Errc::deadline_exceeded);
    }
    if (!right) ++counters_[index].wrong;
  }

  void check() {
    for (std::size_t i = 0; i < operations; ++i) {
      const Way way = way_of(i);
      const bool cancels = way == Way::drop || way == Way::cancel_then;
      ASSERT_LE(counters_[i].ends, 1U) << i;
      if (!abandoned(i)) {
        ASSERT_EQ(counters_[i].ends, 1U) << i;
      } else if (!cancels) {
        ASSERT_EQ(counters_[i].ends, 0U) << i;
      }
      ASSERT_EQ(counters_[i].delivered, way == Way::drop ? 0U : 1U) << i;
      ASSERT_EQ(counters_[i].wrong, 0U) << i;
    }
  }

  std::vector<Counters> counters_ = std::vector<Counters>(operations);
  std::array<Inbox, 2> inboxes_;
  std::array<std::unique_ptr<ThreadExecutor>, 2> executors_{std::make_unique<ThreadExecutor>(),
                                                            std::make_unique<ThreadExecutor>()};
};

TEST(OpStress, EveryOperationEndsAndIsDeliveredExactlyOnce) { Stress().run(); }

TEST(OpStress, GetMeetsSetAtEveryMoment) {
  test_executors::ManualExecutor executor;
  // One operation at a time, so that the waiter is often just about to sleep.
  constexpr int rounds = 20'000;
  std::atomic<Promise<int>*> current{nullptr};
  const std::jthread producer([&current] {
    for (int i = 0; i < rounds; ++i) {
      Promise<int>* promise = nullptr;
      while ((promise = current.exchange(nullptr)) == nullptr) std::this_thread::yield();
      promise->set(i);
      delete promise;
    }
  });
  for (int i = 0; i < rounds; ++i) {
    auto promise = std::make_unique<Promise<int>>(executor);
    Op<int> op = promise->op();
    current.store(promise.release());
    const Result<int> result = std::move(op).get();
    ASSERT_TRUE(result);
    ASSERT_EQ(*result, i);
  }
}

}  // namespace velo::op_stress_test
