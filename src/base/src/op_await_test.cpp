// SPDX-License-Identifier: Apache-2.0
// Tests of Promise, of awaiting its Op, and of the executors that continuations meet.

#include <velo/base/op.hpp>
#include <velo/base/task.hpp>

#include "testing/test_executors.hpp"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace velo::op_await_test {

using test_executors::ManualExecutor;
using test_executors::ThreadExecutor;

TEST(Promise, TheFirstToSetWins) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  Op<int> op = promise.op();
  EXPECT_FALSE(promise.ended());
  EXPECT_TRUE(promise.set(1));
  EXPECT_TRUE(promise.ended());
  EXPECT_FALSE(promise.set(2));
  EXPECT_FALSE(promise.set(make_error(Errc::io)));
  EXPECT_EQ(*std::move(op).get(), 1);
}

TEST(Promise, DroppingItEndsTheOperation) {
  ManualExecutor executor;
  std::optional<Op<int>> waiting;
  bool continued = false;
  {
    Promise<int> first(executor);
    waiting.emplace(first.op());
    Promise<int> second(executor);
    second.op().then(
        [&continued](Result<int> result) { continued = result.error().is(Errc::cancelled); });
  }
  EXPECT_TRUE(std::move(*waiting).get().error().is(Errc::cancelled));
  executor.run_all();
  EXPECT_TRUE(continued);
}

TEST(Promise, NeedsNoOpAndMayBeMoved) {
  ManualExecutor executor;
  {
    const Promise<int> unused(executor);
  }
  {
    Promise<int> set_for_nobody(executor);
    set_for_nobody.set(1);
  }
  Promise<int> first(executor);
  Op<int> op = first.op();
  Promise<int> second(std::move(first));
  Promise<int> third(executor);
  third = std::move(second);
  third.set(4);
  EXPECT_EQ(*std::move(op).get(), 4);
}

TEST(Promise, MayOutliveItsOpAndTheOtherWayRound) {
  ManualExecutor executor;
  std::optional<Promise<std::string>> promise(std::in_place, executor);
  std::optional<Op<std::string>> op(promise->op());
  promise->set(std::string(100, 'r'));
  promise.reset();
  EXPECT_EQ(std::move(*op).get()->size(), 100U);

  promise.emplace(executor);
  op.emplace(promise->op());
  op.reset();
  promise->set("nobody reads this");
}

static Task<int> await_one(Promise<int>* promise, int* steps) {
  ++*steps;
  auto op = promise->op();
  const Result<int> result = co_await op;
  ++*steps;
  co_return result.value_or(-1);
}

TEST(OpAwait, ResumesOnTheExecutorThatAwaited) {
  ManualExecutor callbacks;
  ManualExecutor callers;
  Promise<int> promise(callbacks);
  int steps = 0;
  int got = 0;
  post(callers,
       [&] { start(await_one(&promise, &steps), [&got](Result<int> result) { got = *result; }); });
  callers.run_all();
  EXPECT_EQ(steps, 1);
  promise.set(9);
  EXPECT_EQ(steps, 1) << "not on the thread that ended it";
  EXPECT_EQ(callers.run_all(), 1U);
  EXPECT_EQ(got, 9);
}

TEST(OpAwait, WithoutAnExecutorItResumesOnTheCallbackExecutor) {
  ManualExecutor callbacks;
  Promise<int> promise(callbacks);
  int steps = 0;
  int got = 0;
  start(await_one(&promise, &steps), [&got](Result<int> result) { got = *result; });
  promise.set(9);
  EXPECT_EQ(callbacks.run_all(), 1U);
  EXPECT_EQ(got, 9);
}

TEST(OpAwait, ADoneOneDoesNotSuspend) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  promise.set(3);
  int steps = 0;
  int got = 0;
  start(await_one(&promise, &steps), [&got](Result<int> result) { got = *result; });
  EXPECT_EQ(got, 3);
}

TEST(OpAwait, DestroyingTheSuspendedCoroutineCancels) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  int cancels = 0;
  promise.on_cancel([&cancels]() noexcept { ++cancels; });
  int steps = 0;
  {
    Task<int> task = await_one(&promise, &steps);
    const auto frame = task.release();
    frame.resume();
    EXPECT_EQ(steps, 1);
    EXPECT_EQ(cancels, 0);
    frame.destroy();
  }
  EXPECT_EQ(cancels, 1);
  promise.set(1);
  EXPECT_EQ(executor.run_all(), 0U);
  EXPECT_EQ(steps, 1);
}

/// Moves the awaiting coroutine to an executor.
class HopTo {
 public:
  explicit HopTo(Executor* executor) noexcept : executor_(executor) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    executor_->post(
        Task0{[](void* address) { std::coroutine_handle<>::from_address(address).resume(); },
              handle.address()});
  }
  void await_resume() const noexcept {}

 private:
  Executor* executor_;
};

/// Counts how often the current executor was not the one that the coroutine is on.
static Task<int> hop(Executor* first, Executor* second, int hops) {
  int strayed = 0;
  for (int i = 0; i < hops; ++i) {
    Executor* const here = i % 2 == 0 ? first : second;
    Executor* const there = i % 2 == 0 ? second : first;
    HopTo to_here(here);
    co_await to_here;
    if (Executor::current() != here) ++strayed;
    HopTo to_there(there);
    co_await to_there;
    if (Executor::current() != there) ++strayed;
  }
  co_return strayed;
}

TEST(Executor, CurrentIsRightAfterACoroutineMovedToAnotherThread) {
  // Compilers have kept the address of a thread's variable across a suspension.
  ManualExecutor callbacks;
  Promise<int> ended(callbacks);
  Op<int> strayed = ended.op();
  ThreadExecutor first;
  ThreadExecutor second;
  start(hop(&first, &second, 1000), [&ended](Result<int> result) { ended.set(std::move(result)); });
  EXPECT_EQ(*std::move(strayed).get(), 0);
}

TEST(InlineExecutor, RunsAtOnce) {
  bool ran = false;
  post(inline_executor(), [&ran] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(Executor, ScopesNestAndBelongToTheirThread) {
  ManualExecutor outer;
  ManualExecutor inner;
  EXPECT_EQ(Executor::current(), nullptr);
  {
    const Executor::Scope first(&outer);
    EXPECT_EQ(Executor::current(), &outer);
    {
      const Executor::Scope second(&inner);
      EXPECT_EQ(Executor::current(), &inner);
      std::jthread([] { EXPECT_EQ(Executor::current(), nullptr); }).join();
    }
    EXPECT_EQ(Executor::current(), &outer);
  }
  EXPECT_EQ(Executor::current(), nullptr);
}

}  // namespace velo::op_await_test
