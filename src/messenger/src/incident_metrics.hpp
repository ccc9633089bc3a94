// SPDX-License-Identifier: Apache-2.0
// Why requests did not get as far as an answer, and how sends found their way, as metrics under the
// public velo's names.
// Threading: made and destroyed on any thread; the registry reads on that of the scrape. Destroying
// waits for a scrape that goes on.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>

#include <string>
#include <vector>

namespace velo::messenger {

class Ledger;

class IncidentMetrics {
 public:
  /// The ledger outlives it.
  IncidentMetrics(const InstanceId& node, const Ledger& ledger)
      : node_(node.to_string()), ledger_(ledger) {}
  IncidentMetrics(const IncidentMetrics&) = delete;
  IncidentMetrics& operator=(const IncidentMetrics&) = delete;
  ~IncidentMetrics() = default;

  /// All series, or none and the registry's error. Once.
  Result<void> add_to(metrics::Registry& registry);

 private:
  const std::string node_;
  const Ledger& ledger_;
  std::vector<metrics::Observation> observations_;
};

}  // namespace velo::messenger
