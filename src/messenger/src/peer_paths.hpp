// SPDX-License-Identifier: Apache-2.0
// What a messenger with several transports knows of the ways to one peer, and the change of path
// that is under way, if one is: a probe dials and greets in the background; when its path turns out
// to be the better one, what is sent waits (Peer::State::switching) until the peer has taken in all
// that the old connection carried, and then goes by the new one.
// Threading: as each part says; nothing is sent under Peer::mutex.
#pragma once

#include "backoff.hpp"
#include "link.hpp"
#include "sent_log.hpp"

#include <velo/base/world.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::messenger {

/// One transport towards the peer.
struct PathRecord {
  Backoff backoff;
  std::string failure;  ///< the last one
  TimePoint failed_at;
  TimePoint again_at;
  std::optional<Duration> round_trip;

  PathRecord() = default;
};

struct PeerPaths {
  enum class Stage : std::uint8_t {
    none,
    dialing,   ///< a probe connects
    greeting,  ///< and greets
    waiting,   ///< `next` may take over as soon as the peer is ready
    quieting,  ///< sends wait; some that began before are still on their way to the old connection
    barrier,   ///< the peer is asked whether it has taken in all that came by the old connection
  };
  struct Timer;

  explicit PeerPaths(std::size_t transports);
  PeerPaths(const PeerPaths&) = delete;
  PeerPaths& operator=(const PeerPaths&) = delete;
  ~PeerPaths();

  // Under Peer::mutex.
  std::vector<PathRecord> records;  ///< by the place of the transport
  std::string forced;               ///< Messenger::prefer_path()
  std::uint64_t epoch = 0;
  std::uint64_t probes = 0;
  std::uint64_t upgrades = 0;
  std::uint64_t failovers = 0;
  std::uint64_t resumed = 0;
  /// Of dead connections, by name: what was sent on them and not answered, in order.
  struct Unresolved {
    Bytes token;
    std::vector<SentLog::Kept> kept;
    Unresolved() = default;
  };
  std::vector<Unresolved> unresolved;
  bool lost = false;  ///< the last connection died, and no other has taken over yet

  // On the peer's shard.
  Stage stage = Stage::none;
  std::uint64_t probe = 0;  ///< its number; what comes of an earlier one is ignored
  transport::Transport* probed = nullptr;
  std::unique_ptr<transport::Dial> dial;
  std::shared_ptr<Link> next;
  std::shared_ptr<Link> old;
  std::size_t barriers = 0;  ///< not answered yet
  bool resuming = false;     ///< the peer is not ready before that is over
  std::unique_ptr<Timer> timer;
};

}  // namespace velo::messenger
