// SPDX-License-Identifier: Apache-2.0
// A queue on one simulated node, used from another.

#include <velo/queue/backends/memory.hpp>
#include <velo/queue/backends/messenger.hpp>
#include <velo/queue/conformance.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace velo::queue::remote_queue_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// A host, and a user that knows it.
struct Pair {
  explicit Pair(std::uint64_t seed = 1) : sim(seed) {
    host = messenger_on(host_node);
    user = messenger_on(user_node);
    EXPECT_TRUE(user->register_peer(host->peer_info()));
    auto made = QueueHost::create(*host);
    EXPECT_TRUE(made) << made.error().to_string();
    serving = std::move(*made);
  }
  Pair(const Pair&) = delete;
  ~Pair() {
    sim.run_until_quiet(1min);
    serving = nullptr;
    user = nullptr;
    host = nullptr;
    sim.run_until_quiet(1min);
  }

  static std::unique_ptr<Messenger> messenger_on(sim::SimNode& node) {
    transport::TcpOptions tcp;
    tcp.bind = node.endpoint(0);
    tcp.allow_plaintext_beyond_loopback = true;
    auto builder = Messenger::builder(node);
    builder.add_transport(transport::make_tcp(std::move(tcp)));
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    return std::move(*built);
  }

  std::shared_ptr<WorkQueue> serve(const std::string& name,
                                   const QueueOptions& options = QueueOptions()) {
    auto queue = make_memory_queue(host_node, name, options);
    EXPECT_TRUE(serving->serve(name, queue));
    return queue;
  }
  std::shared_ptr<WorkQueue> remote(const std::string& name) {
    return make_remote_queue(*user, host->instance_id(), name);
  }
  template <class T>
  Result<T> wait(Op<T> op) {
    return sim.wait(std::move(op), 5min);
  }

  sim::Simulation sim;
  sim::SimNode& host_node = sim.add_node("host");
  sim::SimNode& user_node = sim.add_node("user");
  std::unique_ptr<Messenger> host;
  std::unique_ptr<Messenger> user;
  std::unique_ptr<QueueHost> serving;
};

class RemoteGround final : public conformance::Ground {
 public:
  std::shared_ptr<WorkQueue> open(const QueueOptions& options) override {
    const std::string name = "queue" + std::to_string(next_++);
    (void)pair_.serve(name, options);
    return pair_.remote(name);
  }
  bool until(const std::function<bool()>& done) override { return pair_.sim.run_until(done, 5min); }

 private:
  Pair pair_;
  int next_ = 0;
};

static const bool registered =
    conformance::register_backend("messenger_sim", [] { return std::make_unique<RemoteGround>(); });

TEST(RemoteQueue, OneThatIsNotServedIsUnknown) {
  EXPECT_TRUE(registered);
  Pair pair;
  const auto sent = pair.wait(pair.remote("nothing")->send(Bytes::copy("a")));
  ASSERT_FALSE(sent);
  EXPECT_TRUE(sent.error().is(Errc::unknown)) << sent.error().to_string();
  (void)pair.serve("orders");
  EXPECT_TRUE(pair.wait(pair.remote("orders")->send(Bytes::copy("a"))));
  EXPECT_TRUE(pair.serving->withdraw("orders"));
  EXPECT_FALSE(pair.serving->withdraw("orders"));
  EXPECT_FALSE(pair.wait(pair.remote("orders")->send(Bytes::copy("a"))));
}

TEST(RemoteQueue, ANameIsServedOnceAndAMessengerHasOneHost) {
  Pair pair;
  const auto queue = pair.serve("orders");
  EXPECT_TRUE(pair.serving->serve("orders", queue).error().is(velo::Errc::already_exists));
  EXPECT_TRUE(pair.serving->serve("", queue).error().is(velo::Errc::invalid_argument));
  EXPECT_TRUE(QueueHost::create(*pair.host).error().is(velo::Errc::already_exists));
}

TEST(RemoteQueue, ADrainOfTheHostDoesNotWaitForReceivers) {
  Pair pair;
  (void)pair.serve("orders");
  auto waits = pair.remote("orders")->receive();
  pair.sim.run_for(1s);
  auto closed = pair.host->shutdown(ShutdownPolicy(10s));
  const TimePoint before = pair.host_node.clock().now();
  EXPECT_TRUE(pair.wait(std::move(closed)));
  EXPECT_LT(pair.host_node.clock().now() - before, 5s);
  const auto ended = pair.wait(std::move(waits));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is(messenger::Errc::shutting_down)) << ended.error().to_string();
}

TEST(RemoteQueue, AReceiverThatIsCancelledNoLongerWaitsAtTheHost) {
  Pair pair;
  const auto local = pair.serve("orders");
  auto waits = pair.remote("orders")->receive();
  pair.sim.run_for(1s);
  waits.cancel();
  const auto cancelled = pair.wait(std::move(waits));
  ASSERT_FALSE(cancelled);
  EXPECT_TRUE(cancelled.error().is(velo::Errc::cancelled)) << cancelled.error().to_string();
  pair.sim.run_for(1s);
  ASSERT_TRUE(pair.wait(local->send(Bytes::copy("a"))));
  EXPECT_EQ(pair.wait(local->state())->ready, 1u) << "nobody took it";
}

// At least once by count, and not twice by id, whatever happens to connections.
TEST(RemoteQueue, NothingIsLostNorQueuedTwiceWhileConnectionsBreak) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Pair pair(seed);
    QueueOptions options;
    options.visibility = 2s;
    options.deliveries_max = 1000;
    const auto local = pair.serve("orders", options);
    const auto remote = pair.remote("orders");
    constexpr int count = 40;
    std::vector<Op<Receipt>> sends;
    for (int i = 0; i < count; ++i) {
      sends.push_back(remote->send(Bytes::copy(std::to_string(i))));
      if (pair.sim.random().below(4) == 0) {
        pair.sim.run_for(std::chrono::microseconds(pair.sim.random().below(400)));
        pair.sim.reset_connections(pair.host_node, pair.user_node);
      }
    }
    std::set<std::string> queued;
    for (auto& send : sends) {
      const auto receipt = pair.wait(std::move(send));
      ASSERT_TRUE(receipt) << receipt.error().to_string();
      queued.insert(receipt->id);
    }
    EXPECT_EQ(pair.wait(local->state())->queued, static_cast<std::uint64_t>(count));
    std::map<std::string, int> acked;
    for (int round = 0; acked.size() < count && round < 2000; ++round) {
      ReceiveOptions receive;
      receive.batch = 5;
      auto receiving = remote->receive(receive);
      if (pair.sim.random().below(3) == 0) {
        pair.sim.run_for(std::chrono::microseconds(pair.sim.random().below(400)));
        pair.sim.reset_connections(pair.host_node, pair.user_node);
      }
      const auto batch = pair.wait(std::move(receiving));
      if (!batch) continue;
      for (const Delivery& delivery : *batch) {
        if (pair.wait(remote->ack(delivery.lease))) ++acked[delivery.id];
      }
      if (pair.wait(local->state())->acked == count) break;
    }
    const auto state = pair.wait(local->state());
    EXPECT_EQ(state->acked, static_cast<std::uint64_t>(count));
    EXPECT_EQ(state->ready + state->leased + state->delayed + state->dead, 0u);
    for (const auto& [id, times] : acked) {
      EXPECT_EQ(times, 1) << id;
      EXPECT_TRUE(queued.contains(id)) << id;
    }
  }
}

}  // namespace velo::queue::remote_queue_test
