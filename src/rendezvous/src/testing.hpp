// SPDX-License-Identifier: Apache-2.0
// Test support: simulated messengers with large data. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include "testing/cluster.hpp"

#include <velo/rendezvous/rendezvous.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
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

/// Of a payload that is staged.
constexpr std::size_t large = (std::size_t{1} << 20) + 5;

/// Messengers that stage; the first `staging` of them.
struct StagedCluster {
  explicit StagedCluster(std::size_t count, std::size_t staging = SIZE_MAX,
                         std::function<void(std::size_t, NodeSetup&)> setup = {})
      : nodes(count, options(setup, staging)) {
    for (std::size_t i = 0; i < data.size(); ++i) EXPECT_TRUE(data[i].attach_to(nodes[i]));
  }
  ClusterOptions options(std::function<void(std::size_t, NodeSetup&)> more, std::size_t staging) {
    ClusterOptions made;
    made.setup = [this, more = std::move(more), staging](sim::SimNode&, std::size_t index,
                                                         NodeSetup& setup) {
      if (more) more(index, setup);
      if (index >= staging) return;
      data.push_back(Rendezvous::unattached());
      setup.configure = [this](MessengerBuilder& builder) {
        builder.payloads(data.back().resolver());
      };
    };
    return made;
  }
  std::size_t staged() const {
    std::size_t all = 0;
    for (const Rendezvous& each : data) all += each.use().entries;
    return all;
  }
  void expect_nothing_left() {
    EXPECT_TRUE(nodes.until([&] {
      bool nothing = staged() == 0;
      for (const Rendezvous& each : data) {
        nothing = nothing && each.use().transfers == 0 && each.use().leases == 0;
      }
      // What was given up may still be on its way out.
      for (const auto& node : nodes.messengers) nothing = nothing && node->memory().used == 0;
      return nothing;
    }));
  }

  std::vector<Rendezvous> data;
  Cluster nodes;
};

}  // namespace velo::rendezvous::testing
