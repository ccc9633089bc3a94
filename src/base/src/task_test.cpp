// SPDX-License-Identifier: Apache-2.0
// Tests of Task: laziness, values, exceptions, long loops and deep chains, and the race between a
// body that ends on another thread and the awaiter that is still starting it.

#include <velo/base/task.hpp>

#include <velo/base/op.hpp>

#include "testing/test_executors.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace velo::task_test {

using test_executors::ManualExecutor;
using test_executors::ThreadExecutor;

static_assert(!std::is_copy_constructible_v<Task<int>>);

static Task<int> give(int value) { co_return value; }

static Task<void> note(bool* ran) {
  *ran = true;
  co_return;
}

static Task<std::unique_ptr<int>> give_pointer(int value) {
  co_return std::make_unique<int>(value);
}

static Task<Result<int>> give_result(bool good) {
  if (!good) co_return make_error(Errc::not_found, "none");
  co_return 5;
}

static Task<int> fail(std::string why) {
  if (!why.empty()) throw std::runtime_error(why);
  co_return 1;
}

static Task<int> fail_oddly() {
  throw 42;  // NOLINT(hicpp-exception-baseclass)
  co_return 1;
}

static Task<int> add(Task<int> left, Task<int> right) {
  const int a = co_await left;
  const int b = co_await right;
  co_return a + b;
}

/// What a task ends with, when it ends on this thread.
template <class T>
static std::optional<Result<T>> run(Task<T> task) {
  std::optional<Result<T>> ended;
  start(std::move(task), [&ended](Result<T> result) { ended.emplace(std::move(result)); });
  return ended;
}

TEST(Task, DoesNothingUntilStarted) {
  bool ran = false;
  {
    Task<void> task = note(&ran);
    EXPECT_FALSE(ran);
    start(std::move(task), [](const Result<void>& result) { EXPECT_TRUE(result); });
    EXPECT_TRUE(ran);
  }
  ran = false;
  {
    const Task<void> dropped = note(&ran);
  }
  EXPECT_FALSE(ran);
}

TEST(Task, DroppingAnUnstartedOneDestroysItsArguments) {
  auto argument = std::make_shared<int>(1);
  auto coroutine = [](std::shared_ptr<int> held) -> Task<int> { co_return *held; };
  {
    const Task<int> task = coroutine(argument);
    EXPECT_EQ(argument.use_count(), 2);
  }
  EXPECT_EQ(argument.use_count(), 1);
}

TEST(Task, GivesValuesOfEveryKind) {
  EXPECT_EQ(**run(give(4)), 4);
  EXPECT_EQ(**run(add(give(1), give(2))), 3);
  auto pointer = run(give_pointer(7));
  EXPECT_EQ(***pointer, 7);
  EXPECT_EQ(***run(give_result(true)), 5);
  const auto outer = run(give_result(false));
  ASSERT_TRUE(*outer) << "the task itself did not fail";
  EXPECT_TRUE((*outer)->error().is(Errc::not_found));
}

TEST(Task, AnExceptionBecomesAnInternalErrorWithItsText) {
  const auto ended = run(fail("broken handler"));
  ASSERT_TRUE(ended && !*ended);
  EXPECT_TRUE(ended->error().is(Errc::internal));
  EXPECT_EQ(ended->error().context(), "broken handler");
  const auto odd = run(fail_oddly());
  ASSERT_TRUE(odd && !*odd);
  EXPECT_TRUE(odd->error().is(Errc::internal));
}

static Task<std::string> catch_it(Task<int> failing) {
  try {
    const int value = co_await failing;
    co_return std::to_string(value);
  } catch (const std::runtime_error& error) {
    co_return std::string("caught ") + error.what();
  }
}

TEST(Task, AnExceptionReachesTheAwaiterFirst) {
  EXPECT_EQ(**run(catch_it(fail("inner"))), "caught inner");
  EXPECT_EQ(**run(catch_it(fail(""))), "1");
  const auto through = run(add(give(1), fail("second")));
  EXPECT_EQ(through->error().context(), "second");
}

TEST(Task, MovesBetweenOwners) {
  Task<int> first = give(1);
  Task<int> second = give(2);
  Task<int> moved(std::move(first));
  moved = std::move(second);
  EXPECT_EQ(**run(std::move(moved)), 2);
}

TEST(Task, StartMovesWhatItCallsAtTheEnd) {
  int got = 0;
  start(give(3),
        [&got, owner = std::make_unique<int>(4)](Result<int> result) { got = *result * *owner; });
  EXPECT_EQ(got, 12);
}

static Task<std::int64_t> await_many(int count, Executor* executor) {
  std::int64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    auto task = give(1);
    const int one = co_await task;
    sum += one;
    if (executor != nullptr) {
      auto op = Op<int>::ready(*executor, 1);
      const Result<int> ready = co_await op;
      sum += *ready;
    }
  }
  co_return sum;
}

