// SPDX-License-Identifier: Apache-2.0
// Events between real threads: every awaiter ends once, whoever races.

#include <velo/events/event_manager.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace velo::events::event_threads_test {

TEST(EventThreads, ABlockedThreadIsWokenByAnother) {
  const auto world = runtime::RealWorld::create();
  ASSERT_TRUE(world);
  const EventManager events = EventManager::alone(**world);
  for (int round = 0; round < 200; ++round) {
    auto event = events.new_event();
    ASSERT_TRUE(event);
    std::jthread other([&] { EXPECT_TRUE(std::move(*event).trigger()); });
    EXPECT_TRUE(events.awaiter(event->handle()).get());
  }
}

TEST(EventThreads, TriggersPoisonsAndCancellationsRaceForOneEnd) {
  const auto world = runtime::RealWorld::create();
  ASSERT_TRUE(world);
  const EventManager events = EventManager::alone(**world);
  std::atomic<int> completed{0};
  for (int round = 0; round < 300; ++round) {
    const EventHandle handle = std::move(*events.new_event()).into_handle();
    const EventHandle merged = *events.merge_events({handle, handle});
    {
      std::vector<std::jthread> crew;
      crew.emplace_back([&] { completed += events.trigger(handle).get() ? 1 : 0; });
      crew.emplace_back([&] { completed += events.trigger(handle).get() ? 1 : 0; });
      crew.emplace_back([&] {
        auto dropped = events.awaiter(handle);
        auto cancelled = events.awaiter(merged);
        cancelled.cancel();
        const auto ended = std::move(cancelled).get();
        EXPECT_TRUE(ended || ended.error().is(velo::Errc::cancelled));
      });
      crew.emplace_back([&] { EXPECT_TRUE(events.awaiter(merged).get()); });
    }
    EXPECT_TRUE(events.awaiter(handle).get());
  }
  EXPECT_EQ(completed.load(), 300);
  EXPECT_EQ(events.counts().pending, 0u);
}

}  // namespace velo::events::event_threads_test
