// SPDX-License-Identifier: Apache-2.0
// Scenarios of velo's messenger: many nodes that call each other in every way there is, while
// connections break, nodes crash, networks split and clocks jump. The promises are the contracts
// that hold everywhere; a ledger that knows every send checks them at every step.
// Threading: pure functions; the scenarios are immutable.
#pragma once

#include <velo/sim/scenario.hpp>

#include <memory>
#include <vector>

namespace velo::scenarios {

/// In the order of the list; the last is "million-calls", which takes a minute.
std::vector<std::unique_ptr<sim::Scenario>> messengers();

}  // namespace velo::scenarios
