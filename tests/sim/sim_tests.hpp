// SPDX-License-Identifier: Apache-2.0
// What the tests of scenarios share: the list, by name, and silence about unencrypted listeners.
// Threading: one thread.
#pragma once

#include "quiet.hpp"

#include <velo/scenarios/scenarios.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::sim_tests {

/// Too large to be one of many seeds; it has a test of its own.
constexpr std::string_view largest = "million-calls";
/// Large enough that tests which need no many runs of it make few.
inline bool is_large(std::string_view name) { return name == "events"; }

inline std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& scenario : scenarios::all()) {
    if (scenario->name() != largest) names.emplace_back(scenario->name());
  }
  return names;
}

inline std::unique_ptr<sim::Scenario> find(std::string_view name) {
  for (auto& scenario : scenarios::all()) {
    if (scenario->name() == name) return std::move(scenario);
  }
  throw std::invalid_argument("no scenario " + std::string(name));
}

}  // namespace velo::sim_tests
