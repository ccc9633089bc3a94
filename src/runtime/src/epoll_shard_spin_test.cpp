// SPDX-License-Identifier: Apache-2.0
// What a spinning shard looks at by itself.

#include <velo/base/limits.hpp>
#include <velo/base/world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "testing.hpp"

namespace velo::runtime {
namespace epoll_shard_spin_test {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::Counter;
using testing::make_world;
using testing::run_on;

static std::unique_ptr<RealWorld> spinning_world(Duration spin) {
  RuntimeOptions options;
  options.spin = spin;
  options.workers = 1;
  return make_world(options);
}

/// What another process would do: raises a number, and wakes the shard if that sleeps.
struct Mailbox final : PollSource {
  explicit Mailbox(Shard& s) : shard(s) {}
  bool has_come() const noexcept override { return raised.load() != taken.load(); }
  void take() override {
    taken.store(raised.load());
    if (on_taken) on_taken();
  }
  bool before_sleep() noexcept override {
    asleep.store(true);
    if (!has_come()) return true;
    asleep.store(false);
    return false;
  }
  void after_sleep() noexcept override { asleep.store(false); }

  void raise() {
    raised.fetch_add(1);
    if (!asleep.exchange(false)) return;
    ++rings;
    post(shard, [] {});
  }

  Shard& shard;
  std::atomic<int> raised{0};
  std::atomic<int> taken{0};
  std::atomic<int> rings{0};
  std::atomic<bool> asleep{false};
  std::function<void()> on_taken;
};

TEST(EpollShardSpin, AShardThatDoesNotSpinLooksAtNothing) {
  auto world = spinning_world(Duration::zero());
  Mailbox box(world->shard(0));
  run_on(world->shard(0), [&] { EXPECT_FALSE(world->shard(0).add_poll_source(box)); });
}

TEST(EpollShardSpin, LooksAtASourceWithoutBeingWoken) {
  auto world = spinning_world(std::chrono::hours(1));
  Mailbox box(world->shard(0));
  Counter taken;
  box.on_taken = [&] { taken.add(); };
  run_on(world->shard(0), [&] { ASSERT_TRUE(world->shard(0).add_poll_source(box)); });
  for (std::size_t i = 1; i <= 100; ++i) {
    box.raise();
    ASSERT_TRUE(taken.wait_for(i));
  }
  EXPECT_EQ(box.rings.load(), 0);
  run_on(world->shard(0), [&] { world->shard(0).remove_poll_source(box); });
  box.raise();
  run_on(world->shard(0), [] {});
  run_on(world->shard(0), [] {});
  EXPECT_EQ(taken.value(), 100U);
}

TEST(EpollShardSpin, NoWakeIsLostBetweenLookingAndSleeping) {
  // So short that the shard is nearly always about to sleep, or has just done so.
  auto world = spinning_world(microseconds(1));
  Mailbox box(world->shard(0));
  Counter taken;
  box.on_taken = [&] { taken.add(); };
  run_on(world->shard(0), [&] { ASSERT_TRUE(world->shard(0).add_poll_source(box)); });
  for (std::size_t i = 1; i <= 20'000; ++i) {
    box.raise();
    ASSERT_TRUE(taken.wait_for(i)) << "lost at " << i;
  }
  EXPECT_GT(box.rings.load(), 0) << "it never slept";
  run_on(world->shard(0), [&] { world->shard(0).remove_poll_source(box); });
}

TEST(EpollShardSpin, PostsTimersAndEventsHaveTheirTurnWhileASourceKeepsTheShardBusy) {
  auto world = spinning_world(std::chrono::hours(1));
  Shard& shard = world->shard(0);
  Mailbox box(shard);
  box.on_taken = [&] { box.raised.fetch_add(1); };  // there is always more
  run_on(shard, [&] {
    ASSERT_TRUE(shard.add_poll_source(box));
    box.raised.fetch_add(1);
  });
  run_on(shard, [] {});
  Counter timer;
  shard.start_timer(world->clock().now() + milliseconds(1),
                    Task0{[](void* counter) { static_cast<Counter*>(counter)->add(); }, &timer});
  EXPECT_TRUE(timer.wait_for(1));
  run_on(shard, [&] { shard.remove_poll_source(box); });
}

TEST(EpollShardSpin, SourcesMayGoAndComeWhileOneIsTaken) {
  auto world = spinning_world(std::chrono::hours(1));
  Shard& shard = world->shard(0);
  std::vector<std::unique_ptr<Mailbox>> boxes;
  for (int i = 0; i < 4; ++i) boxes.push_back(std::make_unique<Mailbox>(shard));
  Counter last;
  boxes[0]->on_taken = [&] {
    shard.remove_poll_source(*boxes[0]);
    shard.remove_poll_source(*boxes[1]);
    ASSERT_TRUE(shard.add_poll_source(*boxes[3]));
  };
  boxes[1]->on_taken = [] { FAIL() << "it was removed"; };
  boxes[3]->on_taken = [&] { last.add(); };
  run_on(shard, [&] {
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(shard.add_poll_source(*boxes[static_cast<std::size_t>(i)]));
    boxes[0]->raised.fetch_add(1);
    boxes[1]->raised.fetch_add(1);
    boxes[3]->raised.fetch_add(1);
  });
  EXPECT_TRUE(last.wait_for(1));
  run_on(shard, [&] {
    for (const auto& box : boxes) shard.remove_poll_source(*box);
  });
}

TEST(EpollShardSpin, LooksAtNoMoreThanItsLimit) {
  auto world = spinning_world(milliseconds(1));
  Shard& shard = world->shard(0);
  std::vector<std::unique_ptr<Mailbox>> boxes;
  for (std::size_t i = 0; i <= limits::poll_sources_max; ++i) {
    boxes.push_back(std::make_unique<Mailbox>(shard));
  }
  run_on(shard, [&] {
    for (std::size_t i = 0; i < limits::poll_sources_max; ++i) {
      ASSERT_TRUE(shard.add_poll_source(*boxes[i]));
    }
    EXPECT_FALSE(shard.add_poll_source(*boxes.back()));
    for (const auto& box : boxes) shard.remove_poll_source(*box);
    EXPECT_TRUE(shard.add_poll_source(*boxes.back()));
    shard.remove_poll_source(*boxes.back());
  });
}

}  // namespace epoll_shard_spin_test
}  // namespace velo::runtime
