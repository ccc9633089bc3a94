// SPDX-License-Identifier: Apache-2.0
// Messenger: active messages between instances. It owns transports and handlers, greets peers,
// routes sends and dispatches what arrives. Not a name service (see discovery) and not a retry
// policy: each send ends once, with an error that says what may help.
// Threading: every function from any thread, handlers included.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/base/trace.hpp>
#include <velo/base/world.hpp>
#include <velo/crypto/key.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/messenger/access.hpp>
#include <velo/messenger/broadcast.hpp>
#include <velo/messenger/call.hpp>
#include <velo/messenger/context.hpp>
#include <velo/messenger/drain.hpp>
#include <velo/messenger/fates.hpp>
#include <velo/messenger/handler.hpp>
#include <velo/messenger/identity.hpp>
#include <velo/messenger/limits.hpp>
#include <velo/messenger/paths.hpp>
#include <velo/messenger/payload_resolver.hpp>
#include <velo/messenger/watch.hpp>
#include <velo/transport/transport.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::metrics {
class Registry;
}

namespace velo {

/// What became of announcing this messenger to its discovery.
struct AnnouncementState {
  enum class Kind : std::uint8_t { none, under_way, announced, failed, withdrawn };
  Kind kind = Kind::none;      ///< none: there is no discovery
  std::optional<Error> error;  ///< why it failed
};

class MessengerBuilder;

class Messenger {
 public:
  /// `world` outlives the messenger and every Op it returned.
  static MessengerBuilder builder(World& world);

  explicit Messenger(std::shared_ptr<messenger::Impl> impl, bool owner) noexcept;
  Messenger(const Messenger&) = delete;
  Messenger& operator=(const Messenger&) = delete;
  /// Ends everything at once: calls in flight fail with Errc::shutting_down. Waits, at most
  /// limits::destructor_patience, until its connections are closed and no handler runs any more,
  /// unless it is called on an executor or in simulation.
  ~Messenger();

  const InstanceId& instance_id() const noexcept;
  WorkerId worker_id() const noexcept;
  /// What others need to reach this messenger.
  const PeerInfo& peer_info() const noexcept;
  World& world() const noexcept;

  /// Errc::duplicate_handler, Errc::reserved_name (a leading "_"), invalid_argument (empty or over
  /// 65,535 bytes), or velo::Errc::overloaded (limits::handlers_max,
  /// limits::handler_names_bytes_max).
  Result<void> register_handler(Handler handler);
  /// Sorted, velo's own included.
  std::vector<std::string> list_local_handlers() const;

  /// Lanes that the ordered handler has at the moment, idle ones included; 0 of any other name.
  std::size_t handler_lanes(std::string_view handler) const;

  /// Makes a peer known; Errc::no_route when none of our transports reaches any of its addresses.
  /// Registering the same again is fine; a different address for a known instance is
  /// velo::Errc::already_exists. A peer that is being left alone because it could not be reached
  /// (limits::redial_pause_first) is dialled at once if sends wait for it.
  Result<void> register_peer(const PeerInfo& peer);
  /// Forgets the peer; its connection closes and what was in flight to it ends.
  Result<void> unregister_peer(const InstanceId& peer);
  std::vector<PeerInfo> peers() const;
  /// Who the peer has shown itself to be, on the newest connection with it, either way; a proof is
  /// not replaced by a claim. Nullopt before the first greeting, and of an unknown peer.
  std::optional<ConnectionIdentity> identity_of(const InstanceId& peer) const;

  Send<void> am_send(std::string_view handler);
  Send<void> am_sync(std::string_view handler);
  Send<Bytes> unary(std::string_view handler);
  template <class R>
  Send<R> typed_unary(std::string_view handler) {
    return Send<R>(*impl_, messenger::Pattern::unary, true, handler);
  }

  /// One message to many, and all their answers.
  Broadcast<Bytes> broadcast(std::string_view handler);
  /// The same as am_sync() and as am_send() to each.
  Broadcast<void> broadcast_sync(std::string_view handler);
  Broadcast<void> broadcast_send(std::string_view handler);
  template <class R>
  Broadcast<R> typed_broadcast(std::string_view handler) {
    return Broadcast<R>(*impl_, messenger::Pattern::unary, true, handler);
  }

