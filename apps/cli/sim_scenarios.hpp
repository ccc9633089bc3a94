// SPDX-License-Identifier: Apache-2.0
// The scenarios that this program offers. A test links a definition of its own, with planted
// defects.
// Threading: a pure function.
#pragma once

#include <velo/sim/scenario.hpp>

#include <memory>
#include <vector>

namespace velo::cli {

std::vector<std::unique_ptr<sim::Scenario>> sim_scenarios();

}  // namespace velo::cli
