// SPDX-License-Identifier: Apache-2.0
// What the gates of one messenger's transports let in and refused, as metrics of a registry: one
// series a transport and a reason, read when somebody scrapes.
// Threading: made and destroyed on any thread; the registry reads on that of the scrape. Destroying
// waits for a scrape that goes on.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/observed_series.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::messenger {

class GateMetrics {
 public:
  /// The transports outlive it.
  GateMetrics(const InstanceId& node,
              const std::vector<std::unique_ptr<transport::Transport>>& transports);
  GateMetrics(const GateMetrics&) = delete;
  GateMetrics& operator=(const GateMetrics&) = delete;
  ~GateMetrics() = default;

  /// The first series that the registry refuses fails it. Once.
  Result<void> add_to(metrics::Registry& registry);

 private:
  static void add(metrics::ObservedSeries& series, const transport::Transport& transport);

  const std::string node_;
  const std::vector<std::unique_ptr<transport::Transport>>& transports_;
  std::vector<metrics::Observation> observations_;
};

}  // namespace velo::messenger
