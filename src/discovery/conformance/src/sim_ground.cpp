// SPDX-License-Identifier: Apache-2.0
// The simulated World: each participant and each other process is a node of one machine, whose
// files they share.

#include "cut_world.hpp"
#include "ground.hpp"

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

namespace velo::discovery::conformance {
namespace sim_ground_detail {

constexpr const char* medium = "/tmp/discovery";
constexpr Duration patience = std::chrono::minutes(5);

class SimGround;

class SimProcess final : public Process {
 public:
  SimProcess(SimGround& ground, const std::vector<PeerInfo>& peers);
  ~SimProcess() override { kill(); }
  void kill() override;
  void leave() override;

 private:
  SimGround& ground_;
  sim::SimNode& node_;
  std::shared_ptr<PeerDiscovery> discovery_;
  std::vector<std::unique_ptr<Registration>> registrations_;
};

class SimGround final : public Ground {
 public:
  SimGround(const Backend& backend, std::uint64_t seed)
      : backend_(backend), sim_(seed), first_(add_node()) {
    if (backend_.sim_server) server_ = backend_.sim_server(sim_);
  }

  sim::SimNode& add_node() {
    sim::NodeOptions options;
    options.machine = "machine";
    return sim_.add_node("node" + std::to_string(sim_.node_count()), options);
  }
  const Backend& backend() const { return backend_; }
  sim::Simulation& simulation() { return sim_; }

  World& world() override { return first_; }
  std::shared_ptr<PeerDiscovery> join() override {
    if (backend_.outage == Outage::at_participants && !backend_.sim_outage) {
      cut_worlds_.push_back(make_cut_world(add_node(), cut_));
      return backend_.make(*cut_worlds_.back(), medium);
    }
    if (backend_.reach == Reach::processes) return backend_.make(add_node(), medium);
    if (!only_) only_ = backend_.make(first_, medium);
    return only_;
  }
  std::unique_ptr<Process> start_process(const std::vector<PeerInfo>& peers) override {
    return std::make_unique<SimProcess>(*this, peers);
  }
  bool wait_until(const std::function<bool()>& condition) override {
    return sim_.run_until(condition, patience);
  }
  void let_pass(Duration duration) override { sim_.run_for(duration); }
  Lapse lapse() const override { return backend_.lapse; }
  void set_outage(bool out) override {
    if (backend_.sim_outage) return backend_.sim_outage(sim_, out);
    *cut_ = out;
  }
  void end_world() override {
    for (std::size_t i = 0; i < sim_.node_count(); ++i) sim_.crash(sim_.node(i));
  }

 private:
  Backend backend_;
  const Cut cut_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<std::unique_ptr<World>> cut_worlds_;  ///< outlive the simulation
  sim::Simulation sim_;
  sim::SimNode& first_;
  std::shared_ptr<void> server_;
  std::shared_ptr<PeerDiscovery> only_;
};

SimProcess::SimProcess(SimGround& ground, const std::vector<PeerInfo>& peers)
    : ground_(ground), node_(ground.add_node()), discovery_(ground.backend().make(node_, medium)) {
  for (const PeerInfo& peer : peers) {
    auto announced = ground_.wait(discovery_->announce(peer));
    EXPECT_TRUE(announced);
    if (announced) registrations_.push_back(std::move(*announced));
  }
}

void SimProcess::kill() {
  if (discovery_ == nullptr) return;
  ground_.simulation().crash(node_);
  registrations_.clear();
  discovery_.reset();
}

void SimProcess::leave() {
  registrations_.clear();
  discovery_.reset();
}

}  // namespace sim_ground_detail

std::unique_ptr<Ground> make_sim_ground(const Backend& backend, std::uint64_t seed) {
  return std::make_unique<sim_ground_detail::SimGround>(backend, seed);
}

}  // namespace velo::discovery::conformance
