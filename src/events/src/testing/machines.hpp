// SPDX-License-Identifier: Apache-2.0
// Test support: simulated machines that all have events. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include "testing/cluster.hpp"

#include <velo/events/attach.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace velo::events::testing {

using messenger::testing::Cluster;
using messenger::testing::ClusterOptions;
using messenger::testing::NodeSetup;

inline ClusterOptions with_legacy(std::size_t node) {
  ClusterOptions options;
  options.setup = [node](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == node;
  };
  return options;
}

/// A cluster whose nodes all have events.
struct Machines {
  explicit Machines(std::size_t count, ClusterOptions options = ClusterOptions(),
                    std::size_t public_node = SIZE_MAX)
      : cluster(count, std::move(options)) {
    for (std::size_t i = 0; i < count; ++i) attach(i, i == public_node);
  }
  void attach(std::size_t node, bool is_public = false) {
    EventOptions how;
    how.public_protocol = is_public;
    auto attached = attach_events(cluster[node], how);
    EXPECT_TRUE(attached) << attached.error().to_string();
    managers.push_back(std::move(*attached));
  }
  EventManager& operator[](std::size_t node) { return managers[node]; }
  Event make(std::size_t node, NewEvent how = NewEvent()) {
    auto event = managers[node].new_event(how);
    EXPECT_TRUE(event) << event.error().to_string();
    return std::move(*event);
  }
  std::string outcome(Op<void> op) {
    const Result<void> ended = cluster.wait(std::move(op));
    return ended ? "ready" : ended.error().to_string();
  }
  /// Of an error: only its name.
  std::string code(Op<void> op) { return messenger::testing::outcome(cluster.wait(std::move(op))); }
  /// Until `owner` knows of `count` subscriptions.
  bool subscribed(std::size_t owner, std::uint64_t count = 1) {
    return cluster.until([&] { return managers[owner].counts().subscriptions == count; });
  }

  Cluster cluster;
  std::vector<EventManager> managers;
};

}  // namespace velo::events::testing
