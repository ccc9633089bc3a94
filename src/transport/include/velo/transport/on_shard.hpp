// SPDX-License-Identifier: Apache-2.0
// Runs something on a shard and waits for it: for stopping, where an object must be let go of on
// its own thread. Not for anything that happens often, and not from another shard.
// Threading: any thread that may wait for the shard, or the shard's own.
#pragma once

#include <velo/base/world.hpp>

#include <semaphore>

namespace velo::transport {

/// `function` has run when this returns: here, when the calling thread is the shard's or the shard
/// runs on it (simulation).
template <class F>
void run_on_shard(Shard& shard, F&& function) {
  if (shard.on_this_thread() || !shard.others_may_block()) return function();
  std::binary_semaphore done{0};
  struct Call {
    F& function;
    std::binary_semaphore& done;
  } call{function, done};
  shard.post(Task0{[](void* argument) {
                     auto* inside = static_cast<Call*>(argument);
                     std::binary_semaphore& finished = inside->done;
                     inside->function();
                     finished.release();
                   },
                   &call});
  done.acquire();
}

}  // namespace velo::transport
