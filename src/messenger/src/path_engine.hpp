// SPDX-License-Identifier: Apache-2.0
// PathEngine: the part of a messenger with several transports that chooses among them, for each
// peer: in which order to dial, when to look for a better path, how to move to it without changing
// the order of what is sent, and what to do when a path dies. A messenger with one transport has
// none. Its parts: path_engine.cpp (what is known, order, reports), path_probe.cpp (looking),
// path_switch.cpp (moving, dying), path_resume.cpp (carrying on what a dead path had begun),
// path_service.cpp (the other end's side), path_health.cpp.
// Threading: on the peer's shard unless it says otherwise.
#pragma once

#include "path_choice.hpp"
#include "path_message.hpp"
#include "peer.hpp"
#include "peer_paths.hpp"
#include "receive_log.hpp"

#include <velo/messenger/paths.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace velo::messenger {

class Impl;
struct Outgoing;
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
  /// Of any messenger; any thread.
  static PathReport report_of(Impl& impl, const InstanceId& peer);
  static Result<void> prefer_of(Impl& impl, const InstanceId& peer, std::string_view transport);
  /// In which order to dial. Under the peer's mutex; any thread.
  std::vector<transport::Transport*> dial_order(Peer& peer);
  /// Why there is none to dial. Under the peer's mutex.
  std::string why_none(Peer& peer);
  void dial_failed(Peer& peer, const transport::Transport& transport, const Error& error);
  /// Failures count no longer, and every transport may be tried at once. Under the peer's mutex.
  void forgive(Peer& peer);
  /// Any thread.
  PathReport report(Peer& peer);
  PathBooks books() const noexcept;
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

  // --- path_resume.cpp
  /// Of a link that resumes: before a request is sent, and after it was. Any thread.
  void keep(Link& link, MessageId id, const Outgoing& outgoing);
  void kept_was_sent(Link& link, MessageId id, Pattern pattern, std::uint32_t lane);
  /// The peer answered our greeting on `link`: what a dead connection left goes first, then what
  /// waits.
  void greeted(const PeerPtr& peer, const LinkPtr& link);
  /// The same, once the connection has its name.
  void take_up(const PeerPtr& peer, const LinkPtr& link);
  /// Sends again what nobody waits for any longer. False: the link is closed.
  bool send_ended(Link& link, const PendingSend& send);
  /// There is no other path. Any thread.
  void give_up(Peer& peer, const Error& error);

  // --- path_service.cpp
  /// A reply on a link whose requester may come back by another one. Any thread.
  void send_kept(Link& link, transport::FrameType type, ByteSpan header,
                 const Bytes& payload) noexcept;
  /// A connection that others dialled is closed: its handlers may run on. False: they may not.
  bool outlive(Link& link);
  /// Who carries on the calls of a connection that is closed; null: nobody. Any thread.
  LinkPtr successor_of(std::uint64_t serial);
  /// Nothing is resumed any longer. Any thread.
  void stop_serving();
  void cancel_timers(Shard& shard) noexcept;
  /// `_cancel` of a call that `link` did not bring: of one that it carries on.
  void cancel_carried(Link& link, MessageId id) noexcept;
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

  bool alive(MessageId id) const;
  void confirm(Link& link);
  void collect(Peer& peer, Link& link);
  std::unordered_set<std::uint64_t> unresolved_ids(Peer& peer);
  /// Nobody can say what became of it.
  void end_as_lost(const PendingSend& send, const std::string& why);
  void prepare(Link& link);
  void resume(const PeerPtr& peer, const LinkPtr& link,
              std::vector<PeerPaths::Unresolved> unresolved);
  void adopt(Link& link, const SentLog::Kept& kept, const Bytes& origin);
  void resolve(Peer& peer, Link& link, const PeerPaths::Unresolved& asked,
               const Result<PathAnswer>& answer, std::deque<PendingSend>& again);
  void resend(const PeerPtr& peer, const LinkPtr& link, std::deque<PendingSend> again);

  /// Of all peers; see PathBooks.
  struct Counts {
    std::atomic<std::uint64_t> probes{0};
    std::atomic<std::uint64_t> upgrades{0};
    std::atomic<std::uint64_t> failovers{0};
    std::atomic<std::uint64_t> resumed{0};
    std::atomic<std::uint64_t> deduplicated{0};
    std::atomic<std::uint64_t> lost{0};
  };
  static void count(std::atomic<std::uint64_t>& counter, std::uint64_t more = 1) noexcept {
    counter.fetch_add(more, std::memory_order_relaxed);
  }

  struct After;
  /// On the link's shard, unless the messenger stops before.
  void after(const LinkPtr& link, Duration pause, std::move_only_function<void()> then);

  /// Who asked what became of the calls of a connection.
  struct Waiting {
    LinkPtr by;
    MessageId request;
    Bytes ids;
    Bytes lanes;
    std::uint64_t epoch = 0;
    Waiting(LinkPtr link, MessageId id, const PathMessage& message)
        : by(std::move(link)),
          request(id),
          ids(message.ids),
          lanes(message.lanes),
          epoch(message.epoch) {}
  };
  struct Named {
    std::weak_ptr<Link> open;
    LinkPtr dead;
    std::vector<Waiting> waiting;  ///< for its end
    Named() = default;
  };
  void name(Link& link, const Bytes& token);
  void answer_path(Link& link, MessageId id, const PathAnswer& answer);
  void serve_resume(Link& link, MessageId request, const PathMessage& message);
  void take_over(Link& dead, const Waiting& asked);
  /// Under service_mutex_.
  LinkPtr take_dead(const std::string& token);
  void let_go(Link& link);
  void look_at_dead(const LinkPtr& link);
  void patience_over(const LinkPtr& link);

  Impl& impl_;
  const PathPolicy policy_;
  Counts counts_;
  std::mutex service_mutex_;
  std::unordered_map<std::string, Named> named_;  ///< connections of others, by token
  std::deque<std::string> dead_;                  ///< those that are closed, oldest first
  std::unordered_set<After*> timers_;
};

/// A send that has found a link, until it comes back from it; nothing where there are no paths.
class LeaveLink {
 public:
  LeaveLink(PathEngine* paths, const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link)
      : paths_(paths), peer_(peer), link_(link) {}
  LeaveLink(const LeaveLink&) = delete;
  LeaveLink& operator=(const LeaveLink&) = delete;
  ~LeaveLink() {
    if (link_ != nullptr && paths_ != nullptr) paths_->leave(peer_, *link_);
  }

 private:
  PathEngine* const paths_;
  const std::shared_ptr<Peer>& peer_;
  const std::shared_ptr<Link>& link_;
};

}  // namespace velo::messenger
