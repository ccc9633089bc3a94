// SPDX-License-Identifier: Apache-2.0
// Test support: messengers on simulated nodes that know each other, whose books are checked at the
// end of every test. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include <velo/messenger/balance.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

inline transport::TcpOptions tcp_of(const sim::SimNode& node) {
  transport::TcpOptions options;
  options.bind = node.endpoint(0);
  options.allow_plaintext_beyond_loopback = true;
  return options;
}

/// How one node of a cluster differs from the others.
struct NodeSetup {
  bool listens = true;
  bool legacy = false;  ///< behaves like a peer of the public velo
  std::size_t calls_max = 0;
  std::size_t window_calls = 0;  ///< 0: the usual window
  std::size_t window_bytes = std::size_t{4} << 20;
  std::size_t memory_bytes = 0;
  std::shared_ptr<discovery::PeerDiscovery> discovery;
  std::unique_ptr<transport::Transport> transport;  ///< instead of TCP
  std::function<void(MessengerBuilder&)> configure;
  std::vector<std::unique_ptr<transport::Transport>> more_transports;
};

struct ClusterOptions {
  std::uint64_t seed = 1;
  bool introduced = true;  ///< all know each other
  std::size_t shards = 1;
  std::string machine;  ///< of all nodes; empty: each has its own
  sim::SimOptions sim;
  /// Called for each node before its messenger is built.
  std::function<void(sim::SimNode& node, std::size_t index, NodeSetup& setup)> setup;

  ClusterOptions() = default;
};

/// Whether the books of these nodes add up, each and between them.
inline ::testing::AssertionResult books_agree(std::span<const NodeBooks> nodes,
                                              Moving moving = Moving::no) {
  const Balance balance = compare(nodes, moving);
  if (balance.ok()) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure();
  for (const std::string& complaint : balance.complaints) failure << complaint << "\n";
  return failure;
}
inline ::testing::AssertionResult books_agree(const Messenger& sender, const Messenger& receiver) {
  const NodeBooks nodes[] = {sender.node_books(), receiver.node_books()};
  return books_agree(nodes);
}

/// A simulation of nodes with one messenger each.
class Cluster {
 public:
  explicit Cluster(std::size_t count, ClusterOptions options = ClusterOptions())
      : sim(options.seed, options.sim), options_(std::move(options)) {
    for (std::size_t i = 0; i < count; ++i) {
      sim::NodeOptions node_options;
      node_options.shards = options_.shards;
      node_options.machine = options_.machine;
      messengers.push_back(build(sim.add_node("node" + std::to_string(i), node_options), i));
    }
    if (options_.introduced) introduce_all();
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// The messengers go first, and what they left to do is done, before the simulation ends.
  ~Cluster() {
    sim.run_until_quiet(1min);
    check_books();
    messengers.clear();
    sim.run_until_quiet(1min);
  }

  /// A messenger as this cluster's options have it, on a node of one's own.
  std::unique_ptr<Messenger> build(sim::SimNode& node, std::size_t index) {
    NodeSetup setup;
    if (options_.setup) options_.setup(node, index, setup);
    transport::TcpOptions tcp = tcp_of(node);
    if (!setup.listens) tcp.bind.reset();
    auto builder = Messenger::builder(node);
    builder.add_transport(setup.transport ? std::move(setup.transport)
                                          : transport::make_tcp(std::move(tcp)));
    for (auto& another : setup.more_transports) builder.add_transport(std::move(another));
    if (setup.discovery) builder.discovery(setup.discovery);
    if (setup.calls_max != 0) builder.calls_max(setup.calls_max);
    if (setup.window_calls != 0) builder.request_window(setup.window_calls, setup.window_bytes);
    if (setup.memory_bytes != 0) builder.memory_budget(setup.memory_bytes);
    if (setup.legacy) builder.without_extensions();
    // The books of a cluster are open to all of it.
    builder.access(AccessPolicy().allow("_books", Who::anyone()));
    if (setup.configure) setup.configure(builder);
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    return std::move(*built);
  }

  /// Everybody learns of everybody who listens.
  void introduce_all() {
    for (auto& messenger : messengers) {
      for (auto& other : messengers) {
        if (other->peer_info().address.empty()) continue;
        auto registered = messenger->register_peer(other->peer_info());
        EXPECT_TRUE(registered) << registered.error().to_string();
      }
    }
  }

  Messenger& operator[](std::size_t index) { return *messengers[index]; }
  const InstanceId& id(std::size_t index) const { return messengers[index]->instance_id(); }

  template <class T>
  Result<T> wait(Op<T> op, Duration limit = 5min) {
    return sim.wait(std::move(op), limit);
  }
  /// False when `predicate` did not come true within five simulated minutes.
  template <class P>
  bool until(P predicate) {
    return sim.run_until(std::move(predicate), 5min);
  }

  /// Every messenger's books balance, and agree with those of all others.
  void check_books() {
    std::vector<NodeBooks> nodes;
    for (const auto& messenger : messengers) {
      if (messenger != nullptr) nodes.push_back(messenger->node_books());
    }
    EXPECT_TRUE(books_agree(nodes, outsiders ? Moving::maybe : Moving::no));
  }

  sim::Simulation sim;
  std::vector<std::unique_ptr<Messenger>> messengers;
  /// Somebody else claims to be one of these, or a message is meant to be lost: what was sent need
  /// not have arrived.
  bool outsiders = false;

 private:
  ClusterOptions options_;
};

/// "room.code" of a failed result, "ok" otherwise; makes failures readable.
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

/// Holds asynchronous handlers until the test lets them go.
class Gate {
 public:
  /// For a handler to await.
  Op<void> pass(World& world) {
    ++waiting;
    if (open_) return Op<void>::ready(world.pool(), {});
    held_.push_back(std::make_unique<Promise<void>>(world.pool()));
    return held_.back()->op();
  }
  void open() {
    open_ = true;
    for (auto& promise : held_) promise->set({});
    held_.clear();
  }

  int waiting = 0;  ///< how many have come so far
  int stopped = 0;  ///< how many found their stop token stopped when they were let go

 private:
  bool open_ = false;
  std::vector<std::unique_ptr<Promise<void>>> held_;
};

inline Task<Result<Bytes>> wait_at(Context context, Gate* gate) {
  auto op = gate->pass(context.msg().world());
  const Result<void> passed = co_await op;
  if (context.stop_token().stop_requested()) ++gate->stopped;
  if (!passed) co_return passed.error();
  Bytes reply = context.payload_bytes();
  co_return reply;
}

/// A unary handler that answers with its payload once the gate is open.
inline Handler gated(std::string name, Gate& gate) {
  return Handler::unary_handler_async(
             std::move(name),
             [&gate](Context context) { return wait_at(std::move(context), &gate); })
      .build();
}

}  // namespace velo::messenger::testing
