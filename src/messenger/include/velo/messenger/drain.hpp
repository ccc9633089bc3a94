// SPDX-License-Identifier: Apache-2.0
// How a messenger is asked to end, how far it is, and what the end cut off. Three phases: it
// refuses (new requests are answered Errc::shutting_down, its announcement is withdrawn), waits for
// what it took in, and flushes and closes. Its own sends are allowed until the last phase begins,
// since handlers that are being waited for may need them.
// Threading: value types.
#pragma once

#include <velo/base/time.hpp>
#include <velo/messenger/limits.hpp>

#include <cstdint>

namespace velo {

struct ShutdownPolicy {
  /// Bound of the wait; what still runs then is cut off. Flushing has limits::flush_patience more.
  Duration patience = messenger::limits::drain_default;
  /// Waits for this side's own sends too. Otherwise they end as Errc::shutting_down when nothing
  /// that others asked for is left.
  bool wait_for_own_calls = false;

  ShutdownPolicy() = default;
  explicit ShutdownPolicy(Duration p, bool own_calls = false)
      : patience(p), wait_for_own_calls(own_calls) {}
};

enum class DrainPhase : std::uint8_t {
  serving,   ///< not shutting down
  draining,  ///< new requests are refused; what was taken in goes on
  flushing,  ///< what is queued is written; nothing new is sent or handled
  closed,    ///< every connection is closed
};

struct DrainState {
  DrainPhase phase = DrainPhase::serving;
  std::uint64_t running = 0;  ///< requests whose handlers have not ended; inline ones excepted
  std::uint64_t replies_waiting = 0;  ///< for a connection to a peer that must be dialled back
  std::uint64_t own_calls = 0;        ///< this side's sends that have not ended
  std::uint64_t subsystems = 0;       ///< streams, transfers and the like that are waited for
  std::uint64_t connections = 0;
  std::uint64_t bytes_queued = 0;  ///< accepted by connections, not yet handed to the system

  /// What the end did not wait for; complete once closed.
  std::uint64_t requests_cut_off = 0;
  std::uint64_t calls_cut_off = 0;
  std::uint64_t bytes_cut_off = 0;
};

}  // namespace velo
