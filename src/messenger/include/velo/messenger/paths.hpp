// SPDX-License-Identifier: Apache-2.0
// How a peer is reached when several transports lead to it: what the user wishes, what was chosen
// and why, and whether each transport works just now. Reports are described types, so that they
// travel and print.
// Threading: value types.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/time.hpp>
#include <velo/codec/describe.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo {

/// What the user says about paths; keys are those of transports ("tcp", "uds", ...).
struct PathPolicy {
  std::vector<std::string> prefer;  ///< before all others, in this order
  std::vector<std::string> never;   ///< not used for our own connections
  /// Beyond this host only what nobody on the way can read.
  bool private_beyond_host = false;

  PathPolicy() = default;
};

/// One transport that could lead to a peer.
struct PathCandidate {
  std::string transport;
  bool usable = false;  ///< it may be dialled
  bool chosen = false;  ///< requests travel on it now
  std::string reason;   ///< for people: why it is chosen, comes later, or is rejected
  std::string locality;
  bool is_private = false;
  std::optional<std::uint64_t> round_trip_ns;  ///< measured when it was greeted last
  std::uint32_t failures = 0;                  ///< in a row

  friend bool operator==(const PathCandidate&, const PathCandidate&) = default;
};
VELO_DESCRIBE(PathCandidate, transport, usable, chosen, reason, locality, is_private, round_trip_ns,
              failures);

/// How a node reaches a peer; see Messenger::explain_path().
struct PathReport {
  std::string from;  ///< instance ids
  std::string to;
  std::string chosen;                     ///< a transport's key; empty while there is no connection
  std::string why;                        ///< of the choice, or why there is none
  std::uint64_t epoch = 0;                ///< how often the path was chosen anew
  std::vector<PathCandidate> candidates;  ///< the best first
  std::uint64_t probes = 0;               ///< connections that were made to look at a better path
  std::uint64_t upgrades = 0;             ///< moves from one live connection to another
  std::uint64_t failovers = 0;            ///< a connection died, and another took over
  std::uint64_t resumed = 0;              ///< sends that a failover saved

  friend bool operator==(const PathReport&, const PathReport&) = default;
};
VELO_DESCRIBE(PathReport, from, to, chosen, why, epoch, candidates, probes, upgrades, failovers,
              resumed);

enum class PathHealthState : std::uint8_t {
  ok,                 ///< greeted on a fresh connection
  not_registered,     ///< no such peer, transport of ours, or entry of the peer for it
  unreachable_entry,  ///< the peer's entry leads nowhere from here
  connection_failed,  ///< it could not be connected to, or greeted
  timed_out,
};
constexpr const char* to_string(PathHealthState state) noexcept {
  switch (state) {
    case PathHealthState::ok: return "ok";
    case PathHealthState::not_registered: return "not registered";
    case PathHealthState::unreachable_entry: return "unreachable entry";
    case PathHealthState::connection_failed: return "connection failed";
    case PathHealthState::timed_out: break;
  }
  return "timed out";
}

/// What a fresh connection to the peer came to.
struct PathHealth {
  std::string transport;
  PathHealthState state = PathHealthState::not_registered;
  bool in_use = false;    ///< requests travel by this transport now
  Duration round_trip{};  ///< with ok: connecting excluded
  std::string detail;     ///< with failures: of what

  PathHealth() = default;
};

}  // namespace velo
