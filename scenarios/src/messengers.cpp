// SPDX-License-Identifier: Apache-2.0
// The scenarios of the messenger: which fleet, which traffic, which faults.

#include <velo/scenarios/messengers.hpp>

#include "messenger_scenario.hpp"

namespace velo::scenarios {

namespace messengers_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using sim::FaultKind;

static MessengerScenarioOptions named(std::string name, std::string description) {
  MessengerScenarioOptions options;
  options.name = std::move(name);
  options.description = std::move(description);
  options.faults.faults = 0;
  options.faults.span = 200ms;
  options.faults.duration_max = 100ms;
  return options;
}

static MessengerScenarioOptions calm() {
  auto options =
      named("calls-in-calm", "6 nodes, no faults: every call ends exactly as its handler decides.");
  options.fleet.nodes = 6;
  options.fleet.shards = 2;
  options.fleet.sim.turn_cost = 2us;
  options.traffic.burst_max = 4;
  return options;
}

static MessengerScenarioOptions resets() {
  auto options = named("calls-under-resets", "6 nodes whose connections keep being reset.");
  options.fleet.nodes = 6;
  options.faults.faults = 60;
  options.faults.kinds = {FaultKind::reset, FaultKind::reset_one};
  return options;
}

static MessengerScenarioOptions partitions() {
  auto options = named("calls-under-partition",
                       "6 nodes between which networks split, also one way, for up to a minute.");
  options.fleet.nodes = 6;
  options.traffic.gap_max = 80ms;
  options.faults.faults = 12;
  options.faults.span = 40s;
  options.faults.duration_max = 60s;
  options.faults.kinds = {FaultKind::partition, FaultKind::partition_one_way, FaultKind::split,
                          FaultKind::delay};
  return options;
}

static MessengerScenarioOptions restarts() {
  auto options = named("restarts",
                       "5 nodes that crash and return as new instances at their old addresses; "
                       "nothing meant for an earlier run reaches a later one.");
  options.traffic.gap_max = 4ms;
  options.traffic.stale_per_thousand = 150;
  options.faults.faults = 15;
  options.faults.span = 2s;
  options.faults.duration_max = 500ms;
  options.faults.kinds = {FaultKind::crash, FaultKind::crash_wiped, FaultKind::power_off};
  return options;
}

static MessengerScenarioOptions overload() {
  auto options = named("overload",
                       "4 nodes with 24 call slots each, slow readers, pauses, and more traffic "
                       "than they can take; what is refused never runs.");
  options.fleet.nodes = 4;
  options.fleet.calls_max = 24;
  options.fleet.ledger.may_overload = true;
  options.traffic.gap_max = 200us;
  options.traffic.calls = 2'000;
  options.traffic.burst_max = 60;
  options.traffic.big_per_thousand = 20;
  options.traffic.capacity_per_thousand = 500;
  options.traffic.timeout = 5s;
  options.faults.faults = 10;
  options.faults.duration_max = 400ms;
  options.faults.kinds = {FaultKind::slow_reader, FaultKind::pause};
  return options;
}

static MessengerScenarioOptions dialling() {
  auto options = named("simultaneous-dial",
                       "7 nodes that all dial each other at the same instant, again and again.");
  options.fleet.nodes = 7;
  options.traffic.gap_max = 20ms;
  options.traffic.all_at_once_per_thousand = 300;
  options.faults.faults = 20;
  options.faults.kinds = {FaultKind::reset};
  return options;
}

static MessengerScenarioOptions drains() {
  auto options = named("drain-under-load",
                       "5 nodes that shut down in order while they are called, and start anew.");
  options.traffic.gap_max = 3ms;
  options.traffic.drains_per_thousand = 12;
  options.traffic.stale_per_thousand = 60;
  return options;
}

static MessengerScenarioOptions clocks() {
  auto options = named("clocks", "5 nodes whose clocks differ, drift and jump: deadlines hold.");
  options.fleet.sim.clock_offset_max = 1h;
  options.fleet.sim.clock_drift_ppm_max = 500;
  options.traffic.tight_per_thousand = 200;
  options.traffic.gap_max = 5ms;
  options.faults.faults = 20;
  options.faults.span = 3s;
  options.faults.duration_max = 1s;
  options.faults.kinds = {FaultKind::wall_clock_jump, FaultKind::clock_drift};
  return options;
}

static MessengerScenarioOptions payloads() {
  auto options =
      named("big-payloads", "3 nodes that exchange bodies of up to 2 MB, which fill every window.");
  options.fleet.nodes = 3;
  options.traffic.calls = 120;
  options.traffic.big_per_thousand = 250;
  options.traffic.big_bytes_max = 2'000'000;
  options.traffic.gap_max = 20ms;
  options.faults.faults = 4;
  options.faults.span = 1s;
  options.faults.kinds = {FaultKind::reset_one, FaultKind::slow_reader};
  return options;
}

static MessengerScenarioOptions crowd() {
  auto options = named("crowd", "40 nodes that all know each other; a few crash, some split off.");
  options.fleet.nodes = 40;
  options.traffic.calls = 2'000;
  options.traffic.burst_max = 20;
  options.traffic.gap_max = 5ms;
  options.faults.faults = 8;
  options.faults.span = 1s;
  options.faults.duration_max = 1s;
  options.faults.kinds = {FaultKind::crash, FaultKind::split, FaultKind::reset};
  return options;
}

static MessengerScenarioOptions chaos() {
  auto options = named(
      "chaos", "6 nodes on bad links, every fault there is, shutdowns, overload, all at once.");
  options.fleet.nodes = 6;
  options.fleet.shards = 2;
  options.fleet.calls_max = 5'000;
  options.fleet.ledger.may_overload = true;
  options.fleet.sim.clock_offset_max = 1min;
  options.fleet.sim.clock_drift_ppm_max = 100;
  options.fleet.sim.fragment_per_million = 500'000;
  options.fleet.sim.short_write_per_million = 100'000;
  options.fleet.sim.link.reset_per_million_segments = 200;
  options.traffic.gap_max = 20ms;
  options.traffic.burst_max = 6;
  options.traffic.drains_per_thousand = 20;
  options.traffic.capacity_per_thousand = 100;
  options.faults.faults = 25;
  options.faults.span = 10s;
  options.faults.duration_max = 10s;
  return options;
}

static MessengerScenarioOptions paths() {
  auto options = named("path-changes",
                       "4 nodes of one host whose ways to each other, TCP and shared memory, are "
                       "wished for, taken away, given back and killed: nothing is lost, repeated "
                       "or reordered; half of the seeds add resets to that.");
  options.fleet.nodes = 4;
  options.fleet.several_ways = true;
  options.calm_seeds = true;
  options.traffic.calls = 1'500;
  options.traffic.burst_max = 6;
  options.traffic.path_changes_per_thousand = 150;
  options.traffic.timeout = 1min;
  options.faults.faults = 20;
  options.faults.kinds = {FaultKind::reset, FaultKind::reset_one, FaultKind::delay};
  return options;
}

static MessengerScenarioOptions million() {
  auto options =
      named("million-calls", "100 nodes and a million calls under partitions, crashes and resets.");
  options.fleet.nodes = 100;
  options.fleet.events_per_check = 4'096;
  options.traffic.calls = 1'000'000;
  options.traffic.burst_max = 200;
  options.traffic.gap_max = 4ms;
  options.traffic.open_max = 100'000;
  options.traffic.big_per_thousand = 0;
  options.faults.faults = 60;
  options.faults.span = 20s;
  options.faults.duration_max = 5s;
  options.faults.kinds = {FaultKind::partition, FaultKind::partition_one_way, FaultKind::split,
                          FaultKind::crash,     FaultKind::power_off,         FaultKind::reset};
  return options;
}

}  // namespace messengers_detail

std::vector<std::unique_ptr<sim::Scenario>> messengers() {
  using namespace messengers_detail;  // NOLINT(google-build-using-namespace)
  std::vector<std::unique_ptr<sim::Scenario>> list;
  for (auto* make : {&calm, &resets, &partitions, &restarts, &overload, &dialling, &drains, &clocks,
                     &payloads, &crowd, &chaos, &paths, &million}) {
    list.push_back(std::make_unique<MessengerScenario>(make()));
  }
  return list;
}

}  // namespace velo::scenarios
