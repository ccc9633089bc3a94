// SPDX-License-Identifier: Apache-2.0
// All that one messenger publishes: its books, how full it is, what the gates of its transports
// saw, and what its subsystems say of themselves.
// Threading: under the messenger's lock for metrics.
#pragma once

#include "books_metrics.hpp"
#include "gate_metrics.hpp"
#include "watch_metrics.hpp"

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
              std::function<Books()> read, std::function<NodeWatch()> look)
      : registry_(registry),
        books_(node, std::move(read)),
        watch_(node, std::move(look)),
        gates_(node, transports) {
    std::vector<std::string> keys;
    for (const auto& transport : transports) keys.emplace_back(transport->key());
    add_watch_metrics(watch_, keys);
  }

  /// All series of the messenger's own or none. Once.
  Result<void> add_own() {
    Result<void> added = books_.add_to(registry_);
    if (added) added = watch_.add_to(registry_);
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
  ObservedState<NodeWatch> watch_;
  GateMetrics gates_;
  std::map<std::string, std::shared_ptr<void>> subsystems_;
};

}  // namespace velo::messenger
