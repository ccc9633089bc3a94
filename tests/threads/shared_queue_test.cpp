// SPDX-License-Identifier: Apache-2.0
// Eight threads that send to one queue and work it off, give items back, and take dead letters out.

#include "crew.hpp"

#include <velo/base/dead_letter.hpp>
#include <velo/queue/backends/memory.hpp>
#include <velo/queue/backends/messenger.hpp>
#include <velo/queue/metrics.hpp>
#include <velo/queue/typed.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

namespace velo::threads_test {
namespace shared_queue_test {

struct Work {
  int thread = 0;
  int round = 0;
};
VELO_DESCRIBE(Work, thread, round);

TEST(SharedQueue, EveryItemIsWorkedOffOrADeadLetter) {
  constexpr int rounds = 100;
  const auto world = runtime::RealWorld::create().value();
  const auto letters = std::make_shared<MemoryDeadLetters>();
  queue::QueueOptions options;
  // Each round takes one item out, and some come twice: not all are gone in the end.
  options.items_max = crew_size * rounds;
  options.overflow = queue::Overflow::block;
  options.deliveries_max = 2;
  options.dead_letters = letters;
  const auto queue = queue::make_memory_queue(*world, "shared", options);
  const auto messenger = Messenger::builder(*world).build().value();
  const auto host = queue::QueueHost::create(*messenger).value();
  ASSERT_TRUE(host->serve("shared", queue));
  metrics::Registry registry;
  const auto published = queue::publish_metrics(registry, "shared", queue).value();
  // Half of the calls go by the messenger.
  queue::WorkQueueSender<Work> sender(
      queue::make_remote_queue(*messenger, messenger->instance_id(), "shared"));
  queue::WorkQueueReceiver<Work> receiver(queue);
  std::atomic<int> over{0};
  in_eight_threads([&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      ASSERT_TRUE(sender.enqueue(Work{thread, round}).get());
      auto batch = receiver.next().get();
      ASSERT_TRUE(batch) << batch.error().to_string();
      for (const queue::Delivery& delivery : *batch) {
        const auto work = receiver.decode(delivery);
        ASSERT_TRUE(work) << work.error().to_string();
        // Each tenth is given back until it is dead.
        if (work->round % 10 == 0) {
          EXPECT_TRUE(receiver.nack(delivery.lease).get());
        } else if (receiver.ack(delivery.lease).get()) {
          ++over;
        }
      }
      over += static_cast<int>(letters->drain().size());
      static_cast<void>(letters->size());
      if (round % 10 == 0) static_cast<void>(registry.snapshot());
    }
  });
  for (int left = crew_size * rounds; left > 0 && over.load() < crew_size * rounds; --left) {
    auto batch = receiver.try_next(16).get();
    ASSERT_TRUE(batch) << batch.error().to_string();
    for (const queue::Delivery& delivery : *batch) {
      if (receiver.decode(delivery)->round % 10 == 0) {
        EXPECT_TRUE(receiver.nack(delivery.lease).get());
      } else if (receiver.ack(delivery.lease).get()) {
        ++over;
      }
    }
    over += static_cast<int>(letters->drain().size());
  }
  const queue::QueueState state = queue->state().get().value();
  EXPECT_EQ(state.queued, static_cast<std::uint64_t>(crew_size) * rounds);
  EXPECT_EQ(state.acked + state.dead, state.queued);
}

}  // namespace shared_queue_test
}  // namespace velo::threads_test
