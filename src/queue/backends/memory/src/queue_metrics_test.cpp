// SPDX-License-Identifier: Apache-2.0
// What a queue's metrics say, against what was done to it.

#include <velo/queue/backends/memory.hpp>
#include <velo/queue/metrics.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace velo::queue::queue_metrics_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct QueueMetricsTest : testing::Test {
  sim::Simulation sim{1};
  sim::SimNode& node = sim.add_node("node");
  metrics::Registry registry;

  ~QueueMetricsTest() override { sim.run_until_quiet(1min); }
  template <class T>
  Result<T> wait(Op<T> op) {
    return sim.wait(std::move(op), 5min);
  }
  Lease take(WorkQueue& queue) { return wait(queue.receive())->at(0).lease; }
  std::int64_t value(const std::string& what, const std::string& state = {}) {
    metrics::Labels labels = {{"queue", "jobs"}};
    if (!state.empty()) labels.emplace_back("state", state);
    return registry.snapshot().value("velo_queue_" + what, labels);
  }
};

TEST_F(QueueMetricsTest, CountWhatBecameOfEachItem) {
  QueueOptions options;
  options.items_max = 5;
  options.deliveries_max = 2;
  const auto letters = std::make_shared<MemoryDeadLetters>();
  options.dead_letters = letters;
  auto queue = make_memory_queue(node, "jobs", options);
  const auto published = publish_metrics(registry, "jobs", queue);
  ASSERT_TRUE(published) << published.error().to_string();
  EXPECT_EQ(value("items", "ready"), 0);
  SendOptions named;
  for (const char* id : {"a", "b", "c", "d"}) {
    named.id = id;
    ASSERT_TRUE(wait(queue->send(Bytes::copy("four"), named)));
  }
  ASSERT_TRUE(wait(queue->send(Bytes::copy("four"), named))->duplicate);
  SendOptions later;
  later.delay = 1h;
  ASSERT_TRUE(wait(queue->send(Bytes::copy("four"), later)));
  ASSERT_FALSE(wait(queue->send(Bytes::copy("four"))));
  ASSERT_TRUE(wait(queue->ack(take(*queue))));
  ASSERT_TRUE(wait(queue->nack(take(*queue))));
  ASSERT_TRUE(wait(queue->nack(take(*queue))));
  const Lease held = take(*queue);
  EXPECT_EQ(value("items", "ready"), 1);
  EXPECT_EQ(value("items", "leased"), 1);
  EXPECT_EQ(value("items", "delayed"), 1);
  EXPECT_EQ(value("bytes"), static_cast<std::int64_t>(wait(queue->state())->bytes));
  EXPECT_EQ(value("sent_total"), 5);
  EXPECT_EQ(value("acked_total"), 1);
  EXPECT_EQ(value("redelivered_total"), 1);
  EXPECT_EQ(value("dead_lettered_total"), 1);
  EXPECT_EQ(value("refused_total"), 1);
  EXPECT_EQ(value("duplicates_total"), 1);
  sim.run_for(2s);
  EXPECT_GE(value("oldest_seconds"), 2);
  EXPECT_TRUE(wait(queue->ack(held)));
}

TEST_F(QueueMetricsTest, EndWithTheirObservationsAndKeepNamesApart) {
  const auto queue = make_memory_queue(node, "jobs");
  {
    const auto published = publish_metrics(registry, "jobs", queue);
    ASSERT_TRUE(published);
    EXPECT_TRUE(publish_metrics(registry, "jobs", queue).error().is(velo::Errc::already_exists));
    EXPECT_TRUE(publish_metrics(registry, "others", queue));
    EXPECT_TRUE(
        publish_metrics(registry, "none", nullptr).error().is(velo::Errc::invalid_argument));
    EXPECT_NE(registry.to_prometheus().find("velo_queue_items{queue=\"jobs\",state=\"ready\"} 0"),
              std::string::npos);
  }
  EXPECT_EQ(registry.to_prometheus().find("velo_queue"), std::string::npos);
}

/// Answers when it is told to.
class Slow final : public WorkQueue {
 public:
  explicit Slow(World& world) : world_(world) {}
  Op<QueueState> state() override {
    asked.emplace_back(world_.pool());
    return asked.back().op();
  }
  Op<Receipt> send(Bytes, SendOptions) override { return never<Receipt>(); }
  Op<std::vector<Delivery>> receive(ReceiveOptions) override {
    return never<std::vector<Delivery>>();
  }
  Op<void> ack(Lease) override { return never<void>(); }
  Op<void> nack(Lease, Duration) override { return never<void>(); }
  Op<void> extend(Lease, Duration) override { return never<void>(); }
  Op<void> close() override { return never<void>(); }

  std::vector<Promise<QueueState>> asked;

 private:
  template <class T>
  Op<T> never() {
    return Op<T>::ready(world_.pool(), velo::make_error(velo::Errc::unsupported));
  }
  World& world_;
};

TEST_F(QueueMetricsTest, NeverWaitForAQueueThatIsElsewhere) {
  const auto slow = std::make_shared<Slow>(node);
  const auto published = publish_metrics(registry, "jobs", slow);
  ASSERT_TRUE(published);
  EXPECT_EQ(value("items", "ready"), 0);
  EXPECT_EQ(value("items", "ready"), 0);
  ASSERT_EQ(slow->asked.size(), 1u) << "one question at a time";
  QueueState state;
  state.ready = 7;
  slow->asked[0].set(state);
  EXPECT_EQ(value("items", "ready"), 7);
  ASSERT_GE(slow->asked.size(), 2u);
  slow->asked.back().set(velo::make_error(velo::Errc::deadline_exceeded));
  EXPECT_EQ(value("items", "ready"), 7) << "as it was";
}

}  // namespace velo::queue::queue_metrics_test
