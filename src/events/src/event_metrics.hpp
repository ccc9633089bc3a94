// SPDX-License-Identifier: Apache-2.0
// What one manager counts, as metrics of a registry, read when somebody scrapes.
// Threading: made and destroyed on any thread; the registry reads on that of the scrape. Destroying
// waits for a scrape that goes on.
#pragma once

#include <velo/base/metrics.hpp>
#include <velo/events/event_manager.hpp>

#include <functional>
#include <string>
#include <vector>

namespace velo::events {

class EventMetrics {
 public:
  /// `node` labels every series. `read` is called by the registry.
  EventMetrics(std::string node, std::function<EventCounts()> read)
      : node_(std::move(node)), read_(std::move(read)) {}
  EventMetrics(const EventMetrics&) = delete;
  EventMetrics& operator=(const EventMetrics&) = delete;
  ~EventMetrics() = default;

  /// All series, or none and the registry's error. Once.
  Result<void> add_to(metrics::Registry& registry);

 private:
  const std::string node_;
  const std::function<EventCounts()> read_;
  std::vector<metrics::Observation> observations_;
};

}  // namespace velo::events
