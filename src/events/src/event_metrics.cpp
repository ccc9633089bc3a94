// SPDX-License-Identifier: Apache-2.0
// Which count is which series.

#include "event_metrics.hpp"

#include <velo/base/observed_series.hpp>

#include <utility>

namespace velo::events {
namespace event_metrics_detail {

struct Series {
  metrics::Kind kind;
  const char* name;
  const char* help;
  std::uint64_t EventCounts::* number;
  const char* label = nullptr;
  const char* value = nullptr;
};

constexpr auto gauge = metrics::Kind::gauge;
constexpr auto counter = metrics::Kind::counter;
constexpr const char* completed = "velo_events_completed_total";
constexpr const char* completed_help = "Own events that are over, by how.";
constexpr const char* awaits = "velo_events_remote_awaits_total";
constexpr const char* awaits_help =
    "Awaiters of others' events, by how they were served: known to be over, with an earlier one "
    "that waits, or by asking the owner.";

constexpr Series all[] = {
    {gauge, "velo_events_pending", "Own events that are not over.", &EventCounts::pending},
    {gauge, "velo_events_awaited", "Others' events that are awaited here.",
     &EventCounts::remote_awaits},
    {gauge, "velo_events_subscriptions", "Machines that await own events, one for each event.",
     &EventCounts::subscriptions},
    {gauge, "velo_events_unacknowledged",
     "Completions that subscribers have not acknowledged (limit: unacknowledged_max).",
     &EventCounts::unacknowledged},
    {counter, "velo_events_created_total", "Events made.", &EventCounts::created},
    {counter, completed, completed_help, &EventCounts::triggered, "outcome", "ready"},
    {counter, completed, completed_help, &EventCounts::poisoned, "outcome", "poisoned"},
    {counter, awaits, awaits_help, &EventCounts::awaits_known, "path", "completed"},
    {counter, awaits, awaits_help, &EventCounts::awaits_shared, "path", "active"},
    {counter, awaits, awaits_help, &EventCounts::awaits_asked, "path", "network"},
    {counter, "velo_events_owner_lost_total",
     "Others' events that were poisoned here because their owner was gone.",
     &EventCounts::owners_lost},
    {counter, "velo_events_messages_total", "Messages of events sent to others.",
     &EventCounts::messages},
};

}  // namespace event_metrics_detail

Result<void> EventMetrics::add_to(metrics::Registry& registry) {
  metrics::ObservedSeries series(registry, {{"node", node_}});
  for (const auto& each : event_metrics_detail::all) {
    metrics::Labels labels;
    if (each.label != nullptr) labels.emplace_back(each.label, each.value);
    series.add(each.kind, each.name, each.help, std::move(labels),
               [this, number = each.number] { return static_cast<std::int64_t>(read_().*number); });
  }
  auto observed = series.take();
  if (!observed) return observed.error();
  observations_ = std::move(*observed);
  return {};
}

}  // namespace velo::events
