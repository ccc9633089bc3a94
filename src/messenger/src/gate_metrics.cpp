// SPDX-License-Identifier: Apache-2.0
// The series of each gate.

#include "gate_metrics.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace velo::messenger {
namespace gate_metrics_detail {

using transport::GateCounts;
using transport::GateRefusal;

struct Total {
  metrics::Kind kind;
  const char* name;
  const char* help;
  std::uint64_t GateCounts::* number;
};

constexpr std::array totals{
    Total{metrics::Kind::counter, "velo_gate_admitted_total",
          "Connections that a listener let in, to authenticate themselves if asked to.",
          &GateCounts::admitted},
    Total{metrics::Kind::counter, "velo_gate_authenticated_total",
          "Connections of these that proved who they are, or were never asked.",
          &GateCounts::authenticated},
    Total{metrics::Kind::gauge, "velo_gate_connections", "Connections that a listener has.",
          &GateCounts::connections},
    Total{metrics::Kind::gauge, "velo_gate_unauthenticated",
          "Connections that have not proved who they are yet.", &GateCounts::unauthenticated},
};

}  // namespace gate_metrics_detail

GateMetrics::GateMetrics(const InstanceId& node,
                         const std::vector<std::unique_ptr<transport::Transport>>& transports)
    : node_(node.to_string()), transports_(transports) {}

Result<void> GateMetrics::add_to(metrics::Registry& registry) {
  metrics::ObservedSeries series(registry, {{"node", node_}});
  for (const auto& transport : transports_) add(series, *transport);
  auto observed = series.take();
  if (!observed) return observed.error();
  observations_ = std::move(*observed);
  return {};
}

void GateMetrics::add(metrics::ObservedSeries& series, const transport::Transport& transport) {
  const std::string key(transport.key());
  for (const auto& total : gate_metrics_detail::totals) {
    series.add(total.kind, total.name, total.help, {{"transport", key}},
               [&transport, number = total.number] {
                 return static_cast<std::int64_t>(transport.gate_counts().*number);
               });
  }
  for (std::size_t i = 0; i < transport::gate_refusals; ++i) {
    const auto reason = static_cast<transport::GateRefusal>(i);
    series.add(metrics::Kind::counter, "velo_gate_refused_total",
               "Connections that a listener did not let in, or put out, by reason.",
               {{"transport", key}, {"reason", std::string(transport::name_of(reason))}},
               [&transport, reason] {
                 return static_cast<std::int64_t>(transport.gate_counts().refused_for(reason));
               });
  }
}

}  // namespace velo::messenger
