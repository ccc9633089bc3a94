// SPDX-License-Identifier: Apache-2.0
// Test support: two messengers with two ways between them, a load of every pattern on the way from
// one to the other, and the check that nothing of it was lost, repeated or reordered. Not part of
// the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include "cluster.hpp"

#include <velo/transport/media.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

using transport::Locality;
using transport::Medium;
using transport::MediumTransport;
using transport::Reach;

struct PathPairOptions {
  std::uint64_t seed = 1;
  ClusterOptions cluster;
  bool ordered = true;  ///< by the user, so that no measurement changes the order
  std::shared_ptr<Medium> near =
      std::make_shared<Medium>("near", Reach(Locality::shared_memory, true));
  std::shared_ptr<Medium> far = std::make_shared<Medium>("far", Reach(Locality::same_host, true));
  /// What the media are made of.
  using Make = std::function<std::unique_ptr<transport::Transport>(const sim::SimNode&)>;
  Make near_transport = [](const sim::SimNode& node) { return transport::make_tcp(tcp_of(node)); };
  Make far_transport = near_transport;

  PathPairOptions() = default;
};

/// The way that is preferred is called near, the other one far.
class PathPair {
 public:
  explicit PathPair(PathPairOptions options = PathPairOptions())
      : near(options.near), far(options.far) {
    ClusterOptions nodes = std::move(options.cluster);
    nodes.seed = options.seed;
    nodes.setup = [options, inner = nodes.setup](sim::SimNode& node, std::size_t index,
                                                 NodeSetup& setup) {
      if (inner) inner(node, index, setup);
      setup.transport = std::make_unique<MediumTransport>(options.far_transport(node), options.far);
      setup.more_transports.push_back(
          std::make_unique<MediumTransport>(options.near_transport(node), options.near));
      if (options.ordered) {
        setup.configure = [keys = std::vector<std::string>{options.near->key(), options.far->key()},
                           before = setup.configure](MessengerBuilder& builder) {
          if (before) before(builder);
          builder.prefer(keys);
        };
      }
    };
    cluster.emplace(2, std::move(nodes));
    Messenger& server = (*cluster)[1];
    const auto answer = [this](const char* name) {
      return Handler::unary_handler(name, [this, name](Context& context) {
        seen[name].push_back(number_of(context.payload()));
        return context.payload_bytes();
      });
    };
    EXPECT_TRUE(server.register_handler(answer("a").inline_().build()));
    EXPECT_TRUE(server.register_handler(answer("b").inline_().build()));
    EXPECT_TRUE(server.register_handler(answer("any").build()));
    EXPECT_TRUE(server.register_handler(
        Handler::am_handler(
            "c", [this](Context& context) { seen["c"].push_back(number_of(context.payload())); })
            .inline_()
            .build()));
  }

  static int number_of(ByteSpan payload) { return std::stoi(std::string(as_text(payload))); }
  static Bytes number(int value) { return Bytes::copy(std::to_string(value)); }

  Messenger& client() { return (*cluster)[0]; }
  Messenger& server() { return (*cluster)[1]; }
  const InstanceId& server_id() { return cluster->id(1); }
  PathReport report() { return client().explain_path(server_id()); }
  std::string chosen() { return report().chosen; }

  /// One of each kind: three that keep their order, and one that need not.
  void send_one() {
    const InstanceId& to = server_id();
    unary.push_back(client().unary("a").raw_payload(number(sent)).instance(to).send());
    sync.push_back(client().am_sync("b").raw_payload(number(sent)).instance(to).send());
    fire.push_back(client().am_send("c").raw_payload(number(sent)).instance(to).send());
    unary.push_back(client().unary("any").raw_payload(number(sent)).instance(to).send());
    ++sent;
  }
  /// Takes the ends of those that have ended, since each keeps its slot until then.
  template <class T>
  static void take_ended(std::deque<Op<T>>& calls) {
    while (!calls.empty() && calls.front().done()) {
      const auto ended = std::move(calls.front()).get();
      calls.pop_front();
      EXPECT_TRUE(ended) << ended.error().to_string();
    }
  }
  /// Sends while the simulation goes on, until the predicate holds.
  template <class P>
  ::testing::AssertionResult load_until(P predicate, Duration limit = 5s) {
    const TimePoint end = cluster->sim.now() + limit;
    while (!predicate()) {
      for (int i = 0; i < 5; ++i) send_one();
      cluster->sim.run_for(200us);
      take_ended(unary);
      take_ended(sync);
      take_ended(fire);
      if (cluster->sim.now() > end) {
        auto failure = ::testing::AssertionFailure() << "not in time; chosen: " << chosen();
        for (const PathCandidate& each : report().candidates) {
          failure << "\n" << each.transport << ": " << each.reason;
        }
        return failure;
      }
    }
    return ::testing::AssertionSuccess();
  }
  /// Every send ended well, and each handler saw all of them once and in order.
  void expect_all_in_order() {
    ASSERT_TRUE(cluster->until([&] {
      take_ended(unary);
      take_ended(sync);
      take_ended(fire);
      return unary.empty() && sync.empty() && fire.empty();
    }));
    cluster->sim.run_until_quiet(1min);
    std::vector<int> all(static_cast<std::size_t>(sent));
    for (int i = 0; i < sent; ++i) all[static_cast<std::size_t>(i)] = i;
    std::sort(seen["any"].begin(), seen["any"].end());
    for (const char* name : {"a", "b", "c", "any"}) EXPECT_EQ(seen[name], all) << name;
  }

  std::shared_ptr<Medium> near;
  std::shared_ptr<Medium> far;
  std::map<std::string, std::vector<int>> seen;
  std::optional<Cluster> cluster;
  std::deque<Op<Bytes>> unary;
  std::deque<Op<void>> sync;
  std::deque<Op<void>> fire;
  int sent = 0;
};

}  // namespace velo::messenger::testing
