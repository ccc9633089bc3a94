// SPDX-License-Identifier: Apache-2.0
// How a handler's requests queue: in lanes, one message of a lane at a time, or side by side up to
// a number. What waits counts as running in the books, and ends like any other request: by its
// deadline, by its caller or by shutdown, without the handler having run.
// Threading: value types.
#pragma once

#include <velo/base/time.hpp>
#include <velo/messenger/limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo {

/// What shares a lane.
enum class OrderedKey : std::uint8_t {
  /// Each sender has a lane, whichever connection its messages come by: the instance that greeted
  /// on the connection, or the worker named in the message where nobody did.
  sender,
  global,  ///< one lane for all
};

/// What happens to a message whose lane is full.
enum class LaneOverflow : std::uint8_t {
  reject,           ///< it is answered Errc::overloaded
  displace_oldest,  ///< the oldest that waits is answered Errc::overloaded, and it takes a place
};

struct OrderedConfig {
  OrderedKey key = OrderedKey::sender;
  /// A lane that had nothing to do for that long is forgotten.
  Duration idle_lane_ttl = std::chrono::seconds(30);
  /// Lanes that run a message at once; 0: as many as there are.
  std::size_t max_concurrent = 0;
  /// Messages that wait in one lane, besides the one that runs; at least 1.
  std::size_t max_queue_depth = messenger::limits::lane_depth_default;
  LaneOverflow overflow = LaneOverflow::reject;

  OrderedConfig() = default;
};

}  // namespace velo
