// SPDX-License-Identifier: Apache-2.0
// Eight threads that make, await, complete and merge the events of one manager.

#include "crew.hpp"

#include <velo/events/attach.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace velo::threads_test {
namespace shared_events_test {

TEST(SharedEvents, AManagerServesEverybody) {
  const auto world = runtime::RealWorld::create().value();
  const EventManager events = EventManager::alone(*world);
  std::vector<EventHandle> barrier;
  for (int i = 0; i < crew_size; ++i) {
    barrier.push_back(std::move(*events.new_event()).into_handle());
  }
  const EventHandle all = *events.merge_events(barrier);
  std::atomic<int> ended{0};
  in_eight_threads([&](int thread) {
    for (int round = 0; round < 200; ++round) {
      auto own = events.new_event();
      ASSERT_TRUE(own);
      auto awaiter = own->awaiter();
      const EventHandle handle = own->handle();
      ASSERT_TRUE(events.annotate(handle, EventNote()));
      if (round % 2 == 0) {
        ASSERT_TRUE(std::move(*own).trigger());
      } else {
        ASSERT_TRUE(events.poison(handle, "odd").get());
      }
      EXPECT_EQ(std::move(awaiter).get().has_value(), round % 2 == 0);
      EXPECT_EQ(*events.poll(handle).get(),
                round % 2 == 0 ? EventStatus::ready : EventStatus::poisoned);
    }
    ASSERT_TRUE(events.trigger(barrier[static_cast<std::size_t>(thread)]).get());
    EXPECT_TRUE(events.awaiter(all).get());
    ++ended;
  });
  EXPECT_EQ(ended.load(), crew_size);
  EXPECT_EQ(events.counts().pending, 0u);
}

static std::unique_ptr<Messenger> make_messenger(World& world) {
  auto builder = Messenger::builder(world);
  builder.add_transport(transport::make_tcp());
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

TEST(SharedEvents, TwoMachinesServeEverybody) {
  const auto world = runtime::RealWorld::create().value();
  const auto one = make_messenger(*world);
  const auto two = make_messenger(*world);
  ASSERT_TRUE(one->register_peer(two->peer_info()));
  ASSERT_TRUE(two->register_peer(one->peer_info()));
  const EventManager theirs = attach_events(*two).value();
  std::vector<Result<EventManager>> attached(crew_size, velo::make_error(velo::Errc::internal));
  in_eight_threads(
      [&](int thread) { attached[static_cast<std::size_t>(thread)] = attach_events(*one); });
  const auto made = [](const Result<EventManager>& each) { return each.has_value(); };
  const auto first = std::ranges::find_if(attached, made);
  ASSERT_NE(first, attached.end());
  EXPECT_EQ(std::ranges::count_if(attached, made), 1);
  const EventManager ours = **first;
  in_eight_threads([&](int) {
    for (int round = 0; round < 50; ++round) {
      const EventHandle event = std::move(*ours.new_event()).into_handle();
      auto awaiter = theirs.awaiter(event);
      const auto dropped = theirs.awaiter(event);
      EXPECT_TRUE((round % 2 == 0 ? ours : theirs).trigger(event).get());
      EXPECT_TRUE(std::move(awaiter).get());
      EXPECT_EQ(*theirs.poll(event).get(), EventStatus::ready);
    }
  });
  EXPECT_EQ(ours.counts().pending, 0u);
}

}  // namespace shared_events_test
}  // namespace velo::threads_test
