// SPDX-License-Identifier: Apache-2.0
// Tests of the pool, of stopping, and of what stopping leaves behind.

#include <velo/runtime/real_world.hpp>

#include <velo/base/log.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "network_testing.hpp"

namespace velo::runtime {
namespace real_world_test {

using testing::Collector;
using testing::Counter;
using testing::make_external_world;
using testing::make_world;
using testing::run_on;
using testing::StreamResult;

static RuntimeOptions with_workers(std::size_t workers) {
  RuntimeOptions options;
  options.workers = workers;
  return options;
}

TEST(RealWorld, RefusesOptionsThatCannotWork) {
  RuntimeOptions none;
  none.shards = 0;
  EXPECT_TRUE(RealWorld::create(none).error().is(Errc::invalid_argument));
  EXPECT_TRUE(RealWorld::create(with_workers(0)).error().is(Errc::invalid_argument));
  EXPECT_TRUE(RealWorld::create(with_workers(100'000)).error().is(Errc::invalid_argument));
}

TEST(RealWorld, HasAsManyShardsAsAskedForEachItsOwnThread) {
  RuntimeOptions options;
  options.shards = 3;
  options.pin_shards = true;
  auto world = make_world(options);
  ASSERT_EQ(world->shard_count(), 3U);
  std::set<std::thread::id> threads;
  for (std::size_t i = 0; i < 3; ++i) {
    run_on(world->shard(i), [&] {
      threads.insert(std::this_thread::get_id());
      EXPECT_TRUE(world->shard(i).on_this_thread());
    });
  }
  EXPECT_EQ(threads.size(), 3U);
  EXPECT_EQ(world->poll_descriptor(), -1);
}

TEST(RealWorld, TellsAPlausibleWallTimeAndAClockThatNeverGoesBack) {
  auto world = make_world();
  EXPECT_GT(world->clock().wall_now().unix_nanoseconds, 1'600'000'000'000'000'000);
  TimePoint last = world->clock().now();
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = world->clock().now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(WorkerPool, RunsEveryTaskExactlyOnceInParallel) {
  constexpr std::size_t tasks = 20'000;
  auto world = make_world(with_workers(4));
  std::vector<std::atomic<int>> runs(tasks);
  Counter done;
  for (std::size_t i = 0; i < tasks; ++i) {
    post(world->pool(), [&, i] {
      ++runs[i];
      EXPECT_EQ(Executor::current(), &world->pool());
      done.add();
    });
  }
  ASSERT_TRUE(done.wait_for(tasks));
  EXPECT_TRUE(std::ranges::all_of(runs, [](const auto& count) { return count == 1; }));
  EXPECT_TRUE(world->pool().others_may_block());
}

TEST(WorkerPool, WakesAnotherThreadWhileOneIsBusy) {
  auto world = make_world(with_workers(3));
  // Each task waits until all three run at once: one thread left asleep would hold the others for
  // ever.
  for (int round = 0; round < 200; ++round) {
    Counter running;
    Counter finished;
    for (int i = 0; i < 3; ++i) {
      post(world->pool(), [&] {
        running.add();
        EXPECT_TRUE(running.wait_for(3));
        finished.add();
      });
    }
    ASSERT_TRUE(finished.wait_for(3));
  }
}

TEST(WorkerPool, RunsTasksInTheOrderPostedWithOneWorker) {
  auto world = make_world(with_workers(1));
  std::vector<int> order;
  Counter done;
  for (int i = 0; i < 1000; ++i) {
    post(world->pool(), [&, i] {
      order.push_back(i);
      done.add();
    });
  }
  ASSERT_TRUE(done.wait_for(1000));
  world->stop();
  EXPECT_EQ(order.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(RealWorld, RunsEveryPostedTaskWhenItStopsAlsoThoseThatTasksPost) {
  std::atomic<int> ran{0};
  {
    RuntimeOptions options = with_workers(2);
    options.shards = 2;
    auto world = make_world(options);
    for (int i = 0; i < 1000; ++i) {
      post(world->shard(i % 2), [&, world = world.get()] {
        ++ran;
        post(world->pool(), [&, world] {
          ++ran;
          post(world->shard(1), [&] { ++ran; });
        });
      });
    }
  }
  EXPECT_EQ(ran, 3000);
}

TEST(RealWorld, RunsTasksPostedAfterStopWhenItIsDestroyed) {
  int ran = 0;
  auto world = make_world();
  EXPECT_EQ(world->stop(), 0U);
  post(world->shard(0), [&] { ++ran; });
  post(world->pool(), [&] { ++ran; });
  EXPECT_EQ(ran, 0);
  world.reset();
  EXPECT_EQ(ran, 2);
}

TEST(RealWorld, SaysHowManyTasksItGaveUpWhenOnePostsItselfForEver) {
  auto world = make_external_world();
  struct Forever {
    Executor* executor;
    bool enough = false;
    static void run(void* argument) {
      auto& self = *static_cast<Forever*>(argument);
      if (!self.enough) self.executor->post({&run, &self});
    }
  } forever{&world->shard(0)};
  world->shard(0).post({&Forever::run, &forever});
  const log::Capture captured;
  EXPECT_EQ(world->stop(), 1U);
  EXPECT_EQ(captured.lines().size(), 1U);
  forever.enough = true;
  world.reset();
}

TEST(RealWorld, EndsAttemptsToConnectWhenItStops) {
  RuntimeOptions options;
  options.external_first_shard = true;
  auto world = make_world(options);
  std::vector<std::string> ends;
  auto record = [&](const StreamResult& result) {
    ends.push_back(result.has_value() ? "connected" : error_code_name(result.error().code()));
  };
  const Descriptor silent = testing::raw_listener(Endpoint::tcp("127.0.0.1", 0), 0);
  const SocketAddress address = local_address(silent.get());
  const auto filling = testing::fill_backlog(address);
  const Endpoint where = to_endpoint(address);
  auto waiting = world->network().connect(world->shard(0), where, ConnectOptions(), record);
  world->run_once(Duration::zero());
  auto not_started = world->network().connect(world->shard(0), where, ConnectOptions(), record);
  EXPECT_TRUE(ends.empty());
  world->stop();
  EXPECT_EQ(ends, (std::vector<std::string>(2, "base.shutting_down")));
}

TEST(RealWorld, IsDestroyedWithConnectsTimersTasksAndStreamsUnderWay) {
  auto world = make_world();
  Shard& shard = world->shard(0);
  std::vector<std::unique_ptr<ByteStream>> accepted;
  auto listener = world->network().listen(shard, Endpoint::tcp("127.0.0.1", 0), ListenOptions(),
                                          [&](StreamResult stream) {
                                            if (stream.has_value())
                                              accepted.push_back(std::move(*stream));
                                          });
  ASSERT_TRUE(listener.has_value());
  auto token = std::make_shared<int>(0);
  std::vector<std::unique_ptr<Connecting>> attempts;
  std::vector<std::unique_ptr<Collector>> streams;
  std::atomic<int> ended{0};
  for (int i = 0; i < 50; ++i) {
    attempts.push_back(world->network().connect(
        shard, (*listener)->local(), ConnectOptions(), [&, token](StreamResult stream) {
          ++ended;
          if (!stream.has_value()) return;
          streams.push_back(std::make_unique<Collector>(std::move(*stream)));
        }));
    shard.start_timer(world->clock().now() + std::chrono::hours(1), Task0{[](void*) {}, nullptr});
    post(shard, [token] {});
    post(world->pool(), [token] {});
  }
  world->stop();
  EXPECT_EQ(ended, 50);
  streams.clear();
  attempts.clear();
  accepted.clear();
  listener->reset();
  EXPECT_EQ(token.use_count(), 1);
  world.reset();
}

}  // namespace real_world_test
}  // namespace velo::runtime
