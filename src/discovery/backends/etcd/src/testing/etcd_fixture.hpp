// SPDX-License-Identifier: Apache-2.0
// What the tests of the etcd backend in simulation share: a server, an announcer, a watcher.
// Threading: the test's thread.
#pragma once

#include <velo/discovery/backends/etcd.hpp>

#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>
#include <velo/discovery/testing/fake_etcd.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery::etcd_test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using View = std::map<InstanceId, PeerInfo>;

struct EtcdFixture : ::testing::Test {
  log::Capture log;
  sim::Simulation sim{11};
  std::shared_ptr<discovery::testing::FakeEtcdStore> store =
      std::make_shared<discovery::testing::FakeEtcdStore>();
  std::shared_ptr<discovery::testing::FakeEtcd> server;
  sim::SimNode* server_node = &add_server("etcd", store, server);
  sim::SimNode& here = sim.add_node("here");
  sim::SimNode& there = sim.add_node("there");
  std::unique_ptr<EtcdDiscovery> reader = join(here);
  std::unique_ptr<EtcdDiscovery> owner = join(there);
  View view;
  int calls = 0;

  sim::SimNode& add_server(const std::string& name,
                           const std::shared_ptr<discovery::testing::FakeEtcdStore>& data,
                           std::shared_ptr<discovery::testing::FakeEtcd>& slot) {
    return sim.add_node(name, {}, [data, &slot](sim::SimNode& node) {
      slot = std::make_shared<discovery::testing::FakeEtcd>(node, node.endpoint(2379), data);
      return slot;
    });
  }
  EtcdOptions options() {
    EtcdOptions made;
    made.endpoints = {server_node->endpoint(2379)};
    made.allow_plaintext_beyond_loopback = true;
    return made;
  }
  std::unique_ptr<EtcdDiscovery> join(sim::SimNode& node) { return join(node, options()); }
  std::unique_ptr<EtcdDiscovery> join(sim::SimNode& node, const EtcdOptions& how) {
    auto made = EtcdDiscovery::create(node, "demo", how);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  template <class T>
  Result<T> wait(Op<T> op) {
    return sim.wait(std::move(op), minutes(2));
  }
  std::unique_ptr<Registration> announce(EtcdDiscovery& discovery, const PeerInfo& peer) {
    auto announced = wait(discovery.announce(peer));
    EXPECT_TRUE(announced) << announced.error().to_string();
    return announced ? std::move(*announced) : nullptr;
  }
  std::unique_ptr<Registration> watch(EtcdDiscovery& discovery) {
    return discovery.watch(here.shard(0), [this](const PeerChange& change) {
      ++calls;
      if (change.kind == ChangeKind::snapshot || change.kind == ChangeKind::resync) view.clear();
      for (const PeerInfo& peer : change.peers) {
        if (change.kind == ChangeKind::removed) {
          view.erase(peer.instance_id);
        } else {
          view.insert_or_assign(peer.instance_id, peer);
        }
      }
    });
  }
  bool until(const std::function<bool()>& condition) {
    return sim.run_until(condition, minutes(3));
  }
  PeerInfo make_peer(std::string_view address) {
    return PeerInfo{InstanceId::random(sim.random()), {{"tcp", Bytes::copy(address)}}};
  }
  void restart_server() {
    server.reset();
    server_node = &sim.restart(*server_node);
  }
  std::size_t log_lines_with(std::string_view text) const {
    std::size_t count = 0;
    for (const std::string& line : log.lines()) {
      count += line.find(text) != std::string::npos ? 1 : 0;
    }
    return count;
  }
};

}  // namespace velo::discovery::etcd_test
