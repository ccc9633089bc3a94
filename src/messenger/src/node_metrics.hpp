// SPDX-License-Identifier: Apache-2.0
// All that one messenger publishes: its books, what went wrong on the way, how full it is, what the
// gates of its transports saw, and what its subsystems say of themselves.
// Threading: under the messenger's lock for metrics.
#pragma once

#include "books_metrics.hpp"
#include "gate_metrics.hpp"
#include "incident_metrics.hpp"
#include "meters.hpp"
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
  /// As BooksMetrics, IncidentMetrics and GateMetrics; the registry outlives it.
  NodeMetrics(metrics::Registry& registry, const InstanceId& node,
              const std::vector<std::unique_ptr<transport::Transport>>& transports,
              const Ledger& ledger, std::function<Books()> read, std::function<NodeWatch()> look)
      : registry_(registry),
        books_(node, std::move(read)),
        incidents_(node, ledger),
        watch_(node, std::move(look)),
        gates_(node, transports) {
    for (const auto& transport : transports) keys_.emplace_back(transport->key());
    add_watch_metrics(watch_, keys_);
  }
  NodeMetrics(const NodeMetrics&) = delete;
  NodeMetrics& operator=(const NodeMetrics&) = delete;
  ~NodeMetrics() {
    for (const auto& [handler, meter] : meters_->handlers) handler->set_meter(nullptr);
  }

  /// All series of the messenger's own or none. Once.
  Result<void> add_own() {
    Result<void> added = books_.add_to(registry_);
    if (added) added = incidents_.add_to(registry_);
    if (added) added = watch_.add_to(registry_);
    return added ? gates_.add_to(registry_) : added;
  }
  /// All of them or the first error; those that were added stay.
  Result<void> add_frames() {
    for (const std::string& key : keys_) {
      auto meter = FrameMeter::make(registry_, key);
      if (!meter) return meter.error();
      meters_->frames.emplace(key, std::move(*meter));
    }
    return {};
  }
  /// Of a transport with that key, or null.
  const FrameMeter* frames_of(std::string_view transport) const {
    const auto found = meters_->frames.find(transport);
    return found == meters_->frames.end() ? nullptr : found->second.get();
  }
  /// To be kept while somebody may count who has not seen yet that nothing is published any longer.
  std::shared_ptr<void> meters() const { return meters_; }
  /// A handler that stays where it is; of one that was added before, nothing.
  Result<void> add(const Handler& handler) {
    if (handler.meter() != nullptr) return {};
    auto meter = HandlerMeter::make(registry_, handler);
    if (!meter) return meter.error();
    handler.set_meter(meter->get());
    meters_->handlers.emplace_back(&handler, std::move(*meter));
    return {};
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
  std::vector<std::string> keys_;
  struct Meters {
    std::map<std::string, std::unique_ptr<FrameMeter>, std::less<>> frames;
    std::vector<std::pair<const Handler*, std::unique_ptr<HandlerMeter>>> handlers;
  };
  std::shared_ptr<Meters> meters_ = std::make_shared<Meters>();
  BooksMetrics books_;
  IncidentMetrics incidents_;
  ObservedState<NodeWatch> watch_;
  GateMetrics gates_;
  std::map<std::string, std::shared_ptr<void>> subsystems_;
};

}  // namespace velo::messenger
