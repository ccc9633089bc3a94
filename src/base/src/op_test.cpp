// SPDX-License-Identifier: Apache-2.0
// Tests of Op: each way to consume one, where continuations run, and what cancels.

#include <velo/base/op.hpp>

#include "testing/test_executors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace velo::op_test {

using test_executors::ManualExecutor;

TEST(Op, AReadyOneIsDoneAndGivesItsResult) {
  ManualExecutor executor;
  Op<int> good = Op<int>::ready(executor, 7);
  EXPECT_TRUE(good.done());
  EXPECT_EQ(*std::move(good).get(), 7);
  Op<int> bad = Op<int>::ready(executor, make_error(Errc::not_found));
  EXPECT_TRUE(std::move(bad).get().error().is(Errc::not_found));
  const Op<int> dropped = Op<int>::ready(executor, 8);
}

TEST(Op, MoveOnlyAndVoidResultsPassThrough) {
  ManualExecutor executor;
  auto pointer = Op<std::unique_ptr<int>>::ready(executor, std::make_unique<int>(3));
  const auto taken = std::move(pointer).get();
  EXPECT_EQ(**taken, 3);
  Op<void> nothing = Op<void>::ready(executor, {});
  EXPECT_TRUE(std::move(nothing).get());
}

TEST(Op, GetBlocksUntilAnotherThreadEndsIt) {
  ManualExecutor executor;
  for (int i = 0; i < 200; ++i) {
    Promise<int> promise(executor);
    Op<int> op = promise.op();
    const std::jthread producer([&promise, i] { promise.set(i); });
    EXPECT_EQ(*std::move(op).get(), i);
  }
}

TEST(Op, GetOnAnExecutorsThreadAnswersWouldDeadlockAndCancels) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  int cancels = 0;
  promise.on_cancel([&cancels]() noexcept { ++cancels; });
  Op<int> op = promise.op();
  const Executor::Scope scope(&executor);
  EXPECT_TRUE(std::move(op).get().error().is(Errc::would_deadlock));
  EXPECT_EQ(cancels, 1);
  EXPECT_TRUE(op.done());  // NOLINT(bugprone-use-after-move): nothing is left to wait for
}

TEST(Op, GetInASimulationAnswersWouldDeadlock) {
  ManualExecutor simulated(false);
  Promise<int> promise(simulated);
  Op<int> op = promise.op();
  EXPECT_TRUE(std::move(op).get().error().is(Errc::would_deadlock));
}

TEST(Op, GetOfADoneOneIsAllowedEverywhere) {
  ManualExecutor simulated(false);
  const Executor::Scope scope(&simulated);
  Op<int> op = Op<int>::ready(simulated, 1);
  EXPECT_EQ(*std::move(op).get(), 1);
}

TEST(Op, ThenOfADoneOneNeverRunsInsideThen) {
  ManualExecutor executor;
  for (const bool on_executor : {false, true}) {
    const Executor::Scope scope(on_executor ? &executor : nullptr);
    int got = 0;
    Op<int>::ready(executor, 5).then([&got](Result<int> result) { got = *result; });
    EXPECT_EQ(got, 0);
    EXPECT_EQ(executor.run_all(), 1U);
    EXPECT_EQ(got, 5);
  }
}

TEST(Op, ThenWithoutAnExecutorGoesToTheProducersCallbackExecutor) {
  ManualExecutor callbacks;
  Promise<int> promise(callbacks);
  int got = 0;
  promise.op().then([&got](Result<int> result) { got = *result; });
  promise.set(6);
  EXPECT_EQ(got, 0);
  EXPECT_EQ(callbacks.run_all(), 1U);
  EXPECT_EQ(got, 6);
}

TEST(Op, ThenGoesToTheCallersExecutorOrTheNamedOne) {
  ManualExecutor callbacks;
  ManualExecutor callers;
  ManualExecutor named;
  Promise<int> first(callbacks);
  Promise<int> second(callbacks);
  int got = 0;
  {
    const Executor::Scope scope(&callers);
    first.op().then([&got](Result<int> result) { got += *result; });
    second.op().then(named, [&got](Result<int> result) { got += *result; });
  }
  first.set(1);
  second.set(10);
  EXPECT_EQ(callbacks.queued(), 0U);
  EXPECT_EQ(callers.run_all(), 1U);
  EXPECT_EQ(got, 1);
  EXPECT_EQ(named.run_all(), 1U);
  EXPECT_EQ(got, 11);
}

TEST(Op, CompletionOnTheContinuationsOwnExecutorRunsItInPlace) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  int got = 0;
  promise.op().then([&got](Result<int> result) { got = *result; });
  const Executor::Scope scope(&executor);
  promise.set(7);
  EXPECT_EQ(got, 7);
  EXPECT_EQ(executor.queued(), 0U);
}

