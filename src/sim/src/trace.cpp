// SPDX-License-Identifier: Apache-2.0
// Names of trace records.

#include <velo/sim/trace.hpp>

namespace velo::sim {

std::string_view trace_kind_name(TraceKind kind) noexcept {
  switch (kind) {
    case TraceKind::task: return "task";
    case TraceKind::pool_task: return "pool_task";
    case TraceKind::timer: return "timer";
    case TraceKind::segment: return "segment";
    case TraceKind::readable: return "readable";
    case TraceKind::writable: return "writable";
    case TraceKind::accepted: return "accepted";
    case TraceKind::connected: return "connected";
    case TraceKind::connect_failed: return "connect_failed";
    case TraceKind::datagram: return "datagram";
    case TraceKind::end_of_stream: return "end_of_stream";
    case TraceKind::reset: return "reset";
    case TraceKind::timed_out: return "timed_out";
    case TraceKind::fault: return "fault";
    case TraceKind::boot: return "boot";
    case TraceKind::crash: return "crash";
    case TraceKind::file: return "file";
    case TraceKind::after_crash: return "after_crash";
    case TraceKind::datagram_lost: return "datagram_lost";
    case TraceKind::cleanup: return "cleanup";
  }
  return "unknown";
}

}  // namespace velo::sim
