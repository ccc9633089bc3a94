// SPDX-License-Identifier: Apache-2.0
// The conformance suite of discovery: scenarios that every backend passes, over the real World and
// over the simulated one. For test programs only. A backend's test file registers itself:
//   static const bool registered = velo::discovery::conformance::register_backend({"name", make,
//   shares});
// Threading: before main() only.
#pragma once

#include <velo/base/world.hpp>
#include <velo/discovery/discovery.hpp>

#include <functional>
#include <memory>
#include <string>

namespace velo::sim {
class Simulation;
}

namespace velo::discovery::conformance {

/// Makes a participant of the cluster that `medium` names: a folder of its own, which is empty or
/// missing at first.
using Make = std::function<std::shared_ptr<PeerDiscovery>(World&, const std::string& medium)>;

enum class Reach : std::uint8_t {
  object,  ///< only users of one object find each other, so all participants of a scenario are that
           ///< one
  processes,  ///< participants may be processes of one machine
};

/// How soon others learn that a process was killed.
enum class Lapse : std::uint8_t {
  at_once,  ///< a lookup that starts afterwards does not find it
  in_time,  ///< when its announcement runs out, which takes a few seconds at most here
};

/// How its medium gets out of reach for a while, and comes back as it was.
enum class Outage : std::uint8_t {
  never,            ///< the medium is no more than memory of this process
  at_participants,  ///< what they send, and are sent, is lost; their files cannot be reached
  of_server,        ///< real_outage and sim_outage do it
};

struct Backend {
  std::string name;
  Make make;
  Reach reach;
  Lapse lapse = Lapse::at_once;
  /// What a simulated medium needs besides its participants: makes it in the simulation before
  /// anybody joins, and returns what owns it.
  std::function<std::shared_ptr<void>(sim::Simulation&)> sim_server;
  Outage outage = Outage::never;
  /// Begin it (true) and end it; sim_outage may be given for others, too, and is preferred then.
  std::function<void(bool out)> real_outage;
  std::function<void(sim::Simulation&, bool out)> sim_outage;
  /// Says why the real medium cannot be had on this machine (its tests are skipped then); empty if
  /// it can.
  std::function<std::string()> missing;

  Backend(std::string n, Make m, Reach r = Reach::processes)
      : name(std::move(n)), make(std::move(m)), reach(r) {}
};

/// Adds the tests DiscoveryConformance_<name>_real.<Scenario> and
/// DiscoveryConformance_<name>_sim.<Scenario>. The test program also becomes the program of the
/// processes that scenarios start. Returns true.
bool register_backend(const Backend& backend);

}  // namespace velo::discovery::conformance
