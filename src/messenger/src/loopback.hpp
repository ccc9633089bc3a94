// SPDX-License-Identifier: Apache-2.0
// The connection of a messenger to itself: frames are delivered on the sending thread, as over
// inproc, so that one's own id is a target like any other.
// Threading: any thread; deliveries nested too deeply are posted to the shard.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/transport/connection.hpp>

#include <atomic>
#include <memory>
#include <string_view>

namespace velo::messenger {

constexpr std::string_view loopback_key = "self";

/// Deliveries that are posted are charged to `budget`.
transport::ConnectionPtr make_loopback(Shard& shard, std::shared_ptr<MemoryBudget> budget);

}  // namespace velo::messenger
