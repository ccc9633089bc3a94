// SPDX-License-Identifier: Apache-2.0
// What a manager counts, as metrics: the same numbers, read by each scrape, gone with the
// messenger.

#include "testing/machines.hpp"

#include <velo/base/metrics.hpp>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace velo::events::event_metrics_test {

using metrics::Registry;
using testing::Machines;

TEST(EventMetrics, TellWhatHappenedToEventsAndTheirAwaiters) {
  Registry registry;
  Machines machines(2);
  ASSERT_TRUE(machines.cluster[0].publish_metrics(registry));
  ASSERT_TRUE(machines.cluster[1].publish_metrics(registry));
  Event good = machines.make(0);
  Event bad = machines.make(0);
  const Event open = machines.make(0);
  const EventHandle known = good.handle();
  auto first = machines[1].awaiter(known);
  auto second = machines[1].awaiter(known);
  ASSERT_TRUE(machines.subscribed(0));
  const std::string a = machines.cluster.id(0).to_string();
  const std::string b = machines.cluster.id(1).to_string();
  const metrics::Snapshot before = registry.snapshot();
  EXPECT_EQ(before.value("velo_events_pending", {{"node", a}}), 3);
  EXPECT_EQ(before.value("velo_events_subscriptions", {{"node", a}}), 1);
  EXPECT_EQ(before.value("velo_events_awaited", {{"node", b}}), 1);

  ASSERT_TRUE(std::move(good).trigger());
  ASSERT_TRUE(std::move(bad).poison("no"));
  EXPECT_EQ(machines.outcome(std::move(first)), "ready");
  EXPECT_EQ(machines.outcome(std::move(second)), "ready");
  EXPECT_EQ(machines.outcome(machines[1].awaiter(known)), "ready");
  ASSERT_TRUE(machines.cluster.until([&] { return machines[0].counts().unacknowledged == 0; }));
  const metrics::Snapshot now = registry.snapshot();
  EXPECT_EQ(now.value("velo_events_created_total", {{"node", a}}), 3);
  EXPECT_EQ(now.value("velo_events_pending", {{"node", a}}), 1);
  EXPECT_EQ(now.value("velo_events_completed_total", {{"node", a}, {"outcome", "ready"}}), 1);
  EXPECT_EQ(now.value("velo_events_completed_total", {{"node", a}, {"outcome", "poisoned"}}), 1);
  EXPECT_EQ(now.value("velo_events_subscriptions", {{"node", a}}), 0);
  EXPECT_EQ(now.value("velo_events_unacknowledged", {{"node", a}}), 0);
  EXPECT_EQ(now.value("velo_events_messages_total", {{"node", a}}), 1);
  EXPECT_EQ(now.value("velo_events_awaited", {{"node", b}}), 0);
  EXPECT_EQ(now.value("velo_events_remote_awaits_total", {{"node", b}, {"path", "network"}}), 1);
  EXPECT_EQ(now.value("velo_events_remote_awaits_total", {{"node", b}, {"path", "active"}}), 1);
  EXPECT_EQ(now.value("velo_events_remote_awaits_total", {{"node", b}, {"path", "completed"}}), 1);
  EXPECT_EQ(now.value("velo_events_owner_lost_total", {{"node", b}}), 0);
}

TEST(EventMetrics, CountOwnersThatAreLost) {
  Registry registry;
  Machines machines(2);
  machines.cluster.outsiders = true;
  ASSERT_TRUE(machines.cluster[1].publish_metrics(registry));
  auto awaiter = machines[1].awaiter(machines.make(0).into_handle());
  ASSERT_TRUE(machines.subscribed(0));
  machines.cluster.sim.isolate(machines.cluster.sim.node(0));
  EXPECT_EQ(machines.code(std::move(awaiter)), "events.owner_lost");
  EXPECT_EQ(registry.snapshot().value("velo_events_owner_lost_total",
                                      {{"node", machines.cluster.id(1).to_string()}}),
            1);
  machines.cluster.sim.heal();
}

static bool has_any(const Registry& registry) {
  return std::ranges::any_of(registry.snapshot().families, [](const auto& family) {
    return std::string_view(family.name).starts_with("velo_events_");
  });
}

TEST(EventMetrics, GoWithTheMessenger) {
  Registry registry;
  std::optional<EventManager> kept;
  {
    Machines machines(1);
    ASSERT_TRUE(machines.cluster[0].publish_metrics(registry));
    kept = machines[0];
    EXPECT_TRUE(has_any(registry));
  }
  EXPECT_FALSE(has_any(registry));
}

}  // namespace velo::events::event_metrics_test
