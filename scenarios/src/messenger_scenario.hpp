// SPDX-License-Identifier: Apache-2.0
// A scenario of messengers: a fleet, traffic and faults, as options; the promises are the ledger's.
// Threading: immutable, as every scenario.
#pragma once

#include "traffic.hpp"

#include <velo/sim/scenario.hpp>

#include <memory>
#include <vector>

namespace velo::scenarios {

struct MessengerScenarioOptions {
  std::string name;
  std::string description;
  FleetOptions fleet;
  TrafficOptions traffic;
  sim::FaultPlanOptions faults;  ///< `nodes` is the fleet's
  bool calm_seeds = false;       ///< every other seed has no faults
  MessengerScenarioOptions() = default;
};

class MessengerScenario final : public sim::Scenario {
 public:
  explicit MessengerScenario(MessengerScenarioOptions options);

  std::string_view name() const noexcept override { return options_.name; }
  std::string_view description() const noexcept override { return options_.description; }
  sim::FaultPlan plan(std::uint64_t seed) const override;
  sim::ScenarioOutcome run(std::uint64_t seed, const sim::FaultPlan& plan) const override;

 private:
  MessengerScenarioOptions options_;
};

}  // namespace velo::scenarios
