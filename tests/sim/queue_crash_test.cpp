// SPDX-License-Identifier: Apache-2.0
// Workers on nodes of their own that crash with items in their hands, and senders that crash before
// they are answered. The books are the test's: what the host's own handlers of the work saw.

#include <velo/base/shard_timer.hpp>
#include <velo/queue/backends/memory.hpp>
#include <velo/queue/backends/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace velo::queue::queue_crash_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr int items = 60;
constexpr std::size_t workers = 3;

/// What outlives every crash: who did what, as an observer outside of all nodes notes it.
struct Notes {
  std::set<std::string> sent;          ///< whose sender was told that they are queued
  std::map<std::string, int> handled;  ///< by whoever had them
  std::map<std::string, int> acked;    ///< and was told that this holds
  std::map<std::string, int> deliveries;
};

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

/// Takes items and works on each for a while; then it may be too late.
class Worker final
    // why: what it waits for finds it while it lives.
    : public std::enable_shared_from_this<Worker> {
 public:
  Worker(sim::SimNode& node, const PeerInfo& host, Notes& notes)
      : node_(node), notes_(notes), messenger_(messenger_on(node)) {
    EXPECT_TRUE(messenger_->register_peer(host));
    queue_ = make_remote_queue(*messenger_, host.instance_id, "jobs");
  }

  void take() {
    ReceiveOptions options;
    options.batch = 4;
    options.wait = 1s;
    queue_->receive(options).then(node_.shard(0), [weak = weak_from_this()](auto batch) {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->batch_.clear();
      if (batch) self->batch_ = std::move(*batch);
      for (const Delivery& each : self->batch_) ++self->notes_.deliveries[each.id];
      self->work_on(0);
    });
  }

 private:
  void work_on(std::size_t index) {
    if (index == batch_.size()) return take();
    const Duration takes = std::chrono::milliseconds(1 + node_.random().below(40));
    timer_.start(takes, [weak = weak_from_this(), index] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      const Delivery& item = self->batch_[index];
      ++self->notes_.handled[item.id];
      self->queue_->ack(item.lease)
          .then(self->node_.shard(0), [weak, index, id = item.id](const Result<void>& acked) {
            const auto still = weak.lock();
            if (still == nullptr) return;
            if (acked) ++still->notes_.acked[id];
            still->work_on(index + 1);
          });
    });
  }

  sim::SimNode& node_;
  Notes& notes_;
  std::unique_ptr<Messenger> messenger_;
  std::shared_ptr<WorkQueue> queue_;
  std::vector<Delivery> batch_;
  ShardTimer timer_{node_.shard(0)};
};

static QueueOptions patient() {
  QueueOptions options;
  options.visibility = 500ms;
  options.deliveries_max = 1'000'000;
  return options;
}

struct Crashes : testing::TestWithParam<std::uint64_t> {
  Crashes() {
    EXPECT_TRUE(serving.has_value());
    EXPECT_TRUE((*serving)->serve("jobs", queue));
    for (std::size_t i = 0; i < workers; ++i) {
      nodes.push_back(sim.add_node("worker" + std::to_string(i), {},
                                   [this](sim::SimNode& node) {
                                     const auto worker =
                                         std::make_shared<Worker>(node, host->peer_info(), notes);
                                     post(node.shard(0), [worker] { worker->take(); });
                                     return worker;
                                   })
                          .index());
    }
  }
  ~Crashes() override {
    for (const std::size_t each : nodes) sim.crash(sim.node(each));
    sim.run_until_quiet(1min);
    *serving = nullptr;
    queue = nullptr;
    host = nullptr;
    sim.run_until_quiet(1min);
  }

  sim::Simulation sim{GetParam()};
  sim::SimNode& host_node = sim.add_node("host");
  std::unique_ptr<Messenger> host = messenger_on(host_node);
  std::shared_ptr<WorkQueue> queue = make_memory_queue(host_node, "jobs", patient());
  Result<std::unique_ptr<QueueHost>> serving = QueueHost::create(*host);
  Notes notes;
  std::vector<std::size_t> nodes;
};

TEST_P(Crashes, EveryItemIsHandledAtLeastOnceAndSettledOnce) {
  int crashes = 0;
  for (int i = 0; i < items; ++i) {
    SendOptions options;
    options.id = "item" + std::to_string(i);
    auto sent = queue->send(Bytes::copy(options.id), options);
    const auto receipt = sim.wait(std::move(sent), 1min);
    ASSERT_TRUE(receipt) << receipt.error().to_string();
    EXPECT_FALSE(receipt->duplicate);
    notes.sent.insert(receipt->id);
    // Whoever does not know whether it was queued sends it again.
    if (i % 3 == 0) {
      const auto again = sim.wait(queue->send(Bytes::copy(options.id), options), 1min);
      ASSERT_TRUE(again && again->duplicate);
    }
    sim.run_for(std::chrono::milliseconds(sim.random().below(30)));
    if (sim.random().below(3) != 0) continue;
    const std::size_t victim = nodes[sim.random().below(workers)];
    const auto kind = sim.random().below(2) == 0 ? sim::CrashKind::process : sim::CrashKind::power;
    sim.crash(sim.node(victim), kind);
    ++crashes;
    sim.run_for(std::chrono::milliseconds(sim.random().below(200)));
    sim.restart(sim.node(victim));
  }
  const auto all_settled = [this] {
    const auto state = sim.wait(queue->state(), 1min);
    return state && state->acked == items;
  };
  for (int round = 0; round < 1000 && !all_settled(); ++round) sim.run_for(100ms);
  EXPECT_GT(crashes, 5);
  const auto state = sim.wait(queue->state(), 1min);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->queued, static_cast<std::uint64_t>(items)) << "each id once";
  EXPECT_EQ(state->acked, static_cast<std::uint64_t>(items));
  EXPECT_EQ(state->ready + state->leased + state->delayed + state->dead, 0u);
  EXPECT_EQ(notes.sent.size(), static_cast<std::size_t>(items));
  int more_than_once = 0;
  for (const std::string& id : notes.sent) {
    EXPECT_GE(notes.handled[id], 1) << id << " was settled, and nobody has handled it";
    EXPECT_LE(notes.acked[id], 1) << id << " was settled twice";
    if (notes.deliveries[id] > 1) ++more_than_once;
  }
  EXPECT_EQ(notes.handled.size(), notes.sent.size()) << "nothing was made up";
  RecordProperty("delivered_again", more_than_once);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Crashes, testing::Range<std::uint64_t>(1, 41));

}  // namespace velo::queue::queue_crash_test