  /// The peer's handlers as told at greeting; asks it when not known yet.
  Op<std::vector<std::string>> available_handlers(const InstanceId& peer);
  /// Asks the peer now.
  Op<std::vector<std::string>> refresh_handlers(const InstanceId& peer);
  /// How the peer is reached just now, what else there is, and why not that. Of an unknown peer: a
  /// report without candidates.
  PathReport explain_path(const InstanceId& peer) const;
  /// How the node `node` reaches the peer `to`: asked of its handler `_explain`, which nodes with
  /// several transports have.
  Op<PathReport> explain_path_of(const InstanceId& node, const InstanceId& to,
                                 Duration timeout = messenger::limits::hello_timeout);
  /// Whether the transport reaches the peer just now: connects and greets anew, beside what is in
  /// use. The Op does not fail; the state says what happened. Of all transports, in the order of
  /// the builder, without a key.
  Op<PathHealth> check_health(const InstanceId& peer, std::string_view transport,
                              Duration timeout = messenger::limits::hello_timeout);
  Op<std::vector<PathHealth>> check_health(const InstanceId& peer,
                                           Duration timeout = messenger::limits::hello_timeout);
  /// From now on this transport ("tcp", "uds", ...) is the first choice for the peer, before
  /// builder and measurements; while a connection is up it moves there in the background, and the
  /// order of what is sent is kept. Empty: no such wish any longer. Errc::unknown_peer,
  /// Errc::no_route when the peer cannot be reached that way, velo::Errc::invalid_argument for a
  /// transport that this messenger does not have.
  Result<void> prefer_path(const InstanceId& peer, std::string_view transport);

  /// Completes when the peer has the handler; Errc::unknown_handler when it still has not after
  /// `timeout`.
  Op<void> wait_for_handler(const InstanceId& peer, std::string handler, Duration timeout);

  /// Drains (drain.hpp): new requests are answered "shutting down" and the announcement is
  /// withdrawn; requests taken in, and replies that wait, get `policy.patience`; then everything is
  /// flushed and closed. Requests that have arrived and were not read yet are answered, too.
  /// Completes once closed; velo::Errc::deadline_exceeded, with what was cut off, when patience ran
  /// out. A second one: velo::Errc::shutting_down. Destroying the messenger ends a drain at once.
  Op<void> shutdown(ShutdownPolicy policy = ShutdownPolicy());
  /// How far the end is, at any time; counts are exact when nothing moves.
  DrainState drain_state() const;

  /// Ends when every connection is closed, whoever asked for the end: another instance may
  /// (`_drain`, which access rules open and this host may use by default).
  Op<void> closed();
  /// Asks the peer to drain, with its access rules' leave, and how it went; it tells before its
  /// connections close. velo::Errc::already_exists when it drains already.
  Op<DrainReport> drain_peer(const InstanceId& peer, ShutdownPolicy policy = ShutdownPolicy());
  /// How this messenger is just now. Costs a pass over peers, connections and calls in flight.
  NodeWatch watch() const;
  /// The same of a peer: its handler `_watch`; as books_of().
  Op<NodeWatch> watch_of(const InstanceId& peer,
                         Duration timeout = messenger::limits::hello_timeout);

  /// What this messenger has counted of its sends and of the requests it received.
  Books books() const;
  /// The same with an account for each peer. Costs a pass over the accounts and the calls in
  /// flight.
  NodeBooks node_books() const;
  /// The books as metrics of the registry (velo_sends_total, velo_send_ends_total,
  /// velo_path_upgrades_total and so on, labelled with this node's id), added up once a scrape, and
  /// what the gates of its transports let in and refused (velo_gate_refused_total and so on), until
  /// the messenger is destroyed; the
  /// registry outlives it. Once: then velo::Errc::already_exists. velo::Errc::overloaded, and no
  /// metrics, when not all of them fit.
  Result<void> publish_metrics(metrics::Registry& registry);
  /// What the peer has counted: its handler `_books`. Errc::unknown_handler when it has none,
  /// permission_denied where its access rules do not open it (they do on this host).
  Op<NodeBooks> books_of(const InstanceId& peer,
                         Duration timeout = messenger::limits::hello_timeout);
  /// What is queued, waits or runs here just now, as charged to the memory budget; all of it is
  /// given back by the time nothing does.
  MemoryUse memory() const;
  /// Whether others can find this messenger through discovery; a failure is logged as well.
  AnnouncementState announcement() const;

