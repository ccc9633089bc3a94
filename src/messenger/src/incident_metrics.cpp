// SPDX-License-Identifier: Apache-2.0
// Which incident is which series.

#include "incident_metrics.hpp"

#include "incidents.hpp"
#include "ledger.hpp"

#include <velo/base/observed_series.hpp>

#include <algorithm>
#include <utility>

namespace velo::messenger {
namespace incident_metrics_detail {

struct Series {
  const char* first;   ///< label
  const char* second;  ///< label
  Incident incident;
};

/// By stage and reason.
constexpr Series failures[] = {
    {"dispatch", "unknown_handler", Incident::unknown_handler},
    {"dispatch", "ordered_lane_shed", Incident::lane_shed},
    {"dispatch", "ordered_handler_panic", Incident::ordered_handler_threw},
    {"dispatch", "handler_panic", Incident::handler_threw},
    {"deserialize", "typed_input", Incident::unreadable_input},
    {"response_send", "ack_nack", Incident::ack_unsent},
    {"response_send", "unary", Incident::reply_unsent},
    {"response_send", "unary_error", Incident::error_unsent},
};
/// By path and outcome.
constexpr Series resolutions[] = {
    {"handshake", "attempt", Incident::greeting_sent},
    {"handshake", "success", Incident::greeted},
    {"handshake", "error", Incident::greeting_failed},
    {"discovery", "success", Incident::peer_found},
    {"discovery", "error", Incident::peer_not_found},
    {"send", "error", Incident::connection_gone},
};
constexpr const char* failures_name = "velo_messenger_dispatch_failures_total";
constexpr const char* failures_help =
    "Requests that arrived and did not get as far as an answer, by where and why.";
constexpr const char* resolutions_name = "velo_messenger_client_resolution_total";
constexpr const char* resolutions_help =
    "How sends found their way: by a connection that was there, by one that was greeted for them, "
    "by discovery; and those whose connection closed before they had left.";

}  // namespace incident_metrics_detail

Result<void> IncidentMetrics::add_to(metrics::Registry& registry) {
  using namespace incident_metrics_detail;
  constexpr auto counter = metrics::Kind::counter;
  metrics::ObservedSeries series(registry, {{"node", node_}});
  const auto add = [&](const char* name, const char* help, metrics::Labels labels, Incident what) {
    series.add(counter, name, help, std::move(labels),
               [this, what] { return static_cast<std::int64_t>(ledger_.incidents.of(what)); });
  };
  for (const Series& each : failures) {
    add(failures_name, failures_help, {{"stage", each.first}, {"reason", each.second}},
        each.incident);
  }
  series.add(counter, failures_name, failures_help,
             {{"stage", "decode"}, {"reason", "active_message"}},
             [this] { return static_cast<std::int64_t>(ledger_.malformed_count()); });
  for (const Series& each : resolutions) {
    add(resolutions_name, resolutions_help, {{"path", each.first}, {"outcome", each.second}},
        each.incident);
  }
  // Those that waited are counted after a connection took them: a counter must not go back.
  series.add(
      counter, resolutions_name, resolutions_help, {{"path", "direct"}, {"outcome", "success"}},
      [this, highest = std::int64_t{0}]() mutable {
        const auto waited = static_cast<std::int64_t>(ledger_.incidents.of(Incident::waited));
        const auto accepted = static_cast<std::int64_t>(ledger_.totals().stages.accepted);
        highest = std::max(highest, accepted - waited);
        return highest;
      });
  auto observed = series.take();
  if (!observed) return observed.error();
  observations_ = std::move(*observed);
  return {};
}

}  // namespace velo::messenger
