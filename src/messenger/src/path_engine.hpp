// SPDX-License-Identifier: Apache-2.0
// PathEngine: the part of a messenger with several transports that chooses among them, for each
// peer: in which order to dial, when to look for a better path, how to move to it without changing
// the order of what is sent, and what to do when a path dies. A messenger with one transport has
// none. Its parts: path_engine.cpp (what is known, order, reports), path_probe.cpp (looking),
// path_switch.cpp (moving, dying), path_service.cpp (the other end's side), path_health.cpp.
// Threading: on the peer's shard unless it says otherwise.
#pragma once

#include "path_choice.hpp"
#include "path_message.hpp"
#include "peer.hpp"
#include "peer_paths.hpp"

#include <velo/messenger/paths.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace velo::messenger {

class Impl;
struct Reply;
namespace protocol {
struct RequestHeader;
}

class PathEngine {
 public:
  using PeerPtr = std::shared_ptr<Peer>;
  using LinkPtr = std::shared_ptr<Link>;

  PathEngine(Impl& impl, PathPolicy policy);

  // --- path_engine.cpp
  /// In which order to dial. Under the peer's mutex; any thread.
  std::vector<transport::Transport*> dial_order(Peer& peer);
  /// Why there is none to dial. Under the peer's mutex.
  std::string why_none(Peer& peer);
  void dial_failed(Peer& peer, const transport::Transport& transport, const Error& error);
  /// Any thread.
  PathReport report(Peer& peer);
  Result<void> prefer(const PeerPtr& peer, std::string key);

  // --- path_probe.cpp
  /// Requests travel on `link` from here on.
  void became_ready(const PeerPtr& peer, const LinkPtr& link);
  /// Looks for a better path if there may be one.
  void evaluate(const PeerPtr& peer);
  /// The peer is ready again after it was asked for its handlers.
  void settled(const PeerPtr& peer) { try_switch(peer); }
  /// Nothing more is tried for the peer.
  void stop(Peer& peer) noexcept;

  // --- path_switch.cpp
  /// A send is on its way to the link until leave(). Any thread; enter() under the peer's mutex.
  void enter(Link& link) noexcept { link.senders.fetch_add(1, std::memory_order_seq_cst); }
  void leave(const PeerPtr& peer, Link& link) noexcept;
  /// The link takes nothing any more, and its end will be told: what is sent waits for that. Any
  /// thread.
  void await_end(const PeerPtr& peer, Link& link);
  /// Of a connection on which changes of path were agreed on.
  void link_closed(Link& link, const Error& reason);

  // --- path_service.cpp
  /// A request of `_path`.
  void serve(Link& link, const protocol::RequestHeader& header, ByteSpan payload);

 private:
  friend struct PeerPaths::Timer;
  using AnswerHandler = std::move_only_function<void(Result<PathAnswer>, Duration)>;

  PeerPaths& of(Peer& peer);
  std::vector<PathOption> options(Peer& peer);
  std::vector<RankedPath> rank(Peer& peer, const std::vector<PathOption>& options, TimePoint now);
  std::size_t index_of(const transport::Transport* transport) const noexcept;
  static std::string_view in_use(const Peer& peer) noexcept;
  void note_failure(Peer& peer, const transport::Transport& transport, std::string failure,
                    bool for_good);

  void probe(const PeerPtr& peer, transport::Transport& transport);
  void on_probe_dialed(const PeerPtr& peer, std::uint64_t number,
                       Result<transport::ConnectionPtr> connection);
  void on_probe_greeted(const PeerPtr& peer, const LinkPtr& link, const Reply& reply);
  void on_probe_opened(const PeerPtr& peer, const LinkPtr& link, Duration round_trip);
  void probe_failed(const PeerPtr& peer, std::string failure, bool for_good = false);
  void look_again(const PeerPtr& peer, TimePoint at);

  /// `_path` on the link itself, whatever waits for the peer.
  void ask(const PeerPtr& peer, const LinkPtr& link, PathMessage message, std::uint32_t lane,
           AnswerHandler then);
  void open(const PeerPtr& peer, const LinkPtr& link, std::move_only_function<void(Duration)> then);

  void try_switch(const PeerPtr& peer);
  void on_quiet(const PeerPtr& peer, const LinkPtr& link);
  void send_barriers(const PeerPtr& peer);
  void finish_switch(const PeerPtr& peer);
  void abandon_switch(const PeerPtr& peer);
  /// What waits goes by `link`, and then all that is sent.
  void settle_on(const PeerPtr& peer, const LinkPtr& link);
  /// What the link's window holds goes back to the front of what waits for the peer.
  void take_back(const PeerPtr& peer, Link& link);
  void retire(const LinkPtr& link, Duration pause);
  void fail_over(const PeerPtr& peer, const LinkPtr& link);
  void next_attempt(const PeerPtr& peer, const Link& link);

  Impl& impl_;
  const PathPolicy policy_;
};

}  // namespace velo::messenger
