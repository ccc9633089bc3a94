// SPDX-License-Identifier: Apache-2.0
// All that one messenger publishes: its books, what the gates of its transports saw, and what its
// subsystems say of themselves.
// Threading: under the messenger's lock for metrics.
#pragma once

#include "books_metrics.hpp"
#include "gate_metrics.hpp"

#include <velo/messenger/subsystem.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger {

class NodeMetrics {
 public:
  /// As BooksMetrics and GateMetrics; the registry outlives it.
  NodeMetrics(metrics::Registry& registry, const InstanceId& node,
              const std::vector<std::unique_ptr<transport::Transport>>& transports,
              std::function<Books()> read)
      : registry_(registry), books_(node, std::move(read)), gates_(node, transports) {}

  /// All series of the messenger's own or none. Once.
  Result<void> add_own() {
    Result<void> added = books_.add_to(registry_);
    return added ? gates_.add_to(registry_) : added;
  }
  /// Of one that was added before, nothing.
  Result<void> add(Subsystem& subsystem) {
    const std::string name(subsystem.name());
    if (subsystems_.contains(name)) return {};
    auto published = subsystem.publish_metrics(registry_);
    if (!published) return published.error();
    subsystems_.emplace(name, std::move(*published));
    return {};
  }

 private:
  metrics::Registry& registry_;
  BooksMetrics books_;
  GateMetrics gates_;
  std::map<std::string, std::shared_ptr<void>> subsystems_;
};

}  // namespace velo::messenger
