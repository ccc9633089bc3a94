// SPDX-License-Identifier: Apache-2.0
// One run: traffic under faults, then recovery, quiet, and the end of all messengers.

#include "messenger_scenario.hpp"

#include <velo/base/log.hpp>

#include <utility>

namespace velo::scenarios {

namespace messenger_scenario_detail {

static void add_figures(Fleet& fleet, sim::ScenarioOutcome& outcome) {
  const Ledger& ledger = fleet.ledger();
  auto& figures = outcome.figures;
  figures["sends"] = ledger.count();
  figures["handled at the receiver"] = ledger.handled();
  figures["lost with their node"] = ledger.lost_with_their_node();
  for (std::size_t i = 0; i < fate_count; ++i) {
    const auto fate = static_cast<Fate>(i);
    figures["ended " + std::string(fate_name(fate))] = ledger.ends(fate);
  }
  const sim::SimStats stats = fleet.sim().stats();
  figures["connections"] = stats.connections_opened;
  figures["resets"] = stats.resets;
  figures["crashes"] = stats.crashes;
  figures["shutdowns"] = fleet.drains();
  if (fleet.media().empty()) return;
  const PathBooks& paths = fleet.paths();
  figures["path moves"] = paths.upgrades;
  figures["path failovers"] = paths.failovers;
  figures["sent again by another path"] = paths.resumed;
  figures["known to have arrived by a dead path"] = paths.deduplicated;
}

}  // namespace messenger_scenario_detail

MessengerScenario::MessengerScenario(MessengerScenarioOptions options)
    : options_(std::move(options)) {
  options_.faults.nodes = options_.fleet.nodes;
}

sim::FaultPlan MessengerScenario::plan(std::uint64_t seed) const {
  const bool none = options_.faults.faults == 0 || (options_.calm_seeds && seed % 2 == 0);
  return none ? sim::FaultPlan() : sim::random_fault_plan(seed, options_.faults);
}

sim::ScenarioOutcome MessengerScenario::run(std::uint64_t seed, const sim::FaultPlan& plan) const {
  sim::ScenarioOutcome outcome;
  Fleet fleet(seed, options_.fleet, plan);
  Traffic traffic(fleet, options_.traffic);
  if (!fleet.ledger().failed() && traffic.drive()) {
    fleet.heal();
    if (!fleet.ledger().failed()) fleet.prove_reachable();
    fleet.check_quiet();
    fleet.close();
  }
  outcome.failure = fleet.ledger().failure();
  outcome.trace_hash = fleet.sim().trace_hash();
  outcome.events = fleet.sim().event_count();
  outcome.virtual_time = fleet.sim().now().since_origin();
  messenger_scenario_detail::add_figures(fleet, outcome);
  return outcome;
}

}  // namespace velo::scenarios
