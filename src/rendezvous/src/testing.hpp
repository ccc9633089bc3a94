// SPDX-License-Identifier: Apache-2.0
// Test support: simulated messengers with large data. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include "testing/cluster.hpp"

#include <velo/rendezvous/rendezvous.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace velo::rendezvous::testing {

using messenger::testing::Cluster;
using messenger::testing::ClusterOptions;
using messenger::testing::NodeSetup;
using messenger::testing::outcome;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// Bytes of which no two chunks are alike.
inline std::string pattern(std::size_t bytes) {
  std::string made(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) made[i] = static_cast<char>(i * 31 + (i >> 8U));
  return made;
}

/// A cluster whose messengers all have large data.
struct DataCluster {
  explicit DataCluster(std::size_t count, ClusterOptions options = ClusterOptions(),
                       const RendezvousOptions& data_options = RendezvousOptions())
      : nodes(count, std::move(options)) {
    for (std::size_t i = 0; i < count; ++i) {
      auto attached = Rendezvous::attach(nodes[i], data_options);
      EXPECT_TRUE(attached) << attached.error().to_string();
      data.push_back(std::move(*attached));
    }
  }
  /// Nothing is registered, read or being read anywhere.
  bool nothing_left() {
    bool nothing = true;
    for (const Rendezvous& each : data) {
      const RendezvousUse use = each.use();
      nothing =
          nothing && use.entries == 0 && use.leases == 0 && use.transfers == 0 && use.bytes == 0;
    }
    return nothing;
  }

  Cluster nodes;
  std::vector<Rendezvous> data;
};

}  // namespace velo::rendezvous::testing
