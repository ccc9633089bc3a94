// SPDX-License-Identifier: Apache-2.0
// The trace of a simulation: one record per event, integers only. The hash of all records is what a
// replay must reproduce.
// Threading: value types.
#pragma once

#include <velo/base/time.hpp>

#include <cstdint>
#include <functional>
#include <string_view>

namespace velo::sim {

/// The numbers are part of the hash: never renumber.
enum class TraceKind : std::uint8_t {
  task = 1,       ///< id: count of the node's shard
  pool_task = 2,  ///< id: count of the node's pool
  timer = 3,      ///< id: the TimerId
  segment = 4,    ///< bytes reached a host; id: twice the connection, plus 1 towards its client
  readable = 5,   ///< id as for segment; length: bytes that can be read
  writable = 6,   ///< id as for segment
  accepted = 7,   ///< id: the connection
  connected = 8,  ///< id: the connection
  connect_failed = 9,  ///< id: the remote port
  datagram = 10,       ///< id: the receiving port
  end_of_stream = 11,  ///< id as for segment
  reset = 12,          ///< id as for segment
  timed_out = 13,      ///< id as for segment
  fault = 14,          ///< id: its FaultKind; length: `b`
  boot = 15,           ///< id: the incarnation
  crash = 16,          ///< id: the incarnation
  file = 17,           ///< a file was written, appended or removed; id: count of its disk
  after_crash = 18,    ///< a task posted to a crashed node, run for its clean-up only
  datagram_lost = 19,  ///< id: the port it was sent to
  cleanup = 20,        ///< what a crashed node's boot function returned was destroyed
};

struct TraceRecord {
  TimePoint at;
  std::uint32_t node = 0;
  TraceKind kind = TraceKind::task;
  std::uint64_t id = 0;
  std::uint64_t length = 0;
};

using TraceSink = std::function<void(const TraceRecord&)>;

std::string_view trace_kind_name(TraceKind kind) noexcept;

}  // namespace velo::sim
