// SPDX-License-Identifier: Apache-2.0
// Two real Worlds, with one I/O thread each.

#include <velo/runtime/real_world.hpp>
#include <velo/transport/conformance/driver.hpp>
#include <velo/transport/on_shard.hpp>

#include <array>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace velo::transport::conformance {
namespace real_driver_detail {

class RealDriver final : public Driver {
 public:
  RealDriver() {
    for (auto& world : worlds_) world = std::move(runtime::RealWorld::create()).value();
  }

  World& world(std::size_t side) override { return *worlds_.at(side); }

  bool wait(const std::function<bool()>& condition) override {
    // Not everything that a condition asks is announced by notify(), so it is asked now and then.
    constexpr int asked_max = 6000;
    std::unique_lock lock(mutex_);
    for (int i = 0; i < asked_max; ++i) {
      if (condition()) return true;
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return condition();
  }

  void run_on(Shard& shard, const std::function<void()>& task) override {
    run_on_shard(shard, task);
  }

  void concurrently(std::size_t senders, std::size_t count,
                    const std::function<void(std::size_t, std::size_t)>& step) override {
    std::vector<std::thread> threads;
    threads.reserve(senders);
    for (std::size_t sender = 0; sender < senders; ++sender) {
      threads.emplace_back([&step, sender, count] {
        for (std::size_t i = 0; i < count; ++i) step(sender, i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  bool simulated() const override { return false; }

 private:
  std::array<std::unique_ptr<runtime::RealWorld>, 2> worlds_;
};

}  // namespace real_driver_detail

std::unique_ptr<Driver> make_real_driver() {
  return std::make_unique<real_driver_detail::RealDriver>();
}

}  // namespace velo::transport::conformance
