// SPDX-License-Identifier: Apache-2.0
// What can be chosen: of one anchor, and of a node's streams as a whole.
// Threading: values.
#pragma once

#include <velo/base/time.hpp>
#include <velo/streaming/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace velo {

/// When what was sent leaves.
enum class FlushPolicy : std::uint8_t {
  /// At the end of the turn of the I/O shard that serves the peer: what is there by then goes out
  /// together; nothing ever waits for more.
  automatic,
  /// With Streams::flush_batch(), when a batch is full, and along with anything that velo itself
  /// has to tell the peer (credit, an opening, an ending, a heartbeat).
  manual,
};

struct StreamOptions {
  /// How long the anchor waits for a sender, at first and after a detachment; nullopt: for ever.
  std::optional<Duration> unattached_timeout;
  /// At least limits::heartbeat_min. A dead peer is noticed after three of them.
  Duration heartbeat = streaming::limits::heartbeat_default;
  /// Items that the consumer has not taken, of one sender; 1 to
  /// streaming::limits::stream_frames_max.
  std::uint32_t frames = streaming::limits::stream_frames_default;
  /// The same in bytes; at most streaming::limits::stream_bytes_max. A larger item goes alone.
  std::size_t bytes = streaming::limits::stream_bytes_max;
  /// Of a many-to-one anchor.
  std::size_t senders_max = streaming::limits::senders_default;

  StreamOptions() = default;
};

struct StreamingOptions {
  FlushPolicy flush = FlushPolicy::automatic;

  StreamingOptions() = default;
};

}  // namespace velo
