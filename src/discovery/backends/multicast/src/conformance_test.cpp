// SPDX-License-Identifier: Apache-2.0
// The multicast backend passes the conformance suite: over this host's loopback interface, and in
// simulation. Times are short, since scenarios wait for the end of what is not repeated.

#include <velo/discovery/backends/multicast.hpp>

#include <velo/crypto/node_id.hpp>
#include <velo/discovery/conformance.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>

namespace velo::discovery::conformance_test {

/// All participants of a medium are one node, and have its key.
static crypto::PrivateKey key_of(const std::string& medium) {
  const NodeId digest = NodeId::of(as_bytes(medium));
  return *crypto::PrivateKey::ed25519_from_seed(std::as_bytes(std::span(digest.bytes())));
}

static MulticastOptions options_for(const std::string& medium) {
  MulticastOptions options;
  options.interval_min = std::chrono::milliseconds(100);
  options.interval_max = std::chrono::milliseconds(400);
  options.answer_spread = std::chrono::milliseconds(20);
  options.lookup_time = std::chrono::milliseconds(80);
  // Enough for processes that share few processors to be heard.
  options.list_time = std::chrono::milliseconds(300);
  options.interfaces.emplace_back("127.0.0.1");
  options.port = 28'676;
  options.key = key_of(medium);
  return options;
}

static std::shared_ptr<PeerDiscovery> make(World& world, const std::string& medium) {
  auto made = MulticastDiscovery::create(world, medium, options_for(medium));
  return made ? std::move(*made) : nullptr;
}

static std::string missing() {
  auto world = runtime::RealWorld::create();
  if (!world) return world.error().to_string();
  auto made = MulticastDiscovery::create(**world, "probe", options_for("probe"));
  return made ? "" : "no multicast on the loopback interface: " + made.error().to_string();
}

static const bool registered = [] {
  conformance::Backend backend("multicast", &make);
  backend.lapse = conformance::Lapse::in_time;
  backend.missing = &missing;
  backend.outage = conformance::Outage::at_participants;
  backend.sim_outage = [](sim::Simulation& sim, bool out) {
    if (!out) return sim.heal();
    for (std::size_t i = 0; i < sim.node_count(); ++i) sim.isolate(sim.node(i));
  };
  return conformance::register_backend(backend);
}();

}  // namespace velo::discovery::conformance_test
