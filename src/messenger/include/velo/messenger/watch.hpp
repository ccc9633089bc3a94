// SPDX-License-Identifier: Apache-2.0
// What one messenger looks like at an instant, for who operates it: its books, what is queued and
// for how long, how long calls take, peer by peer. What `_watch` answers with.
// Threading: value types.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/time.hpp>
#include <velo/codec/describe.hpp>
#include <velo/messenger/drain.hpp>
#include <velo/messenger/fates.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace velo {

/// How many durations were at most that long, and longer than the bucket before.
struct LatencyBucket {
  std::uint64_t at_most_ns = 0;
  std::uint64_t count = 0;

  LatencyBucket() = default;
  LatencyBucket(std::uint64_t bound, std::uint64_t n) : at_most_ns(bound), count(n) {}
  friend bool operator==(const LatencyBucket&, const LatencyBucket&) = default;
};
VELO_DESCRIBE(LatencyBucket, at_most_ns, count);

/// Of one in limits::timed_one_in, taken evenly; buckets at most a quarter wide, without the empty
/// ones.
using LatencyBuckets = std::vector<LatencyBucket>;

/// The bound of the bucket in which `percent` (0 to 100) of all are reached; zero when empty.
Duration latency_percentile(const LatencyBuckets& counts, double percent) noexcept;
/// What came since `before`, of the same messenger.
LatencyBuckets latencies_since(const LatencyBuckets& before, const LatencyBuckets& now);

/// One peer as it is connected just now.
struct PeerWatch {
  InstanceId peer;
  std::vector<std::string> transports;  ///< of its connections, either way; empty: none
  std::uint64_t queued_bytes = 0;       ///< frames that wait to be written
  std::uint64_t queued_sends = 0;       ///< that wait to be connected, or for the peer's window
  std::uint64_t running = 0;            ///< its requests here that are not over
};
VELO_DESCRIBE_DEFAULTS(PeerWatch, peer, transports, queued_bytes, queued_sends, running);

struct NodeWatch {
  InstanceId instance;
  std::int64_t at_ns = 0;  ///< of the messenger's own clock: only differences mean something
  std::string phase;       ///< of its life: serving, draining, flushing, closed
  Books books;
  std::vector<PeerWatch> peers;   ///< in the order of their ids
  std::uint64_t known_peers = 0;  ///< connected or not
  std::uint64_t connections = 0;
  std::uint64_t queued_bytes = 0;   ///< of all connections
  std::uint64_t waiting_sends = 0;  ///< for a call slot
  std::uint64_t lanes = 0;          ///< of ordered handlers, idle ones included
  std::uint64_t lane_depth = 0;     ///< requests that wait for their turn, in lanes or without
  std::uint64_t memory_used = 0;
  std::uint64_t memory_max = 0;
  std::uint64_t memory_refused = 0;
  std::int64_t oldest_call_ns = 0;     ///< how long ago it began; 0: none is in flight
  std::int64_t oldest_request_ns = 0;  ///< how long ago it came; 0: none is running or queued
  LatencyBuckets calls;                ///< of sends, from their beginning to their end
  LatencyBuckets requests;             ///< of what was asked of it, from arrival to the answer
};
VELO_DESCRIBE_DEFAULTS(NodeWatch, instance, at_ns, phase, books, peers, known_peers, connections,
                       queued_bytes, waiting_sends, lanes, lane_depth, memory_used, memory_max,
                       memory_refused, oldest_call_ns, oldest_request_ns, calls, requests);

/// What `_drain` is asked.
struct DrainRequest {
  std::int64_t patience_ns = 0;  ///< at most limits::remote_drain_patience_max
  bool wait_for_own_calls = false;
};
VELO_DESCRIBE_DEFAULTS(DrainRequest, patience_ns, wait_for_own_calls);

/// How it went, told before the connections close.
struct DrainReport {
  bool in_time = false;
  std::uint64_t running = 0;          ///< requests that were cut off
  std::uint64_t replies_waiting = 0;  ///< that found no connection
  std::uint64_t own_calls = 0;        ///< in flight; cut off, too
  std::uint64_t subsystems = 0;       ///< streams, transfers and the like that had not ended
  std::string why;                    ///< empty in time
};
VELO_DESCRIBE_DEFAULTS(DrainReport, in_time, running, replies_waiting, own_calls, subsystems, why);

}  // namespace velo
