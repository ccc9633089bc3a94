// SPDX-License-Identifier: Apache-2.0
// How far the orderly end of one messenger is.
// Threading: atomics from any thread; the rest as said at each.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/messenger/watch.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace velo::messenger {

class Impl;

struct DrainProgress {
  std::mutex mutex;
  std::shared_ptr<Promise<void>> promise;  ///< under the mutex
  bool over = false;                       ///< under the mutex
  /// Set once, before the connections close.
  Result<void> result = velo::make_error(velo::Errc::shutting_down, "cut short");
  /// Whom another instance asked, told before the connections close; under the mutex.
  std::move_only_function<void(const DrainReport&)> tell;
  std::vector<std::shared_ptr<Promise<void>>> closed;  ///< under the mutex
  bool own_calls = false;           ///< whether they are waited for; set before the first round
  TimePoint until;                  // shard 0 only
  bool begun = false;               // shard 0 only
  bool settling = false;            // shard 0 only
  Shard::TimerId timer = 0;         // shard 0 only
  std::shared_ptr<Impl> keepalive;  // shard 0 only
  std::atomic<std::uint64_t> replies_waiting{0};
  std::atomic<std::uint64_t> requests_cut_off{0};
  std::atomic<std::uint64_t> calls_cut_off{0};
  std::atomic<std::uint64_t> bytes_cut_off{0};
  std::atomic<bool> all_closed{false};
};

}  // namespace velo::messenger