  /// For <velo/messenger/subsystem.hpp>.
  messenger::Impl& engine() const noexcept { return *impl_; }

 private:
  std::shared_ptr<messenger::Impl> impl_;
  bool owner_;
};

class [[nodiscard]] MessengerBuilder {
 public:
  explicit MessengerBuilder(World& world);
  MessengerBuilder(MessengerBuilder&&) noexcept;
  ~MessengerBuilder();

  /// Transports in order of preference; of several that lead to a peer the nearest is used, and
  /// among equals the first (docs/guides/paths.md).
  MessengerBuilder& add_transport(std::unique_ptr<transport::Transport> transport);
  /// Announces this messenger there, and asks it for unknown peers.
  MessengerBuilder& discovery(std::shared_ptr<::velo::discovery::PeerDiscovery> source);
  /// Calls in flight at once; 1 to 65,535, which is the default.
  MessengerBuilder& calls_max(std::size_t calls);
  /// Requests of one connection, and the bytes of their frames, that may be unanswered; 1,024 and
  /// 32 MiB unless said. The smaller of both sides' numbers holds. Further ones wait at the sender,
  /// in order and with their deadlines running; a larger one goes alone. Fire-and-forget, which
  /// nobody answers, and requests to oneself do not count. Peers of the public velo know no
  /// windows.
  MessengerBuilder& request_window(std::size_t calls, std::size_t bytes);
  /// Bytes that this node may hold for others: frames that wait to be written, requests that wait
  /// for a connection or run, large frames being read. Default 256 MiB, at least 1 MiB. What does
  /// not fit ends as Errc::over_budget. `peer_bytes` is what may be held for one peer: by default
  /// 64 MiB, and never more than a quarter of the budget; the largest frame takes all of that.
  MessengerBuilder& memory_budget(std::size_t bytes, std::size_t peer_bytes = 0);
  /// An Ed25519 key of this run, from which the instance id is made and with which every greeting
  /// proves it, to everybody and on every transport: nobody else can be taken for this messenger.
  /// It has nothing to do with a certificate's key, which may change meanwhile. Without one the id
  /// is random, and a claim. build(): velo::Errc::invalid_argument for a key of another kind.
  MessengerBuilder& instance_key(crypto::PrivateKey key);
  /// Whether who shows a certificate has to prove its instance id as well; on where there is an
  /// instance key.
  MessengerBuilder& require_authentication(bool required);
  /// Who may call which handlers (access.hpp). Without rules: everybody the application's, and
  /// this host alone those of velo's own that peers do not need. build():
  /// velo::Errc::invalid_argument for rules that make no sense.
  MessengerBuilder& access(AccessPolicy policy);
  /// Of the transports that lead to a peer these come first, in this order, whatever is nearer.
  MessengerBuilder& prefer(std::vector<std::string> transports);
  /// Not used to reach anybody; they still listen.
  MessengerBuilder& never(std::vector<std::string> transports);
  /// Beyond this host only paths that nobody on the way can read. Default: no.
  MessengerBuilder& require_private_beyond_host(bool required);
  /// Stages large payloads instead of sending them in their messages (payload_resolver.hpp).
  MessengerBuilder& payloads(std::shared_ptr<messenger::PayloadResolver> resolver);
  /// Records spans of sends and requests and gives them to `sink`: of all that belongs to a sampled
  /// trace of others, and of that share of the traces that begin here. Without it nothing is
  /// recorded, and contexts that arrive are passed on to the calls their handlers make.
  MessengerBuilder& trace(std::shared_ptr<::velo::trace::SpanSink> sink,
                          ::velo::trace::Sampling sampling = ::velo::trace::Sampling());
  /// For tests of the wire only: behave like a peer of the public velo, without our additions.
  MessengerBuilder& without_extensions();

  /// Starts the transports; the first that fails to start fails the build.
  Result<std::unique_ptr<Messenger>> build();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace velo
