// SPDX-License-Identifier: Apache-2.0
// Tests of posting, timers, turns and the external shard.

#include "epoll_shard.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "testing.hpp"

namespace velo::runtime {
namespace epoll_shard_test {

using std::chrono::milliseconds;
using testing::Counter;
using testing::make_external_world;
using testing::make_world;
using testing::run_on;
using testing::turn_until;

static bool is_readable(int descriptor, int timeout_ms = 0) {
  pollfd waiting{descriptor, POLLIN, 0};
  return ::poll(&waiting, 1, timeout_ms) == 1;
}

/// A Task0 that appends a letter.
struct Letter {
  std::string* to;
  char letter;
  Task0 task() {
    return {[](void* self) {
              auto& entry = *static_cast<Letter*>(self);
              *entry.to += entry.letter;
            },
            this};
  }
};

TEST(EpollShard, RunsEveryTaskPostedByEightThreadsExactlyOnceOnItsOwnThread) {
  constexpr std::size_t posters = 8;
  constexpr std::size_t each = 5000;
  auto world = make_world();
  Shard& shard = world->shard(0);
  std::vector<int> runs(posters * each);
  std::atomic<bool> elsewhere{false};
  Counter done;
  {
    std::vector<std::jthread> threads;
    threads.reserve(posters);
    for (std::size_t t = 0; t < posters; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < each; ++i) {
          post(shard, [&, index = t * each + i] {
            ++runs[index];
            if (!shard.on_this_thread()) elsewhere = true;
            done.add();
          });
        }
      });
    }
  }
  ASSERT_TRUE(done.wait_for(posters * each));
  world->stop();
  EXPECT_EQ(std::ranges::count(runs, 1), static_cast<std::ptrdiff_t>(runs.size()));
  EXPECT_FALSE(elsewhere);
}

TEST(EpollShard, WakesForEveryPostHoweverItMeetsTheMomentOfFallingAsleep) {
  auto world = make_world();
  Shard& shard = world->shard(0);
  std::atomic<int> ran{0};
  const Task0 task{[](void* counter) {
                     auto& count = *static_cast<std::atomic<int>*>(counter);
                     count.fetch_add(1);
                     count.notify_one();
                   },
                   &ran};
  // Each post waits for the one before: a lost wake would stop the chain.
  for (int i = 0; i < 20'000; ++i) {
    shard.post(task);
    ran.wait(i);
  }
  world->stop();
}

TEST(EpollShard, RunsATaskPostedFromATaskAfterItNotInsideIt) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  std::string order;
  post(shard, [&] {
    post(shard, [&] { order += 'b'; });
    order += 'a';
  });
  ASSERT_TRUE(turn_until(*world, [&] { return order.size() == 2; }));
  EXPECT_EQ(order, "ab");
}

TEST(EpollShard, RunsTimersInTheOrderOfTheirInstants) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  std::string order;
  Letter a{&order, 'a'};
  Letter b{&order, 'b'};
  Letter c{&order, 'c'};
  Letter d{&order, 'd'};
  const TimePoint start = world->clock().now();
  shard.start_timer(start + milliseconds(3), c.task());
  shard.start_timer(start + milliseconds(1), a.task());
  shard.start_timer(start + milliseconds(3), d.task());
  shard.start_timer(start + milliseconds(2), b.task());
  ASSERT_TRUE(turn_until(*world, [&] { return order.size() == 4; }));
  EXPECT_EQ(order, "abcd");
  EXPECT_GE(world->clock().now(), start + milliseconds(3));
}

TEST(EpollShard, NeverRunsATimerBeforeItsInstant) {
  auto world = make_world();
  Shard& shard = world->shard(0);
  Counter ran;
  std::atomic<int> early{0};
  run_on(shard, [&] {
    for (int i = 0; i < 50; ++i) {
      const TimePoint due = shard.now() + std::chrono::microseconds(137 * i);
      struct Expecting {
        RealWorld* world;
        TimePoint due;
        std::atomic<int>* early;
        Counter* ran;
      };
      auto* expecting = new Expecting{world.get(), due, &early, &ran};
      shard.start_timer(
          due, Task0{[](void* argument) {
                       const std::unique_ptr<Expecting> self(static_cast<Expecting*>(argument));
                       if (self->world->clock().now() < self->due) ++*self->early;
                       self->ran->add();
                     },
                     expecting});
    }
  });
  ASSERT_TRUE(ran.wait_for(50));
  EXPECT_EQ(early, 0);
}

