// SPDX-License-Identifier: Apache-2.0
// The books of one messenger as metrics of a registry: one series a pattern, a fate, a reason and
// an end, read when somebody scrapes. Nothing is counted here.
// Threading: as ObservedState.
#pragma once

#include "observed_state.hpp"

#include <velo/messenger/fates.hpp>

#include <functional>

namespace velo::messenger {

class BooksMetrics {
 public:
  /// `read` must be callable until this is gone, from any thread.
  BooksMetrics(const InstanceId& node, std::function<Books()> read);

  /// The first series that the registry refuses fails it. Once.
  Result<void> add_to(metrics::Registry& registry) { return state_.add_to(registry); }

 private:
  void add_sends();
  void add_rejections();
  void add_requests();
  void add_paths();

  ObservedState<Books> state_;
};

}  // namespace velo::messenger
