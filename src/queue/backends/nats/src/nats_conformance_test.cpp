// SPDX-License-Identifier: Apache-2.0
// Queues in the machine's own NATS server pass the suite. Skipped where there is none.

#include <velo/queue/backends/nats.hpp>
#include <velo/queue/conformance.hpp>
#include <velo/queue/testing/real_nats.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

namespace velo::queue::nats_conformance_test {

class NatsGround final : public conformance::Ground {
 public:
  std::shared_ptr<WorkQueue> open(const QueueOptions& options) override {
    NatsOptions nats;
    nats.servers = {server_.address()};
    auto made = make_nats_queue(*world_, "queue" + std::to_string(next_++), options, nats);
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? std::move(*made) : nullptr;
  }
  bool until(const std::function<bool()>& done) override {
    const TimePoint deadline = world_->clock().now() + std::chrono::seconds(60);
    while (!done()) {
      if (world_->clock().now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  testing::RealNats server_;
  std::unique_ptr<runtime::RealWorld> world_ = runtime::RealWorld::create().value();
  int next_ = 0;
};

static const bool registered = conformance::register_backend("nats_real", [] {
  return testing::RealNats::missing().empty() ? std::make_unique<NatsGround>() : nullptr;
});

TEST(NatsConformance, IsRegistered) { EXPECT_TRUE(registered); }

}  // namespace velo::queue::nats_conformance_test
