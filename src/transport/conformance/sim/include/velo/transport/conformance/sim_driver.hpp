// SPDX-License-Identifier: Apache-2.0
// The simulated Driver: two nodes of one machine, all latencies, orders and packet boundaries from
// the seed.
// Threading: as Driver says.
#pragma once

#include <velo/transport/conformance/driver.hpp>

#include <cstdint>
#include <memory>

namespace velo::transport::conformance {

std::unique_ptr<Driver> make_sim_driver(std::uint64_t seed);

}  // namespace velo::transport::conformance
