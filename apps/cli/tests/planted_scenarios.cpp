// SPDX-License-Identifier: Apache-2.0
// Scenarios that break their promises on purpose, so that tests see what `velo sim run` then does.

#include "sim_scenarios.hpp"

#include <velo/scenarios/quorum_register.hpp>

#include <atomic>

namespace velo::cli {

namespace planted_scenarios_detail {

/// Fails, and differently each time: what a scenario does that reads a real clock.
class Moody final : public sim::Scenario {
 public:
  std::string_view name() const noexcept override { return "planted-moody"; }
  std::string_view description() const noexcept override { return "not deterministic, on purpose"; }
  sim::FaultPlan plan(std::uint64_t) const override { return {}; }
  sim::ScenarioOutcome run(std::uint64_t, const sim::FaultPlan&) const override {
    sim::ScenarioOutcome outcome;
    outcome.failure = "a mood";
    outcome.trace_hash = ++runs_;
    return outcome;
  }

 private:
  mutable std::atomic<std::uint64_t> runs_{0};
};

}  // namespace planted_scenarios_detail

std::vector<std::unique_ptr<sim::Scenario>> sim_scenarios() {
  scenarios::QuorumRegisterOptions options;
  options.name = "planted-forgetting";
  options.replicas = 1;
  options.replicas_use_their_disk = false;
  std::vector<std::unique_ptr<sim::Scenario>> list;
  list.push_back(scenarios::quorum_register(options));
  list.push_back(std::make_unique<planted_scenarios_detail::Moody>());
  return list;
}

}  // namespace velo::cli
