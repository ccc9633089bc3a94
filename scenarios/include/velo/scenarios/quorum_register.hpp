// SPDX-License-Identifier: Apache-2.0
// A register kept by a majority of replicas: clients ask a majority before they write, and write
// back what they read. An example of a user's own service in simulation; velo's messenger is not
// in it.
// Threading: a pure function; the scenario is immutable.
#pragma once

#include <velo/sim/scenario.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace velo::scenarios {

struct QuorumRegisterOptions {
  std::string name = "quorum-register";
  std::uint32_t replicas = 3;
  std::uint32_t clients = 2;  ///< at most 15
  /// False plants a defect, for tests: a replica that was down has forgotten what it had confirmed.
  bool replicas_use_their_disk = true;
  QuorumRegisterOptions() = default;
};

std::unique_ptr<sim::Scenario> quorum_register(
    const QuorumRegisterOptions& options = QuorumRegisterOptions());

}  // namespace velo::scenarios
