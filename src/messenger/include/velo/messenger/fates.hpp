// SPDX-License-Identifier: Apache-2.0
// The books: how many sends of each pattern began, are in flight, and ended which way; and what the
// receiving side counted; in all, and with each peer. Each end is counted where it is decided, so
// `sent == in_flight + sum of ends` is a check, not a definition. Comparing two sides' books: see
// balance.hpp.
// Threading: value types; a snapshot is exact when nothing is being sent.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/codec/describe.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace velo {

/// The one end of a send.
enum class Fate : std::uint8_t {
  written = 0,       ///< fire: handed to the operating system
  acknowledged = 1,  ///< sync: the handler ended, well or with an error of its own
  handled = 2,       ///< unary: likewise
  rejected = 3,      ///< no handler ran
  expired = 4,       ///< the deadline passed; it may have been handled
  cancelled = 5,     ///< the caller gave up; it may have been handled
  unknown = 6,       ///< the connection died after writing; it may have been handled
};
constexpr std::size_t fate_count = 7;
std::string_view fate_name(Fate fate) noexcept;

/// How far a send got.
enum class SendStage : std::uint8_t {
  queued = 0,        ///< in this process: it waits for a call slot, a connection, or to be written
  written = 1,       ///< handed to the operating system (or to the receiver, in one process)
  acknowledged = 2,  ///< the receiver answered
};
std::string_view stage_name(SendStage stage) noexcept;

/// Where a send is. See send_status() and Outcome in call.hpp.
struct SendStatus {
  SendStage stage = SendStage::queued;
  bool ended = false;
  Fate fate = Fate::rejected;  ///< of an ended one
  /// False: certainly not, so that sending it again, anywhere, cannot have it handled twice.
  bool may_have_been_handled = false;
};

struct PatternBooks {
  std::uint64_t sent = 0;
  std::uint64_t in_flight = 0;
  std::array<std::uint64_t, fate_count> ends{};  ///< in the order of Fate

  std::uint64_t ended() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : ends) sum += count;
    return sum;
  }
  std::uint64_t operator[](Fate fate) const noexcept {
    return ends[static_cast<std::size_t>(fate)];
  }
  bool balanced() const noexcept { return sent == in_flight + ended(); }
};
VELO_DESCRIBE(PatternBooks, sent, in_flight, ends);

/// What arrived here, and what became of it.
struct ReceivedBooks {
  std::uint64_t requests = 0;  ///< well-formed requests, velo's own excepted
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;  ///< the handler returned an error or threw
  std::uint64_t rejected =
      0;  ///< unknown handler, wrong kind, overload, draining, undecodable headers
  std::uint64_t abandoned = 0;  ///< expired or cancelled, whatever the handler still did
  std::uint64_t malformed = 0;  ///< frames that were no message; not in `requests`

  bool balanced() const noexcept {
    return requests == running + succeeded + failed + rejected + abandoned;
  }
};
VELO_DESCRIBE(ReceivedBooks, requests, running, succeeded, failed, rejected, abandoned, malformed);

/// Sends that passed a stage, all patterns together.
struct StageBooks {
  std::uint64_t waited_for_slot = 0;        ///< await_capacity() had to
  std::uint64_t waited_for_connection = 0;  ///< the peer had to be found, dialled, greeted or asked
  std::uint64_t accepted = 0;               ///< a connection took it
};
VELO_DESCRIBE(StageBooks, waited_for_slot, waited_for_connection, accepted);

/// What a messenger with several transports did about its paths; zeros where there is one.
struct PathBooks {
  std::uint64_t probes = 0;     ///< connections that were made to look at a better path
  std::uint64_t upgrades = 0;   ///< moves from one live connection to another
  std::uint64_t failovers = 0;  ///< a connection died, and another took over
  /// Sends on a connection that died, and what the peer said of them on the next one: not received,
  /// so sent again;
  std::uint64_t resumed = 0;
  /// received, so not sent again.
  std::uint64_t deduplicated = 0;
  /// Nobody can say. Calls then end as Fate::unknown; fire-and-forget had ended as written, and is
  /// counted nowhere else.
  std::uint64_t lost = 0;

  PathBooks& operator+=(const PathBooks& other) noexcept {
    probes += other.probes;
    upgrades += other.upgrades;
    failovers += other.failovers;
    resumed += other.resumed;
    deduplicated += other.deduplicated;
    lost += other.lost;
    return *this;
  }
};
VELO_DESCRIBE(PathBooks, probes, upgrades, failovers, resumed, deduplicated, lost);

struct Books {
  PatternBooks fire;
  PatternBooks sync;
  PatternBooks unary;
  ReceivedBooks received;
  StageBooks stages;
  PathBooks paths;
  /// Why sends ended as rejected: error code ("messenger.not_sent") and how many.
  std::map<std::string, std::uint64_t> rejected_by;

  bool balanced() const noexcept {
    std::uint64_t reasons = 0;
    for (const auto& [code, count] : rejected_by) reasons += count;
    return fire.balanced() && sync.balanced() && unary.balanced() && received.balanced() &&
           reasons == fire[Fate::rejected] + sync[Fate::rejected] + unary[Fate::rejected];
  }
};
VELO_DESCRIBE_DEFAULTS(Books, fire, sync, unary, received, stages, paths, rejected_by);

/// Sends of one pattern to one peer: those that a connection to it took, and how they ended.
struct PeerSends {
  std::uint64_t accepted = 0;
  std::uint64_t in_flight = 0;
  std::array<std::uint64_t, fate_count> ends{};  ///< in the order of Fate

  std::uint64_t operator[](Fate fate) const noexcept {
    return ends[static_cast<std::size_t>(fate)];
  }
  /// Ends that only the receiver can have decided: it counted these.
  std::uint64_t certain() const noexcept {
    const PeerSends& self = *this;
    return self[Fate::acknowledged] + self[Fate::handled] + self[Fate::rejected];
  }
};
VELO_DESCRIBE(PeerSends, accepted, in_flight, ends);

/// One side's account of its traffic with one peer.
struct PeerBooks {
  InstanceId peer;  ///< nil: all peers beyond limits::book_accounts_max, and strangers
  PeerSends fire;
  PeerSends sync;
  PeerSends unary;
  /// Requests that came from the peer, by pattern: fire, sync, unary.
  std::array<std::uint64_t, 3> requests{};
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t rejected = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t closed = 0;  ///< connections with it, either way, that are over
  /// Of fire.accepted: sends that may be lost on the way (Send::may_be_lost).
  std::uint64_t may_be_lost = 0;
};
VELO_DESCRIBE_DEFAULTS(PeerBooks, peer, fire, sync, unary, requests, succeeded, failed, rejected,
                       abandoned, closed, may_be_lost);

/// All that one node has counted; what `_books` answers with.
struct NodeBooks {
  InstanceId instance;
  Books totals;
  std::vector<PeerBooks> peers;  ///< in the order of their ids

  /// Null when this node has had nothing to do with it.
  const PeerBooks* with(const InstanceId& peer) const noexcept {
    for (const PeerBooks& each : peers) {
      if (each.peer == peer) return &each;
    }
    return nullptr;
  }
};
VELO_DESCRIBE_DEFAULTS(NodeBooks, instance, totals, peers);

}  // namespace velo
