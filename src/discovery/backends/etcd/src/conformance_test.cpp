// SPDX-License-Identifier: Apache-2.0
// The etcd backend passes the conformance suite: with the real server in the real World, and with
// one of our own in the simulated one.

#include <velo/discovery/backends/etcd.hpp>

#include <velo/discovery/conformance.hpp>
#include <velo/discovery/testing/fake_etcd.hpp>
#include <velo/discovery/testing/real_etcd.hpp>
#include <velo/sim/simulation.hpp>

#include <cstdlib>
#include <filesystem>

namespace velo::discovery::conformance_test {

constexpr const char* port_variable = "VELO_CONFORMANCE_ETCD_PORT";

static testing::RealEtcd& own_server() {
  static testing::RealEtcd server;
  return server;
}

/// Of the process that runs the tests; the processes that a test starts find it by its port.
static Endpoint real_server() {
  if (std::getenv(port_variable) == nullptr) {
    ::setenv(port_variable, std::to_string(own_server().endpoint().port).c_str(), 1);
  }
  return Endpoint::tcp("127.0.0.1",
                       static_cast<std::uint16_t>(std::atoi(std::getenv(port_variable))));
}

/// Of the present simulation.
static Endpoint& sim_server() {
  static Endpoint endpoint;
  return endpoint;
}

static sim::SimNode*& sim_server_node() {
  static sim::SimNode* node = nullptr;
  return node;
}

static std::shared_ptr<PeerDiscovery> make(World& world, const std::string& medium) {
  EtcdOptions options;
  options.lease_ttl = std::chrono::seconds(3);
  if (dynamic_cast<sim::SimNode*>(&world) != nullptr) {
    options.endpoints = {sim_server()};
    options.connect = [&world](Shard& shard, const Endpoint& remote, const ConnectOptions& how,
                               StreamHandler done) {
      return world.network().connect(shard, remote, how, std::move(done));
    };
  } else {
    options.endpoints = {real_server()};
  }
  const std::string cluster = std::filesystem::path(medium).filename();
  auto made = EtcdDiscovery::create(world, cluster, options);
  return made ? std::move(*made) : nullptr;
}

static std::shared_ptr<void> start_server(sim::Simulation& sim) {
  const auto store = std::make_shared<testing::FakeEtcdStore>();
  sim::SimNode& node = sim.add_node("etcd");
  sim_server() = node.endpoint(2379);
  sim_server_node() = &node;
  return std::make_shared<testing::FakeEtcd>(node, node.endpoint(2379), store);
}

static const bool registered = [] {
  conformance::Backend backend("etcd", &make);
  backend.lapse = conformance::Lapse::in_time;
  backend.sim_server = &start_server;
  backend.outage = conformance::Outage::of_server;
  backend.real_outage = [](bool out) { out ? own_server().kill() : own_server().start(); };
  backend.sim_outage = [](sim::Simulation& sim, bool out) {
    out ? sim.isolate(*sim_server_node()) : sim.heal();
  };
  // Asked first: processes that a test starts before it makes anything itself find the same server.
  backend.missing = [] {
    std::string why = testing::RealEtcd::missing();
    if (why.empty()) (void)real_server();
    return why;
  };
  return conformance::register_backend(backend);
}();

}  // namespace velo::discovery::conformance_test