/// A chain in which each continuation ends the next operation, on one executor.
struct Chain {
  ManualExecutor executor;
  std::vector<Promise<int>> promises;
  std::size_t depth = 0;
  std::size_t deepest = 0;
  std::size_t ran = 0;

  void build(std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) promises.emplace_back(executor);
    for (std::size_t i = 0; i < length; ++i) {
      promises[i].op().then(executor, [this, i](const Result<int>&) {
        deepest = std::max(deepest, ++depth);
        ++ran;
        if (i + 1 < promises.size()) promises[i + 1].set(0);
        --depth;
      });
    }
  }
};

TEST(Op, InPlaceCompletionsNestSixteenDeepAtMost) {
  Chain chain;
  chain.build(1000);
  {
    const Executor::Scope scope(&chain.executor);
    chain.promises[0].set(0);
  }
  EXPECT_EQ(chain.ran, 16U);
  EXPECT_EQ(chain.executor.queued(), 1U);
  chain.executor.run_all();
  EXPECT_EQ(chain.ran, 1000U);
  // A posted one starts at the bottom and has sixteen more above it.
  EXPECT_LE(chain.deepest, 17U);
}

TEST(Op, CallbacksMayBeMoveOnlyAndLarge) {
  ManualExecutor executor;
  std::array<char, 4000> large{};
  large.back() = 'x';
  char got = 0;
  Op<int>::ready(executor, 1).then([large, &got, owner = std::make_unique<int>(1)](Result<int>) {
    got = large.back();
  });
  executor.run_all();
  EXPECT_EQ(got, 'x');
}

TEST(Op, AnAwaitedOneThatIsDroppedBeforeItsEndIsNotContinued) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  {
    const Op<int> op = promise.op();
  }
  EXPECT_TRUE(promise.set(1)) << "the producer still ends it, for nobody";
  EXPECT_EQ(executor.queued(), 0U);
}

TEST(Op, DroppingCancelsOnceAndOnlyBeforeTheEnd) {
  ManualExecutor executor;
  int cancels = 0;
  {
    Promise<int> promise(executor);
    promise.on_cancel([&cancels]() noexcept { ++cancels; });
    {
      const Op<int> op = promise.op();
    }
    EXPECT_EQ(cancels, 1);
  }
  {
    Promise<int> promise(executor);
    promise.on_cancel([&cancels]() noexcept { ++cancels; });
    Op<int> op = promise.op();
    op.cancel();
    op.cancel();
    EXPECT_EQ(cancels, 2);
  }
  {
    Promise<int> promise(executor);
    promise.on_cancel([&cancels]() noexcept { ++cancels; });
    Op<int> op = promise.op();
    promise.set(1);
    op.cancel();
  }
  EXPECT_EQ(cancels, 2);
}

TEST(Op, ACancelledOneEndsAsItsProducerSays) {
  ManualExecutor executor;
  Promise<int> promise(executor);
  promise.on_cancel([&promise]() noexcept { promise.set(make_error(Errc::cancelled)); });
  Op<int> op = promise.op();
  op.cancel();
  EXPECT_TRUE(op.done());
  EXPECT_TRUE(std::move(op).get().error().is(Errc::cancelled));
  EXPECT_FALSE(promise.set(1));
}

TEST(Op, DroppingOneWhoseProducerEndsItWhenCancelledIsSafe) {
  ManualExecutor executor;
  std::optional<Promise<int>> promise(std::in_place, executor);
  promise->on_cancel([&promise]() noexcept { promise.reset(); });
  {
    const Op<int> op = promise->op();
  }
  EXPECT_FALSE(promise);
}

TEST(Op, MovingOneMovesTheOperation) {
  ManualExecutor executor;
  int cancels = 0;
  Promise<int> promise(executor);
  promise.on_cancel([&cancels]() noexcept { ++cancels; });
  Op<int> first = promise.op();
  Op<int> second = std::move(first);
  first = Op<int>::ready(executor, 2);
  EXPECT_EQ(cancels, 0);
  promise.set(1);
  EXPECT_EQ(*std::move(second).get(), 1);
  EXPECT_EQ(*std::move(first).get(), 2);
}

/// Lives as long as its thread, and uses operations when the pools of the thread are already gone.
struct LateUser {
  Executor* executor = nullptr;
  std::optional<Op<int>> kept;
  ~LateUser() {
    if (executor != nullptr) Op<int>::ready(*executor, 1).cancel();
  }
};

TEST(Op, MayBeUsedByDestructorsThatRunAtTheEndOfAThread) {
  ManualExecutor executor;
  std::jthread([&executor] {
    thread_local LateUser late;
    late.executor = &executor;
    late.kept.emplace(Op<int>::ready(executor, 1));
    for (int i = 0; i < 10; ++i) Op<int>::ready(executor, i).cancel();
  }).join();
}

}  // namespace velo::op_test
