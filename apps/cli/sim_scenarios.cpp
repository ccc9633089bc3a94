// SPDX-License-Identifier: Apache-2.0
// What is shipped.

#include "sim_scenarios.hpp"

#include <velo/scenarios/scenarios.hpp>

namespace velo::cli {

std::vector<std::unique_ptr<sim::Scenario>> sim_scenarios() { return scenarios::all(); }

}  // namespace velo::cli
