// SPDX-License-Identifier: Apache-2.0
// Many receivers, some of which die in the middle of their work.

#include "scenarios.hpp"

#include <map>
#include <optional>
#include <set>

namespace velo::queue::conformance {
namespace crowd_scenarios_detail {

constexpr int items = 60;

/// Works off the queue: each third delivery is forgotten, as by a receiver that died.
static void every_item_is_handled_though_receivers_die(Ground& ground) {
  QueueOptions options = with_short_leases();
  options.deliveries_max = 1000;
  const auto queue = ground.open(options);
  for (int i = 0; i < items; ++i) {
    ASSERT_TRUE(send(ground, *queue, std::to_string(i), "item" + std::to_string(i)));
  }
  std::map<std::string, int> handled;
  int deliveries = 0;
  while (handled.size() < items) {
    const auto batch = receive(ground, *queue, 8);
    ASSERT_FALSE(batch.empty());
    for (const Delivery& delivery : batch) {
      if (++deliveries % 3 == 0) continue;
      if (ground.wait(queue->ack(delivery.lease))) ++handled[delivery.id];
    }
  }
  for (const auto& [id, times] : handled) EXPECT_EQ(times, 1) << id;
  const auto state = ground.wait(queue->state());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->acked, static_cast<std::uint64_t>(items));
  EXPECT_EQ(state->ready + state->leased + state->delayed, 0u);
}

static void no_two_receivers_have_one_item_at_once(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  std::vector<Op<std::vector<Delivery>>> receivers;
  receivers.reserve(10);
  for (int i = 0; i < 10; ++i) receivers.push_back(queue->receive(waiting(30s, 3)));
  for (int i = 0; i < items; ++i) ASSERT_TRUE(send(ground, *queue, std::to_string(i)));
  std::set<std::string> seen;
  std::size_t count = 0;
  for (auto& receiver : receivers) {
    auto batch = ground.wait(std::move(receiver));
    ASSERT_TRUE(batch) << batch.error().to_string();
    for (const Delivery& delivery : *batch) {
      ++count;
      seen.insert(delivery.id);
    }
  }
  while (count < items) {
    const auto batch = receive(ground, *queue, 10);
    ASSERT_FALSE(batch.empty());
    for (const Delivery& delivery : batch) {
      ++count;
      seen.insert(delivery.id);
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(items));
  EXPECT_EQ(count, static_cast<std::size_t>(items));
}

}  // namespace crowd_scenarios_detail

std::span<const Scenario> crowd_scenarios() {
  using namespace crowd_scenarios_detail;  // NOLINT(google-build-using-namespace)
  static constexpr Scenario all[] = {
      {"EveryItemIsHandledThoughReceiversDie", &every_item_is_handled_though_receivers_die},
      {"NoTwoReceiversHaveOneItemAtOnce", &no_two_receivers_have_one_item_at_once},
  };
  return all;
}

}  // namespace velo::queue::conformance
