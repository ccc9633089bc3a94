// SPDX-License-Identifier: Apache-2.0
// The list of scenarios that `velo sim` offers. Not the running of them (see velo/sim/seeds.hpp).
// Threading: a pure function; scenarios are immutable.
#pragma once

#include <velo/sim/scenario.hpp>

#include <memory>
#include <vector>

namespace velo::scenarios {

/// Each once, in the order in which they are listed; the caller owns them. Names are unique.
std::vector<std::unique_ptr<sim::Scenario>> all();

}  // namespace velo::scenarios
