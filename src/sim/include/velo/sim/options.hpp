// SPDX-License-Identifier: Apache-2.0
// What a simulation is like before faults: latencies, bandwidth, windows, fragmentation, clocks.
// Rates are per million, durations are virtual; nothing here is a floating-point number.
// Threading: value types.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace velo::sim {

/// A delay between `min` and `max`, both included, drawn from an integer table.
struct Latency {
  enum class Shape : std::uint8_t {
    uniform,
    long_tail,  ///< most draws close to min, about 1 in 16 in the upper half
  };
  Duration min{0};
  Duration max{0};
  Shape shape = Shape::uniform;

  Latency() = default;
  Latency(Duration low, Duration high, Shape s = Shape::uniform) : min(low), max(high), shape(s) {}
};

/// One direction between two machines.
struct LinkOptions {
  Latency latency{std::chrono::microseconds(100), std::chrono::microseconds(500),
                  Latency::Shape::long_tail};
  std::uint64_t bytes_per_second = 0;  ///< 0: no limit; shared by all that travels this way
  std::uint32_t reset_per_million_segments = 0;  ///< a lost segment is seen as a reset by both ends
  std::uint32_t datagram_loss_per_million = 0;
  std::uint32_t datagram_duplicate_per_million = 0;
  std::uint32_t datagram_reorder_per_million = 0;  ///< delayed by up to four more latencies

  LinkOptions() = default;
};

struct SimOptions {
  LinkOptions link;   ///< between machines
  LinkOptions local;  ///< loopback and Unix sockets; 2 to 20 microseconds

  /// Bytes in flight and unread per direction of a stream, after which try_write says would_block.
  std::size_t send_window_bytes = std::size_t{256} << 10;
  /// A segment is at most this long; 1 delivers byte by byte.
  std::size_t segment_bytes_max = std::size_t{64} << 10;
  std::uint32_t fragment_per_million = 100'000;    ///< segments cut at a random place
  std::uint32_t short_write_per_million = 10'000;  ///< writes that take only a part
  /// A stream whose segments or acknowledgements cannot pass for this long fails at its sender.
  Duration connection_timeout = std::chrono::seconds(20);

  /// From a task being posted to the idle pool until a worker takes it.
  Latency pool_delay{Duration::zero(), std::chrono::microseconds(20)};
  /// Virtual time that one turn of a shard takes. With zero, timers run at their exact instants.
  Duration turn_cost{0};

  /// A crash cuts what was appended to a file within the last `append_flush_delay` at a random
  /// place.
  bool torn_appends = false;
  Duration append_flush_delay = std::chrono::seconds(5);

  /// Each node's monotonic clock starts within 0 and this; its wall clock is off by up to this,
  /// either way.
  Duration clock_offset_max{0};
  /// Each node's clock runs fast or slow by up to this many parts per million.
  std::int32_t clock_drift_ppm_max = 0;
  std::int64_t start_unix_nanoseconds = 1'767'225'600'000'000'000;  ///< 2026-01-01 UTC

  /// More events than this at one instant end a run: something posts to itself without end.
  std::uint64_t events_per_instant_max = 10'000'000;

  SimOptions() {
    local.latency = Latency(std::chrono::microseconds(2), std::chrono::microseconds(20));
  }
};

struct NodeOptions {
  std::size_t shards = 1;
  /// Nodes of one machine share its address, ports, Unix sockets and files. Empty: a machine of its
  /// own.
  std::string machine;
  /// Added to what SimOptions draws.
  Duration clock_offset{0};
  Duration wall_clock_offset{0};
  std::int32_t clock_drift_ppm = 0;

  NodeOptions() = default;
};

}  // namespace velo::sim
