// SPDX-License-Identifier: Apache-2.0
// Two simulated nodes of one machine.

#include <velo/transport/conformance/sim_driver.hpp>

#include <velo/sim/simulation.hpp>

#include <array>
#include <chrono>

namespace velo::transport::conformance {
namespace sim_driver_detail {

class SimDriver final : public Driver {
 public:
  explicit SimDriver(std::uint64_t seed) : simulation_(seed, options()) {
    sim::NodeOptions node;
    node.machine = "host";
    nodes_ = {&simulation_.add_node("server", node), &simulation_.add_node("client", node)};
  }

  World& world(std::size_t side) override { return *nodes_.at(side); }

  bool wait(const std::function<bool()>& condition) override {
    return simulation_.run_until(
        [&] {
          const std::lock_guard lock(mutex_);
          return condition();
        },
        std::chrono::seconds(30));
  }

  void run_on(Shard& shard, const std::function<void()>& task) override {
    if (shard.on_this_thread()) return task();
    bool ran = false;
    post(shard, [&] {
      task();
      ran = true;
    });
    simulation_.run_until([&] { return ran; }, std::chrono::seconds(30));
  }

  void concurrently(std::size_t senders, std::size_t count,
                    const std::function<void(std::size_t, std::size_t)>& step) override {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t sender = 0; sender < senders; ++sender) {
        // Sometimes from a shard, sometimes from outside, with events between.
        if (simulation_.random().below(4) == 0) {
          run_on(nodes_[sender % 2]->shard(0), [&] { step(sender, i); });
        } else {
          step(sender, i);
        }
      }
    }
  }

  bool simulated() const override { return true; }

 private:
  static sim::SimOptions options() {
    sim::SimOptions result;
    result.fragment_per_million = 200'000;
    result.short_write_per_million = 50'000;
    return result;
  }

  sim::Simulation simulation_;
  std::array<sim::SimNode*, 2> nodes_{};
};

}  // namespace sim_driver_detail

std::unique_ptr<Driver> make_sim_driver(std::uint64_t seed) {
  return std::make_unique<sim_driver_detail::SimDriver>(seed);
}

}  // namespace velo::transport::conformance
