// SPDX-License-Identifier: Apache-2.0
// Test support: messengers on simulated nodes that know each other. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

using namespace std::chrono_literals;

inline transport::TcpOptions tcp_of(const sim::SimNode& node) {
  transport::TcpOptions options;
  options.bind = node.endpoint(0);
  options.allow_plaintext_beyond_loopback = true;
  return options;
}

/// A simulation of `count` nodes, each with one messenger, all registered with each other.
class Cluster {
 public:
  using Setup = std::function<void(MessengerBuilder&, std::size_t index)>;

  explicit Cluster(std::size_t count, std::uint64_t seed = 1, const Setup& setup = {},
                   const sim::SimOptions& options = sim::SimOptions())
      : sim(seed, options) {
    for (std::size_t i = 0; i < count; ++i) {
      sim::SimNode& node = sim.add_node("node" + std::to_string(i));
      auto builder = Messenger::builder(node);
      builder.add_transport(transport::make_tcp(tcp_of(node)));
      if (setup) setup(builder, i);
      auto built = builder.build();
      EXPECT_TRUE(built) << built.error().to_string();
      messengers.push_back(std::move(*built));
    }
    for (auto& messenger : messengers) {
      for (auto& other : messengers) {
        auto registered = messenger->register_peer(other->peer_info());
        EXPECT_TRUE(registered) << registered.error().to_string();
      }
    }
  }
  /// The messengers go first, and what they left to do is done, before the simulation ends.
  ~Cluster() {
    messengers.clear();
    sim.run_until_quiet(1min);
  }

  Messenger& operator[](std::size_t index) { return *messengers[index]; }
  const InstanceId& id(std::size_t index) const { return messengers[index]->instance_id(); }

  template <class T>
  Result<T> wait(Op<T> op, Duration limit = 5min) {
    return sim.wait(std::move(op), limit);
  }

  sim::Simulation sim;
  std::vector<std::unique_ptr<Messenger>> messengers;
};

/// "node.errc" of a failed result, "ok" otherwise; makes failures readable.
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : error_code_name(result.error().code());
}

inline Handler echo(std::string name = "echo") {
  return Handler::unary_handler(std::move(name),
                                [](Context& context) { return context.payload_bytes(); })
      .inline_()
      .build();
}

}  // namespace velo::messenger::testing
