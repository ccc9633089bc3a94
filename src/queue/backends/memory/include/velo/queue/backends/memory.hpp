// SPDX-License-Identifier: Apache-2.0
// A WorkQueue in this process's memory: what it holds ends with it. It keeps time on shard 0 of its
// World.
// Threading: any thread. The World outlives it and every Op of it.
#pragma once

#include <velo/base/world.hpp>
#include <velo/queue/queue.hpp>

#include <memory>
#include <string>

namespace velo::queue {

/// `name` is for dead letters ("queue:NAME") and logs. The queue's end, when nobody holds it any
/// longer, ends all that waits as Errc::closed.
std::shared_ptr<WorkQueue> make_memory_queue(World& world, std::string name,
                                             QueueOptions options = QueueOptions());

}  // namespace velo::queue