TEST(Task, AMillionSynchronousAwaitsInALoopKeepTheStackFlat) {
  ManualExecutor executor;
  EXPECT_EQ(**run(await_many(1'000'000, nullptr)), 1'000'000);
  EXPECT_EQ(**run(await_many(100'000, &executor)), 200'000);
}

/// Each round awaits an operation that the executor's next task ends, in place.
static Task<int> await_posted(ManualExecutor* executor, int rounds) {
  int done = 0;
  for (int i = 0; i < rounds; ++i) {
    auto promise = std::make_unique<Promise<int>>(*executor);
    auto op = promise->op();
    Promise<int>* const raw = promise.get();
    executor->post(
        Task0{[](void* argument) { static_cast<Promise<int>*>(argument)->set(1); }, raw});
    const Result<int> result = co_await op;
    done += *result;
    // set() is still on the stack below this coroutine: its promise must outlive it.
    post(*executor, [kept = std::move(promise)] {});
  }
  co_return done;
}

TEST(Task, AHundredThousandAsynchronousAwaitsKeepTheStackFlatToo) {
  ManualExecutor executor;
  std::optional<Result<int>> ended;
  start(await_posted(&executor, 100'000),
        [&ended](Result<int> result) { ended = std::move(result); });
  executor.run_all();
  ASSERT_TRUE(ended);
  EXPECT_EQ(**ended, 100'000);
}

static Task<int> descend(int depth, Promise<int>* promise) {
  if (depth == 0) {
    auto op = promise->op();
    const Result<int> result = co_await op;
    co_return *result;
  }
  auto next = descend(depth - 1, promise);
  const int below = co_await next;
  co_return below + 1;
}

TEST(Task, ADeepChainUnwindsInStepsOfSixteen) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  std::optional<Result<int>> ended;
  start(descend(1000, &promise), [&ended](Result<int> result) { ended = std::move(result); });
  promise.set(0);
  const std::size_t steps = executor.run_all();
  ASSERT_TRUE(ended);
  EXPECT_EQ(**ended, 1000);
  EXPECT_GE(steps, 1000U / 17);
  EXPECT_LE(steps, 1000U / 16 + 2);
}

static Task<int> await_raw(Promise<int>* promise, std::atomic<bool>* starting) {
  auto op = promise->op();
  starting->store(true, std::memory_order_release);
  const Result<int> result = co_await op;
  co_return *result;
}

static Task<int> outer(Promise<int>* promise, std::atomic<bool>* starting) {
  auto inner = await_raw(promise, starting);
  const int value = co_await inner;
  co_return value + 1;
}

TEST(Task, ABodyThatEndsElsewhereWhileItIsBeingStartedResumesItsAwaiterOnce) {
  constexpr int rounds = 20'000;
  std::atomic<int> ends{0};
  std::atomic<std::int64_t> sum{0};
  {
    ThreadExecutor callbacks;
    std::atomic<bool> starting{false};
    std::atomic<Promise<int>*> current{nullptr};
    const std::jthread producer([&] {
      for (int i = 0; i < rounds; ++i) {
        Promise<int>* promise = nullptr;
        while ((promise = current.exchange(nullptr, std::memory_order_acq_rel)) == nullptr) {
          std::this_thread::yield();
        }
        while (!starting.exchange(false, std::memory_order_acq_rel)) std::this_thread::yield();
        promise->set(i);
        delete promise;
      }
    });
    for (int i = 0; i < rounds; ++i) {
      auto* const promise = new Promise<int>(callbacks);
      current.store(promise, std::memory_order_release);
      // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): the producer deletes it
      start(outer(promise, &starting), [&](Result<int> result) {
        sum += *result;
        ++ends;
      });
      // The flag is used again: the producer must have seen it.
      while (starting.load(std::memory_order_acquire)) std::this_thread::yield();
    }
  }
  EXPECT_EQ(ends, rounds);
  EXPECT_EQ(sum, std::int64_t{rounds} * (rounds + 1) / 2);
}

TEST(Task, ContinuesOnTheExecutorWhoseOperationItAwaited) {
  ThreadExecutor executor;
  std::optional<Promise<int>> promise(std::in_place, executor);
  std::atomic<bool> starting{false};
  Promise<std::thread::id> ended(executor);
  Op<std::thread::id> where = ended.op();
  start(outer(&*promise, &starting), [&ended](const Result<int>& result) {
    EXPECT_EQ(*result, 6);
    ended.set(std::this_thread::get_id());
  });
  promise->set(5);
  EXPECT_EQ(*std::move(where).get(), executor.thread_id());
}

TEST(Task, ADroppedPromiseEndsTheTaskThatAwaitsIt) {
  ManualExecutor executor;
  std::optional<Promise<int>> promise(std::in_place, executor);
  std::optional<Result<std::string>> ended;
  auto waits = [](Promise<int>* awaited) -> Task<std::string> {
    auto op = awaited->op();
    const Result<int> result = co_await op;
    co_return result ? "value" : result.error().to_string();
  };
  start(waits(&*promise), [&ended](Result<std::string> result) { ended = std::move(result); });
  promise.reset();
  executor.run_all();
  ASSERT_TRUE(ended);
  EXPECT_TRUE((*ended)->starts_with("base.cancelled"));
}

}  // namespace velo::task_test
