// SPDX-License-Identifier: Apache-2.0
// The scenario of streams between machines.
// Threading: as sim::Scenario.
#pragma once

#include <velo/sim/scenario.hpp>

#include <memory>

namespace velo::scenarios {

/// Streams of all kinds between machines that crash, over a network that breaks: items arrive in
/// order, none twice; every stream ends once on both sides; what a sender was told is true.
std::unique_ptr<sim::Scenario> streams();

}  // namespace velo::scenarios
