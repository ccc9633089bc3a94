// SPDX-License-Identifier: Apache-2.0
// The messenger's engine; its parts are named above their functions. Kept alive by its links until
// the last of them is closed.
// Threading: any thread; the order of locks is peers_mutex_, Peer::mutex, links_mutex_; none is held while sending or calling out.
#pragma once

#include "call_table.hpp"
#include "drain_progress.hpp"
#include "guard.hpp"
#include "handler_table.hpp"
#include "hello.hpp"
#include "inbound_call.hpp"
#include "link.hpp"
#include "node_metrics.hpp"
#include "outgoing.hpp"
#include "peer.hpp"
#include "protocol.hpp"
#include "ready_links.hpp"
#include "staging.hpp"
#include "strangers.hpp"
#include "subsystems.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/messenger/messenger.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace velo::messenger {

class HandlerQueue;
class PathEngine;
class Tracer;
class WaitingSend;

class Impl final : public CallTableEvents,
                   public transport::AcceptHandler,
                   // why: links, timers and posted tasks use the engine until they are over.
                   public std::enable_shared_from_this<Impl> {
 public:
  Impl(World& world, ImplOptions options);
  ~Impl();
  /// Once, after construction by std::make_shared.
  Result<void> start_up();

  // --- facade
  World& world() noexcept { return world_; }
  Messenger& facade() noexcept { return *facade_; }
  const PeerInfo& self() const noexcept { return self_; }
  HandlerTable& handlers() noexcept { return handlers_; }
  Subsystems& subsystems() noexcept { return subsystems_; }
  CallTable& calls() noexcept { return *calls_; }

  // --- books.cpp
  Books books() const;
  NodeBooks node_books() const;
  Op<NodeBooks> books_of(const InstanceId& peer, Duration timeout);
  Result<void> publish_metrics(metrics::Registry& registry);
  void withdraw_metrics() noexcept;
  /// Counts what came after that; null: handlers.
  void meter_new(Link* link);
  void register_books_handler();
  AnnouncementState announcement() const;

  // --- handler_queue.cpp
  Result<void> register_handlers(std::vector<Handler> handlers, bool system);
  std::vector<std::shared_ptr<HandlerQueue>> handler_queues() const;
  const std::shared_ptr<MemoryBudget>& memory() const noexcept { return memory_; }

  // --- router.cpp
  OpState& start(CallSpec& spec);
  void on_capacity() noexcept override;
  bool written_on(std::uint64_t link_serial, std::uint64_t end) const noexcept override;
  void on_cancelled(MessageId id, std::uint64_t link_serial, Pattern pattern, std::uint64_t charge,
                    std::uint32_t lane) noexcept override;
  /// Ends the slot of `id` if it still is that call. `here` as in CallSlot::end.
  bool end_call(MessageId id, std::optional<Error> error, bool here = true) noexcept;
  using Transmitted = messenger::Transmitted;
  /// Encodes and sends, or holds back what the window has no room for; on link_closed, and on
  /// window_full, which only meets what was held back, nothing was sent and the slot is untouched.
  using SlotHold = messenger::SlotHold;
  Transmitted transmit(Link& link, CallSlot& slot, MessageId id, const Outgoing& outgoing,
                       SlotHold hold);

  // --- windows.cpp
  void give_window(Link& link, std::uint64_t charge);
  /// Sends what waits and fits. On the link's shard.
  void pump_window(Link& link);
  /// Tells the peer now of the calls that it was not told of when they ended. On the link's shard.
  void settle_owed(Link& link);

  // --- peers.cpp
  /// Of a greeting: `authentic` when it was proven who sent it.
  enum class PeerSource : std::uint8_t { user, discovery, hello, authentic_hello };
  Result<void> register_peer(const PeerInfo& peer, PeerSource source);
  /// Drops a peer that the user did not register and that nothing refers to any longer.
  void forget_if_unused(const std::shared_ptr<Peer>& peer);
  Result<void> unregister_peer(const InstanceId& id);
  std::vector<PeerInfo> peers() const;
  std::optional<InstanceId> instance_of(WorkerId worker) const;
  std::optional<ConnectionIdentity> identity_of_peer(const InstanceId& id) const;
  std::shared_ptr<Peer> find_peer(const InstanceId& id) const;
  std::shared_ptr<Peer> find_peer(WorkerId worker) const;

  // --- greeting.cpp
  /// Queues on the peer and starts resolving or dialling it when idle. True: queued. False: the
  /// link is ready, `ready` has it.
  Result<bool> enqueue(const std::shared_ptr<Peer>& peer, PendingSend& send,
                       std::shared_ptr<Link>* ready);

  // --- reconnect.cpp
  /// `elsewhere`: another path may be tried at once, however soon this connection broke.
  void link_lost(const std::shared_ptr<Peer>& peer, const Link& link, bool elsewhere = false);
  /// On the peer's shard: the pause of `attempt` is over.
  void end_pause(const std::shared_ptr<Peer>& peer, std::uint64_t attempt);

  // --- handler_queries.cpp
  Op<std::vector<std::string>> query_handlers(const InstanceId& peer, bool cached_is_fine,
                                              Duration timeout = limits::hello_timeout);
  Op<void> wait_for_handler(const InstanceId& peer, std::string handler, Duration timeout);

  // --- dispatch.cpp
  void on_accepted(transport::ConnectionPtr connection) override;
  void on_frame(Link& link, const transport::InFrame& frame);
  void on_link_closed(Link& link, const Error& reason);
  void run_heap_call(InboundCall* call);
  /// A request whose handler does not run within the event that brought it.
  void request_running() noexcept { running_requests_.fetch_add(1, std::memory_order_acq_rel); }
  void request_over() noexcept { running_requests_.fetch_sub(1, std::memory_order_acq_rel); }

  // --- replies.cpp
  void reply_error(Link& link, const protocol::RequestHeader& request, const Error& error);
  void send_reply(Link& link, const Agreement& agreement, transport::FrameType type,
                  ByteSpan header, const Bytes& payload) noexcept;
  /// To a peer that does not read replies on its own connection.
  void reply_by_dialling(WorkerId worker, Link& arrived_on, transport::FrameType type,
                         ByteSpan header, const Bytes& payload);
  static transport::Admission refuse_reply(Link& link, transport::FrameType type, ByteSpan header,
                                           transport::Admission admission) noexcept;
  /// One that is too large is replaced by a reply that says so.
  transport::Admission send_reply_on(Link& link, transport::FrameType type, ByteSpan header,
                                     const Bytes& payload) noexcept;

  // --- drain.cpp, of what is being handled
  void inbound_ended() noexcept;
  bool draining() const noexcept { return draining_.load(std::memory_order_acquire); }

  Staging& staging() noexcept { return staging_; }
  void on_staged_over(MessageId id) noexcept override { staging_.call_over(id); }

  // --- strangers.cpp
  /// Null: it is one too many, and dropped.
  std::shared_ptr<Link> admit_stranger(transport::ConnectionPtr connection);
  /// It greeted, or is closed.
  void stranger_over(Link& link) noexcept;
  /// False: it has asked too often, and was closed.
  static bool stranger_may_ask(Link& link);
  static TimePoint expire_stranger(Link& link, TimePoint now);

  // --- permissions.cpp
  /// Why the other end cannot call what has this name, if it cannot; `handler` null: there is none.
  std::optional<Error> refusal_of(const Link& link, std::string_view name,
                                  const Handler* handler) const;
  /// The names that it may call.
  std::vector<std::string> handlers_for(const ConnectionIdentity& caller) const;

  // --- deadlines.cpp
  void note_deadline(TimePoint deadline);

  // --- system_handlers.cpp
  void register_system_handlers();
  /// On the link's shard, before any other handler sees the request: `_hello` changes what holds on
  /// the link.
  void handle_hello(Link& link, const protocol::RequestHeader& header, ByteSpan payload);
  void handle_cancel(Link& link, ByteSpan payload) noexcept;

  // --- drain.cpp
  Op<void> shutdown(ShutdownPolicy policy);
  DrainState drain_state() const;
  /// False: it drains, or somebody else is told.
  bool tell_of_drain(std::move_only_function<void(const DrainReport&)> tell);
  /// On shard 0: whether the wait is over.
  void check_drained();

  // --- shutdown.cpp
  void stop_now(const Error& reason);
  /// Bounded, and only where a thread may block: until connections are closed and handlers are
  /// over.
  void wait_for_the_end() noexcept;
  void user_code_began() noexcept { running_user_code_.fetch_add(1, std::memory_order_acq_rel); }
  void user_code_ended() noexcept;

  std::shared_ptr<Link> add_link(transport::ConnectionPtr connection, bool dialed);
  void close_if_stopped(Link& link) noexcept;
  Shard& shard(std::size_t index) noexcept { return world_.shard(index); }

 private:
  friend class PathEngine;
  friend class Staging;
  friend class Subsystems;
  friend struct PathHealthChecks;
  friend struct PeerPaths;
  friend class WaitingSend;
  friend struct Watching;

  // router.cpp
  std::optional<Error> check_spec(const CallSpec& spec) const;
  OpState& refuse(const CallSpec& spec, Error error);
  OpState& start_counted(CallSpec& spec);
  OpState& begin(CallSpec& spec, CallSlot& slot);
  void route(CallSpec& spec, CallSlot& slot, const Outgoing& outgoing);
  Link* ready_link_here(const InstanceId& id) noexcept;
  /// Takes what the request needs of the link's window: `charge`, 0 for what is not counted.
  static bool fits_window(Link& link, const Outgoing& outgoing, std::size_t frame_bytes,
                          std::uint64_t& charge) noexcept;
  /// The call travels on that link from here on; false when it has ended.
  static bool put_on_link(std::uint64_t mark, CallSlot& slot, std::uint64_t generation,
                          SlotHold hold, std::uint64_t charge) noexcept;
  static bool take_off_link(std::uint64_t mark, CallSlot& slot, std::uint64_t generation,
                            std::uint64_t charge) noexcept;
  Transmitted end_too_large(MessageId id);
  Transmitted hold_back(Link& link, MessageId id, const Outgoing& outgoing);
  void pump_later(Link& link);
  /// False when the connection is too full; a closed one needs no cancel.
  bool send_cancel(Link& link, MessageId id, std::uint32_t lane) noexcept;
  void end_by_peer(Link& link, MessageId id, std::optional<Error> error);
  OpState& wait_for_capacity(CallSpec& spec);
  /// An Op that holds no slot once it has ended: others wait for it.
  OpState& start_apart(CallSpec& spec, CallSlot& slot, TimePoint deadline);
  void start_claimed(std::shared_ptr<WaitingSend> send, CallSlot& slot);
  void run_waiting();

  // unlisted_fire.cpp
  /// False: `link` is no longer the peer's; look again.
  bool hold_for_list(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                     PendingSend& send);
  void ask_held(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link);
  void on_held_answer(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                      Result<Bytes> reply);
  void send_or_enqueue(const CallSpec& spec, std::shared_ptr<Peer> peer, CallSlot& slot,
                       const Outgoing& outgoing);

  // tracing.cpp
  OpState& start_traced(CallSpec& spec);
  /// With a span, where the send belongs to a trace that is recorded.
  transport::SendResult send_traced(Link& link, const Outgoing& outgoing,
                                    const transport::OutFrame& frame) const;
  void trace_request(Link& link, std::string_view name, InboundCall::Request& request) const;

  // messenger.cpp
  void on_announced(Result<std::unique_ptr<discovery::Registration>> registration);

  // system_handlers.cpp
  Result<void> accept_greeting(Link& link, const HelloRequest& request);
  void refuse_greeting(Link& link, const protocol::RequestHeader& header, const Error& error);

  // peers.cpp
  Result<std::shared_ptr<Peer>> peer_for(const CallSpec& spec);
  std::vector<transport::Transport*> candidates_for(const WorkerAddress& address) const;
  /// In which order to dial; under the peer's mutex.
  std::vector<transport::Transport*> candidates_for(Peer& peer);

  // greeting.cpp
  void resolve(std::shared_ptr<Peer> peer);
  void dial_next(std::shared_ptr<Peer> peer, std::uint64_t attempt);
  void on_dialed(const std::shared_ptr<Peer>& peer, std::uint64_t attempt,
                 Result<transport::ConnectionPtr> connection);
  void greet(const std::shared_ptr<Peer>& peer, std::uint64_t attempt, std::shared_ptr<Link> link);
  /// What the peer answered, if it is the peer that was meant.
  Result<HandlersResponse> read_answer(Link& link, const Peer& peer, const Reply& reply);
  void on_greeted(const std::shared_ptr<Peer>& peer, std::uint64_t attempt,
                  const std::shared_ptr<Link>& link, Reply reply);
  /// False: no slot to greet with.
  bool send_hello(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                  std::move_only_function<void(Reply)> then);
  Result<void> take_greeting(Peer& peer, Link& link, const Reply& reply);
  void become_ready(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link);
  void put_back(Peer& peer, std::deque<PendingSend>& batch, std::size_t first);
  void publish(const Peer& peer, Link& link);
  /// False: the link is closed, and the send is still whole.
  bool send_pending(Link& link, PendingSend& send);
  void send_waiting_replies(const std::shared_ptr<Peer>& peer, Link& link);
  Op<std::vector<std::string>> ask_for_handlers(const InstanceId& peer, Duration timeout);

  // reconnect.cpp
  void start_attempt(const std::shared_ptr<Peer>& peer, Peer::Start start);
  void start_pause(const std::shared_ptr<Peer>& peer, std::uint64_t attempt, TimePoint until);
  /// On the peer's shard.
  void cancel_pause(const std::shared_ptr<Peer>& peer) noexcept;
  /// Something new is known of the peer: whoever waits need not wait for the timer.
  void end_pause_early(const std::shared_ptr<Peer>& peer);
  /// Under the peer's mutex: lets go of sends that ended while they waited.
  void drop_ended(Peer& peer);
  void fail_attempt(const std::shared_ptr<Peer>& peer, std::uint64_t attempt, Error error);
  void fail_pending(std::deque<PendingSend> pending, const Error& error);

  // dispatch.cpp
  void on_request(Link& link, const transport::InFrame& frame);
  void on_response(Link& link, const transport::InFrame& frame);
  void on_ack(Link& link, const transport::InFrame& frame);
  void on_rejected(Link& link, const transport::InFrame& frame);
  /// The slot that `id` names, if what ends its call may come on this link; null otherwise.
  CallSlot* answerable(Link& link, MessageId id) const noexcept;
  void dispatch(Link& link, const Handler& handler, InboundCall::Request&& request,
                const transport::InFrame& frame);
  void run_inline(Link& link, const Handler& handler, InboundCall::Request&& request,
                  const transport::InFrame& frame);
  void malformed(Link& link, const Error& error);
  void end_calls_of(Link& link, const Error& reason,
                    const std::unordered_set<std::uint64_t>* but = nullptr);

  // deadlines.cpp
  void rearm(TimePoint at);
  void sweep();
  TimePoint expire_waiting(TimePoint now);
  TimePoint reap_lanes(TimePoint now);
  void end_waiting(WaitingSend& waiting, Error error);

  // drain.cpp
  void drain_round(std::size_t shards, std::move_only_function<void()> then);
  bool nothing_is_left() const;
  void settle(int round);
  void start_drain_timer();
  void finish_shutdown(bool in_time);
  std::uint64_t own_calls() const;
  /// A reply that waited for a connection no longer does.
  void reply_left() noexcept;

  // shutdown.cpp
  void withdraw_announcement();
  /// The last connection, that to oneself included, is closed.
  void connections_over() noexcept;
  void stop_on_shard(std::size_t index);

  World& world_;
  std::vector<std::unique_ptr<transport::Transport>> transports_;
  std::unique_ptr<PathEngine> paths_;  ///< null: there is nothing to choose
  std::shared_ptr<discovery::PeerDiscovery> discovery_;
  mutable std::mutex announcement_mutex_;
  AnnouncementState announcement_state_;
  std::unique_ptr<discovery::Registration> announcement_;
  const bool extensions_;
  const Guard guard_;
  const std::shared_ptr<MemoryBudget> memory_;
  const std::shared_ptr<const Tracer> tracer_;  ///< null: no spans are recorded
  PeerInfo self_;
  WorkerId worker_;
  Offer offer_;
  CallTable* calls_;
  HandlerTable handlers_;
  mutable std::mutex queues_mutex_;
  std::vector<std::shared_ptr<HandlerQueue>> queues_;
  std::unique_ptr<Messenger> facade_;
  std::atomic<std::uint64_t> running_requests_{0};
  std::shared_ptr<Link> self_link_;

  mutable std::shared_mutex peers_mutex_;
  std::unordered_map<InstanceId, std::shared_ptr<Peer>> by_instance_;
  std::unordered_map<WorkerId, std::shared_ptr<Peer>> by_worker_;
  std::size_t next_shard_ = 0;

  mutable std::mutex links_mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Link>> links_;
  std::uint64_t next_link_serial_ = 1;
  std::vector<ReadyLinks> shards_;

  Strangers strangers_;
  Subsystems subsystems_{*this};
  Staging staging_;
  std::mutex metrics_mutex_;
  std::unique_ptr<NodeMetrics> metrics_;  ///< under the mutex
  std::shared_ptr<void> retired_meters_;  ///< of those that were withdrawn
  void meter_handlers();                  ///< under the mutex

  mutable std::mutex waiting_mutex_;
  std::deque<std::shared_ptr<WaitingSend>> waiting_;

  std::atomic<std::int64_t> next_deadline_ns_{INT64_MAX};
  Shard::TimerId sweep_timer_ = 0;              // shard 0 only
  std::int64_t sweep_timer_at_ns_ = INT64_MAX;  // shard 0 only
  std::shared_ptr<Impl> sweep_keepalive_;       // shard 0 only
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopped_{false};
  DrainProgress drain_;
  std::atomic<std::uint64_t> running_user_code_{0};
  std::mutex user_code_mutex_;
  std::condition_variable user_code_idle_;
  bool connections_over_ = false;  ///< under user_code_mutex_
};

}  // namespace velo::messenger
