// SPDX-License-Identifier: Apache-2.0
// What a simulation is like before faults: latencies, bandwidth, windows, fragmentation, clocks.
// Rates are per million, durations are virtual; nothing here is a floating-point number.
// Threading: value types.
#pragma once

#include <velo/base/time.hpp>
#include <velo/sim/limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace velo::sim {

/// Of a million draws `per_million` are at most `at_most`.
struct LatencyPoint {
  std::uint32_t per_million = 0;
  Duration at_most{0};

  LatencyPoint() = default;
  LatencyPoint(std::uint32_t rank, Duration latency) : per_million(rank), at_most(latency) {}
};

/// A delay between `min` and `max`, both included, drawn from an integer table.
struct Latency {
  enum class Shape : std::uint8_t {
    uniform,
    long_tail,    ///< most draws close to min, about 1 in 16 in the upper half
    heavy_tail,   ///< twice as long is half as likely: 1 in 512 in the upper half, half of all
                  ///< draws within 0.1 percent of min
    percentiles,  ///< as measured: see percentiles()
  };
  Duration min{0};
  Duration max{0};
  Shape shape = Shape::uniform;
  std::vector<LatencyPoint> points;  ///< of Shape::percentiles only

  Latency() = default;
  Latency(Duration low, Duration high, Shape s = Shape::uniform) : min(low), max(high), shape(s) {}

  /// Always the same.
  static Latency fixed(Duration latency) { return {latency, latency}; }
  /// From a measured distribution, evenly between its points:
  /// `percentiles(80us, {{500'000, 100us}, {990'000, 2ms}, {1'000'000, 40ms}})`. Ranks and
  /// latencies ascend, the last rank is a million, at most limits::latency_points_max; anything
  /// else is a defect.
  static Latency percentiles(Duration min, std::vector<LatencyPoint> points);
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
  /// place. write_atomic() syncs and is never torn.
  bool torn_appends = false;
  /// Where appends are torn, each 512-byte sector of what the cut left of them may also have been
  /// lost: then it reads as zeros.
  bool torn_holes = false;
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
  /// As whom the process runs: what its Unix sockets tell the other end.
  std::uint32_t user = 1000;
  std::uint32_t group = 1000;

  NodeOptions() = default;
};

}  // namespace velo::sim