TEST(EpollShard, CancelsATimerHoweverItWasStarted) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  std::string order;
  Letter never{&order, 'n'};
  Letter last{&order, 'z'};
  const TimePoint soon = world->clock().now() + milliseconds(5);
  const auto elsewhere = shard.start_timer(soon, never.task());  // from outside the shard
  EXPECT_TRUE(shard.cancel_timer(elsewhere));                    // before the shard has seen it
  const auto seen = shard.start_timer(soon, never.task());
  world->run_once(Duration::zero());
  EXPECT_TRUE(shard.cancel_timer(seen));
  EXPECT_FALSE(shard.cancel_timer(seen));
  Shard::TimerId inside = 0;
  post(shard, [&] { inside = shard.start_timer(soon, never.task()); });
  world->run_once(Duration::zero());
  ASSERT_NE(inside, 0U);
  EXPECT_TRUE(shard.cancel_timer(inside));
  const auto ran = shard.start_timer(soon, last.task());
  ASSERT_TRUE(turn_until(*world, [&] { return !order.empty(); }));
  EXPECT_EQ(order, "z");
  EXPECT_FALSE(shard.cancel_timer(ran));
}

TEST(EpollShard, RunsATimerOfThePastInTheNextTurn) {
  auto world = make_external_world();
  std::string order;
  Letter letter{&order, 'p'};
  world->shard(0).start_timer(TimePoint(), letter.task());
  world->run_once(Duration::max());
  EXPECT_EQ(order, "p");
}

TEST(EpollShard, EndsATurnOnceAfterEverythingElseInIt) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  std::string order;
  Letter end{&order, 'e'};
  Letter timer{&order, 't'};
  shard.start_timer(TimePoint(), timer.task());
  post(shard, [&] {
    shard.at_turn_end(end.task());
    order += '1';
  });
  post(shard, [&] { order += '2'; });
  world->run_once(Duration::zero());
  EXPECT_EQ(order, "12te");
  world->run_once(Duration::zero());
  EXPECT_EQ(order, "12te");
}

TEST(EpollShard, RunsWhatATurnsEndAsksForAtTheNextTurnsEndWithoutBeingWoken) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  std::string order;
  Letter second{&order, '2'};
  struct First {
    Shard* shard;
    std::string* order;
    Letter* second;
  } first{&shard, &order, &second};
  post(shard, [&] {
    shard.at_turn_end({[](void* argument) {
                         auto& self = *static_cast<First*>(argument);
                         *self.order += '1';
                         self.shard->at_turn_end(self.second->task());
                       },
                       &first});
  });
  world->run_once(Duration::zero());
  EXPECT_EQ(order, "1");
  EXPECT_TRUE(is_readable(world->poll_descriptor()));
  world->run_once(Duration::max());
  EXPECT_EQ(order, "12");
}

TEST(EpollShard, HoldsItsInstantDuringATurnWhileTheClockGoesOn) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  TimePoint in_turn;
  TimePoint later_in_turn;
  post(shard, [&] { in_turn = shard.now(); });
  post(shard, [&] {
    const TimePoint start = world->clock().now();
    while (world->clock().now() == start) {
    }
    later_in_turn = shard.now();
  });
  world->run_once(Duration::zero());
  EXPECT_EQ(in_turn, later_in_turn);
  EXPECT_GT(shard.now(), in_turn) << "outside a turn it is the clock's";
}

TEST(EpollShard, LetsAnExternalLoopAwaitItsDescriptorForPostsAndTimers) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  ASSERT_GE(world->poll_descriptor(), 0);
  EXPECT_EQ(world->run_once(Duration::zero()), 0U);
  EXPECT_FALSE(is_readable(world->poll_descriptor()));

  int ran = 0;
  std::thread([&] { post(shard, [&] { ++ran; }); }).join();
  EXPECT_TRUE(is_readable(world->poll_descriptor()));
  EXPECT_GE(world->run_once(Duration::zero()), 1U);
  EXPECT_EQ(ran, 1);
  world->run_once(Duration::zero());
  EXPECT_FALSE(is_readable(world->poll_descriptor()));

  std::string order;
  Letter letter{&order, 't'};
  post(shard, [&] { shard.start_timer(shard.now() + milliseconds(2), letter.task()); });
  world->run_once(Duration::zero());
  EXPECT_TRUE(is_readable(world->poll_descriptor(), 10'000));
  ASSERT_TRUE(turn_until(*world, [&] { return !order.empty(); }));
}

TEST(EpollShard, BelongsToTheThreadThatRunsTheTurn) {
  auto world = make_external_world();
  Shard& shard = world->shard(0);
  EXPECT_FALSE(shard.on_this_thread());
  bool inside = false;
  post(shard, [&] { inside = shard.on_this_thread() && Executor::current() == &shard; });
  world->run_once(Duration::zero());
  EXPECT_TRUE(inside);
  EXPECT_FALSE(shard.on_this_thread());
}

TEST(EpollShard, HandlesTasksAndTimersWhileSpinning) {
  RuntimeOptions options;
  options.spin = milliseconds(1);
  auto world = make_world(options);
  Shard& shard = world->shard(0);
  Counter ran;
  for (std::size_t i = 1; i <= 100; ++i) {
    post(shard, [&] { ran.add(); });
    ASSERT_TRUE(ran.wait_for(i));
  }
  shard.start_timer(world->clock().now() + milliseconds(2),
                    {[](void* counter) { static_cast<Counter*>(counter)->add(); }, &ran});
  EXPECT_TRUE(ran.wait_for(101));
}

}  // namespace epoll_shard_test
}  // namespace velo::runtime
