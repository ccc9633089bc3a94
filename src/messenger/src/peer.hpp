// SPDX-License-Identifier: Apache-2.0
// Peer: how one other instance is reached: its addresses, the one outgoing connection, and what
// waits for that connection. States: idle (dial on demand) -> resolving (no address yet) -> dialing
// (connect and greet) -> ready <-> asking (unlisted_fire.cpp) or switching (path_switch.cpp); back
// to idle when that breaks after it lived, else to pausing, which ends (reconnect.cpp) in the next
// attempt if somebody waits for it, or in idle.
// Threading: everything under `mutex`; nothing is sent while it is held.
#pragma once

#include "backoff.hpp"
#include "call_table.hpp"
#include "link.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/ids.hpp>
#include <velo/transport/transport.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace velo::messenger {

/// A request (or a reply to a peer that must be dialled back) that waits for the connection; owns
/// what it refers to.
struct PendingSend {
  MessageId id;  ///< the slot, for requests
  bool is_reply = false;
  bool asked = false;  ///< it waits, and the peer was asked for its handlers meanwhile
  transport::FrameType reply_type = transport::FrameType::response;
  Bytes reply_header;
  Pattern pattern = Pattern::fire;
  bool typed = false;
  bool may_be_lost = false;
  std::string handler;
  Bytes headers;
  Bytes payload;
  /// Sent before, on a connection that died, and not received: `call` if it still waits for an end.
  enum class Again : std::uint8_t { no, call, ended };
  Again again = Again::no;
  TimePoint deadline;  ///< of those that a connection took

  Lane lane() const noexcept { return is_reply ? Lane::replies : Lane::requests; }
  std::size_t bytes() const noexcept {
    return sizeof(PendingSend) + handler.size() + headers.size() + payload.size() +
           reply_header.size();
  }
};

struct PeerPaths;

struct Peer {
  enum class State : std::uint8_t { idle, resolving, dialing, ready, asking, switching, pausing };
  struct Pause;
  /// Which attempt begins, and whether with asking discovery.
  struct Start {
    std::uint64_t attempt;
    bool resolve;
    Start(std::uint64_t a, bool r) noexcept : attempt(a), resolve(r) {}
  };

  Peer(std::size_t shard_index, std::shared_ptr<MemoryBudget> memory);
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();

  /// Under `mutex`.
  void note_identity(const ConnectionIdentity& seen) {
    if (!identity || seen.instance_proven || !identity->instance_proven) identity = seen;
  }
  /// Under `mutex`: somebody waits for a connection.
  bool awaited() const noexcept;
  /// Under `mutex`: leaves idle or pausing.
  Start begin_attempt();

  std::mutex mutex;
  PeerInfo info;  ///< instance invalid until resolved from a worker id
  WorkerId worker;
  bool has_address = false;
  bool address_is_discovered = false;  ///< and asked for again when it leads nowhere
  bool removed = false;
  /// Removed because nothing referred to it; a send that met it then looks the peer up again.
  std::atomic<bool> forgotten{false};
  /// Registered by the user. All others are forgotten once no connection of either direction is
  /// left, so that peers that come and go leave nothing behind.
  bool registered = false;
  std::size_t greeted_links = 0;  ///< accepted connections on which this peer introduced itself
  State state = State::idle;
  std::uint64_t attempt = 0;   ///< dials so far; a late answer of an earlier one is ignored
  std::shared_ptr<Link> link;  ///< set while greeting and ready
  std::deque<PendingSend> pending;
  Holding pending_memory;  ///< what `pending` holds
  bool asking = false;     ///< the peer was asked for its handlers, and did not answer yet
  /// As the newest connection has it, but never a claim in place of a proof.
  std::optional<ConnectionIdentity> identity;
  Backoff backoff;
  TimePoint ready_since;
  bool dialled = false;  ///< the attempt under way has tried an address
  const std::size_t shard;

  // Of the attempt under way; touched on the shard only.
  std::unique_ptr<transport::Dial> dial;
  std::vector<transport::Transport*> candidates;
  transport::Transport* dialing = nullptr;
  Error last_failure = make_error(Errc::no_route);
  std::unique_ptr<Pause> pause;      ///< while its timer runs; refers back to this peer
  std::unique_ptr<PeerPaths> paths;  ///< where this messenger chooses among transports
};

}  // namespace velo::messenger
