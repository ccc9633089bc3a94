// SPDX-License-Identifier: Apache-2.0
// All that one messenger publishes: its books, and what the gates of its transports saw.
// Threading: as its parts.
#pragma once

#include "books_metrics.hpp"
#include "gate_metrics.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace velo::messenger {

class NodeMetrics {
 public:
  /// As BooksMetrics and GateMetrics.
  NodeMetrics(const InstanceId& node,
              const std::vector<std::unique_ptr<transport::Transport>>& transports,
              std::function<Books()> read)
      : books_(node, std::move(read)), gates_(node, transports) {}

  /// All series or none. Once.
  Result<void> add_to(metrics::Registry& registry) {
    Result<void> added = books_.add_to(registry);
    return added ? gates_.add_to(registry) : added;
  }

 private:
  BooksMetrics books_;
  GateMetrics gates_;
};

}  // namespace velo::messenger
