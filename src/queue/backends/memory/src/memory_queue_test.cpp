// SPDX-License-Identifier: Apache-2.0
// The queue in memory, in simulated time and in real time.

#include <velo/queue/backends/memory.hpp>

#include <velo/codec/describe.hpp>
#include <velo/queue/conformance.hpp>
#include <velo/queue/typed.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace velo::queue::memory_queue_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

class SimGround final : public conformance::Ground {
 public:
  ~SimGround() override { sim_.run_until_quiet(1min); }
  std::shared_ptr<WorkQueue> open(const QueueOptions& options) override {
    return make_memory_queue(node_, "test", options);
  }
  bool until(const std::function<bool()>& done) override { return sim_.run_until(done, 5min); }

 private:
  sim::Simulation sim_{1};
  sim::SimNode& node_ = sim_.add_node("node");
};

class RealGround final : public conformance::Ground {
 public:
  std::shared_ptr<WorkQueue> open(const QueueOptions& options) override {
    return make_memory_queue(*world_, "test", options);
  }
  bool until(const std::function<bool()>& done) override {
    const TimePoint deadline = world_->clock().now() + 60s;
    while (!done()) {
      if (world_->clock().now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  std::unique_ptr<runtime::RealWorld> world_ = runtime::RealWorld::create().value();
};

static const bool registered =
    conformance::register_backend("memory_sim", [] { return std::make_unique<SimGround>(); }) &&
    conformance::register_backend("memory_real", [] { return std::make_unique<RealGround>(); });

TEST(MemoryQueue, ItsEndEndsWhoWaits) {
  EXPECT_TRUE(registered);
  sim::Simulation sim(1);
  sim::SimNode& node = sim.add_node("node");
  QueueOptions options;
  options.items_max = 1;
  options.overflow = Overflow::block;
  auto queue = make_memory_queue(node, "test", options);
  ASSERT_TRUE(sim.wait(queue->send(Bytes::copy("a")), 1s));
  auto sender = queue->send(Bytes::copy("b"));
  ASSERT_TRUE(sim.wait(queue->receive(), 1s));
  auto receiver = queue->receive();
  queue = nullptr;
  EXPECT_TRUE(sim.wait(std::move(sender), 1s).error().is(Errc::closed));
  EXPECT_TRUE(sim.wait(std::move(receiver), 1s).error().is(Errc::closed));
  EXPECT_TRUE(sim.run_until_idle(1min)) << "no timer is left";
}

struct Order {
  std::string what;
  int count = 0;
};
VELO_DESCRIBE(Order, what, count);

TEST(TypedQueue, ItemsAreValues) {
  sim::Simulation sim(1);
  sim::SimNode& node = sim.add_node("node");
  QueueOptions options;
  options.items_max = 1;
  options.overflow = Overflow::block;
  const auto queue = make_memory_queue(node, "test", options);
  WorkQueueSender<Order> sender(queue);
  WorkQueueReceiver<Order> receiver(queue);
  EXPECT_TRUE(sim.wait(receiver.try_next(), 1s)->empty());
  ASSERT_TRUE(sim.wait(sender.enqueue(Order{"nails", 3}), 1s));
  EXPECT_TRUE(
      sim.wait(sender.try_enqueue(Order{"more", 1}), 1s).error().is(velo::Errc::deadline_exceeded));
  const auto batch = sim.wait(receiver.next(), 1s).value();
  ASSERT_EQ(batch.size(), 1u);
  const auto order = WorkQueueReceiver<Order>::decode(batch[0]);
  ASSERT_TRUE(order) << order.error().to_string();
  EXPECT_EQ(order->what, "nails");
  EXPECT_EQ(order->count, 3);
  EXPECT_TRUE(sim.wait(receiver.ack(batch[0].lease), 1s));
  ASSERT_TRUE(sim.wait(queue->send(Bytes::copy("no order")), 1s));
  EXPECT_FALSE(WorkQueueReceiver<Order>::decode(sim.wait(receiver.next(), 1s)->at(0)));
}

TEST(MemoryQueue, WhoIsCancelledIsGone) {
  sim::Simulation sim(1);
  sim::SimNode& node = sim.add_node("node");
  const auto queue = make_memory_queue(node, "test");
  auto receiver = queue->receive();
  receiver.cancel();
  EXPECT_TRUE(sim.wait(std::move(receiver), 1s).error().is(velo::Errc::cancelled));
  ASSERT_TRUE(sim.wait(queue->send(Bytes::copy("a")), 1s));
  EXPECT_EQ(sim.wait(queue->state(), 1s)->ready, 1u);
}

TEST(MemoryQueue, ThreadsSendAndReceiveAtOnce) {
  const auto world = runtime::RealWorld::create().value();
  QueueOptions options;
  options.items_max = 16;
  options.overflow = Overflow::block;
  const auto queue = make_memory_queue(*world, "test", options);
  constexpr int each = 500;
  std::atomic<int> handled{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          const auto sent = queue->send(Bytes::copy("x")).get();
          EXPECT_TRUE(sent) << sent.error().to_string();
        }
      });
      threads.emplace_back([&] {
        while (handled.load() < 4 * each) {
          ReceiveOptions receive;
          receive.batch = 7;
          receive.wait = 20ms;
          auto batch = queue->receive(receive).get();
          if (!batch) return ADD_FAILURE() << batch.error().to_string();
          for (const Delivery& delivery : *batch) {
            if (queue->ack(delivery.lease).get()) ++handled;
          }
        }
      });
    }
  }
  EXPECT_EQ(handled.load(), 4 * each);
  const QueueState state = queue->state().get().value();
  EXPECT_EQ(state.acked, static_cast<std::uint64_t>(4 * each));
  EXPECT_EQ(state.ready + state.leased, 0u);
}

}  // namespace velo::queue::memory_queue_test
