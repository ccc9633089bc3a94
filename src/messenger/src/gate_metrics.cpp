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
  for (const auto& transport : transports_) {
    if (Result<void> added = add(registry, *transport); !added) {
      observations_.clear();
      return added;
    }
  }
  return {};
}

Result<void> GateMetrics::add(metrics::Registry& registry, const transport::Transport& transport) {
  const auto observe = [&](metrics::Kind kind, const char* name, const char* help,
                           metrics::Labels labels,
                           std::move_only_function<std::int64_t()> read) -> Result<void> {
    labels.emplace_back("node", node_);
    labels.emplace_back("transport", transport.key());
    auto observed = registry.observe(kind, name, help, std::move(labels), std::move(read));
    if (!observed) return observed.error();
    observations_.push_back(std::move(*observed));
    return {};
  };
  for (const auto& total : gate_metrics_detail::totals) {
    const auto read = [&transport, number = total.number] {
      return static_cast<std::int64_t>(transport.gate_counts().*number);
    };
    if (auto added = observe(total.kind, total.name, total.help, {}, read); !added) return added;
  }
  for (std::size_t i = 0; i < transport::gate_refusals; ++i) {
    const auto reason = static_cast<transport::GateRefusal>(i);
    const auto read = [&transport, reason] {
      return static_cast<std::int64_t>(transport.gate_counts().refused_for(reason));
    };
    auto added = observe(metrics::Kind::counter, "velo_gate_refused_total",
                         "Connections that a listener did not let in, or put out, by reason.",
                         {{"reason", std::string(transport::name_of(reason))}}, read);
    if (!added) return added;
  }
  return {};
}

}  // namespace velo::messenger
