// SPDX-License-Identifier: Apache-2.0
// Looking for a better path while a peer is ready: when, and how. One probe a peer at a time; it
// connects and greets on its own, and disturbs nothing until its path has proved itself.

#include "impl.hpp"
#include "path_engine.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <utility>

namespace velo::messenger {

struct PeerPaths::Timer {
  std::shared_ptr<Impl> impl;
  std::shared_ptr<Peer> peer;
  Shard::TimerId id = 0;

  Timer(std::shared_ptr<Impl> i, std::shared_ptr<Peer> p)
      : impl(std::move(i)), peer(std::move(p)) {}

  static void over(void* argument) {
    auto* timer = static_cast<Timer*>(argument);
    const std::shared_ptr<Impl> impl = timer->impl;
    const std::shared_ptr<Peer> peer = timer->peer;
    peer->paths->timer = nullptr;
    impl->paths_->evaluate(peer);
  }
};

PeerPaths::PeerPaths(std::size_t transports) : records(transports) {}
PeerPaths::~PeerPaths() = default;

void PathEngine::stop(Peer& peer) noexcept {
  if (peer.paths == nullptr) return;
  PeerPaths& paths = *peer.paths;
  give_up(peer, make_error(Errc::not_sent, "nothing is tried any longer"));
  paths.dial = nullptr;
  paths.stage = PeerPaths::Stage::none;
  paths.next = nullptr;
  paths.old = nullptr;
  ++paths.probe;
  if (paths.timer != nullptr && impl_.shard(peer.shard).cancel_timer(paths.timer->id)) {
    // The timer may hold the last reference to the peer, which holds the timer.
    const std::unique_ptr<PeerPaths::Timer> cancelled = std::move(paths.timer);
  }
}

void PathEngine::look_again(const PeerPtr& peer, TimePoint at) {
  PeerPaths& paths = *peer->paths;
  Shard& shard = impl_.shard(peer->shard);
  if (paths.timer != nullptr) {
    if (!shard.cancel_timer(paths.timer->id)) return;
    paths.timer = nullptr;
  }
  if (impl_.stopped_.load(std::memory_order_seq_cst)) return;
  paths.timer = std::make_unique<PeerPaths::Timer>(impl_.shared_from_this(), peer);
  paths.timer->id = shard.start_timer(at, Task0{&PeerPaths::Timer::over, paths.timer.get()});
}

void PathEngine::became_ready(const PeerPtr& peer, const LinkPtr& link) {
  {
    const std::lock_guard lock(peer->mutex);
    PeerPaths& paths = of(*peer);
    ++paths.epoch;
    if (std::exchange(paths.lost, false)) {
      ++paths.failovers;
      count(counts_.failovers);
    }
  }
  if (link->agreement.path) evaluate(peer);
}

void PathEngine::evaluate(const PeerPtr& peer) {
  transport::Transport* better = nullptr;
  TimePoint again = TimePoint::never();
  {
    const std::lock_guard lock(peer->mutex);
    PeerPaths& paths = of(*peer);
    const bool up = peer->state == Peer::State::ready || peer->state == Peer::State::asking;
    if (peer->removed || !up || paths.stage != PeerPaths::Stage::none) return;
    if (peer->link == nullptr || !peer->link->agreement.path) return;
    if (impl_.stopped_.load(std::memory_order_seq_cst)) return;
    const TimePoint now = impl_.world_.clock().now();
    const std::vector<PathOption> all = options(*peer);
    const RankedPath best = rank(*peer, all, now).front();
    const std::string_view key = in_use(*peer);
    if (best.usable && !best.waiting && all[best.option].key != key) {
      better = impl_.transports_[best.option].get();
    } else {
      // Those that would come first if they had not failed.
      std::vector<PathOption> healthy = all;
      for (PathOption& option : healthy) option.failures = 0;
      for (const RankedPath& path : rank(*peer, healthy, now)) {
        if (!path.usable || healthy[path.option].key == key) break;
        again = std::min(again, all[path.option].again_at);
      }
    }
  }
  if (better != nullptr) return probe(peer, *better);
  if (again != TimePoint::never()) look_again(peer, again);
}

void PathEngine::probe(const PeerPtr& peer, transport::Transport& transport) {
  PeerPaths& paths = *peer->paths;
  Bytes entry;
  {
    const std::lock_guard lock(peer->mutex);
    const auto found = peer->info.address.find(transport.key());
    if (found == peer->info.address.end()) return;
    entry = found->second;
    ++paths.probes;
  }
  count(counts_.probes);
  paths.stage = PeerPaths::Stage::dialing;
  paths.probed = &transport;
  const std::uint64_t number = ++paths.probe;
  paths.dial = transport.connect(
      impl_.shard(peer->shard), entry,
      [impl = impl_.shared_from_this(), peer, number](Result<transport::ConnectionPtr> connection) {
        impl->paths_->on_probe_dialed(peer, number, std::move(connection));
      });
}

void PathEngine::on_probe_dialed(const PeerPtr& peer_reference, std::uint64_t number,
                                 Result<transport::ConnectionPtr> connection) {
  // The dial owns the closure that the arguments live in: copy before it goes.
  const PeerPtr peer = peer_reference;
  const std::shared_ptr<Impl> alive = impl_.shared_from_this();
  PeerPaths& paths = *peer->paths;
  if (paths.probe != number || paths.stage != PeerPaths::Stage::dialing) return;
  // The dial may not be destroyed inside its own callback.
  post(impl_.shard(peer->shard),
       [finished = std::shared_ptr<transport::Dial>(std::move(paths.dial))] {});
  if (!connection) return probe_failed(peer, connection.error().context());
  if (impl_.stopped_.load(std::memory_order_acquire)) return stop(*peer);
  transport::Connection& started = **connection;
  const LinkPtr link = impl_.add_link(std::move(*connection), true);
  link->route = paths.probed;
  {
    const std::lock_guard lock(peer->mutex);
    link->peer = peer->info.instance_id;
    link->account = impl_.calls_->ledger().open(link->peer);
  }
  paths.stage = PeerPaths::Stage::greeting;
  paths.next = link;
  started.start(*link);
  impl_.close_if_stopped(*link);
  const bool asked = impl_.send_hello(peer, link, [impl = alive, peer, link](Reply reply) {
    impl->paths_->on_probe_greeted(peer, link, reply);
  });
  if (!asked) probe_failed(peer, "no slot to greet with");
}

void PathEngine::on_probe_greeted(const PeerPtr& peer, const LinkPtr& link, const Reply& reply) {
  PeerPaths& paths = *peer->paths;
  if (paths.next != link || paths.stage != PeerPaths::Stage::greeting) {
    link->connection().close(
        transport::make_error(transport::Errc::closed_locally, "a probe that came too late"));
    return;
  }
  if (auto taken = impl_.take_greeting(*peer, *link, reply); !taken) {
    return probe_failed(peer, taken.error().context());
  }
  if (link->death) return probe_failed(peer, "closed while it was greeted");
  if (!link->agreement.path) return probe_failed(peer, "the peer knows no change of path", true);
  prepare(*link);
  open(peer, link, [this, alive = impl_.shared_from_this(), peer, link](Duration round_trip) {
    on_probe_opened(peer, link, round_trip);
  });
}

void PathEngine::on_probe_opened(const PeerPtr& peer, const LinkPtr& link, Duration round_trip) {
  PeerPaths& paths = *peer->paths;
  if (paths.next != link || paths.stage != PeerPaths::Stage::greeting) return;
  if (round_trip < Duration::zero()) return probe_failed(peer, "closed while it was greeted");
  bool best = false;
  {
    const std::lock_guard lock(peer->mutex);
    const std::vector<PathOption> all = options(*peer);
    const RankedPath first = rank(*peer, all, impl_.world_.clock().now()).front();
    best = first.usable && impl_.transports_[first.option].get() == link->route;
  }
  if (best) {
    paths.stage = PeerPaths::Stage::waiting;
    return try_switch(peer);
  }
  // It works, and is no better than what there is.
  paths.stage = PeerPaths::Stage::none;
  paths.next = nullptr;
  link->connection().close(
      transport::make_error(transport::Errc::closed_locally, "no better than the path in use"));
  evaluate(peer);
}

void PathEngine::probe_failed(const PeerPtr& peer, std::string failure, bool for_good) {
  PeerPaths& paths = *peer->paths;
  const LinkPtr link = std::exchange(paths.next, nullptr);
  paths.stage = PeerPaths::Stage::none;
  VELO_LOG_DEBUG(messenger, "no better path", {"worker", peer->worker.to_string()},
                 {"transport", std::string(paths.probed->key())}, {"why", failure});
  if (link != nullptr) {
    link->connection().close(transport::make_error(transport::Errc::closed_locally, failure));
  }
  {
    const std::lock_guard lock(peer->mutex);
    note_failure(*peer, *paths.probed, std::move(failure), for_good);
  }
  evaluate(peer);
}

void PathEngine::ask(const PeerPtr& peer, const LinkPtr& link, PathMessage message,
                     std::uint32_t lane, AnswerHandler then) {
  Shard& shard = impl_.shard(peer->shard);
  const TimePoint begin = impl_.world_.clock().now();
  const TimePoint deadline = begin + limits::hello_timeout;
  CallSlot* slot = impl_.calls_->allocate({Pattern::unary, true, deadline});
  if (slot == nullptr) {
    return post(shard, [then = std::move(then)]() mutable {
      then(make_error(Errc::too_many_calls, "no slot to ask with"), Duration::zero());
    });
  }
  impl_.note_deadline(deadline);
  const Bytes body = encode(message);
  Outgoing outgoing;
  outgoing.pattern = Pattern::unary;
  outgoing.system = true;
  outgoing.handler = "_path";
  outgoing.lane = lane;
  outgoing.payload = &body;
  outgoing.lane = lane;
  const MessageId id = slot->id();
  if (impl_.transmit(*link, *slot, id, outgoing, Impl::SlotHold::held) ==
      Impl::Transmitted::link_closed) {
    impl_.end_call(id, make_error(Errc::not_sent, "closed before it was asked"), false);
  }
  Op<Bytes>(*slot, &decode_reply<Bytes>)
      .then(shard, [impl = impl_.shared_from_this(), begin,
                    then = std::move(then)](Result<Bytes> reply) mutable {
        const Duration took = impl->world_.clock().now() - begin;
        if (!reply) return then(reply.error(), took);
        then(decode_path_answer(*reply), took);
      });
}

void PathEngine::open(const PeerPtr& peer, const LinkPtr& link,
                      std::move_only_function<void(Duration)> then) {
  std::vector<std::byte> token(path_token_bytes);
  // Who knows the name of a connection could ask for its calls.
  impl_.world_.secret_random().fill(token);
  link->token = Bytes::copy(token);
  PathMessage message;
  message.op = "open";
  message.token = link->token;
  message.epoch = peer->paths->epoch;
  ask(peer, link, std::move(message), 0,
      [impl = impl_.shared_from_this(), peer, link, then = std::move(then)](
          Result<PathAnswer> answer, Duration took) mutable {
        if (!answer) return then(Duration(-1));
        {
          const std::lock_guard lock(peer->mutex);
          peer->paths->records[impl->paths_->index_of(link->route)].round_trip = took;
        }
        then(took);
      });
}

}  // namespace velo::messenger
