// SPDX-License-Identifier: Apache-2.0
// The scenario of events between machines.
// Threading: any thread.
#pragma once

#include <velo/sim/scenario.hpp>

#include <memory>

namespace velo::scenarios {

std::unique_ptr<sim::Scenario> events();

}  // namespace velo::scenarios
