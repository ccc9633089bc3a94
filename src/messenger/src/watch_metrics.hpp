// SPDX-License-Identifier: Apache-2.0
// How full a messenger is, as metrics of a registry: queues, connections, memory and the age of
// what waits longest, where the meaning is the same under the names of the public velo. What has
// happened is in the books.
// Threading: as ObservedState.
#pragma once

#include "observed_state.hpp"

#include <velo/messenger/watch.hpp>

#include <functional>
#include <string>
#include <vector>

namespace velo::messenger {

/// `transports`: the keys of those that are counted apart.
void add_watch_metrics(ObservedState<NodeWatch>& to, const std::vector<std::string>& transports);

}  // namespace velo::messenger
