// SPDX-License-Identifier: Apache-2.0
// How a peer becomes reachable: resolve its address, dial one transport after the other, greet with
// `_hello` as the first frame, and send what waited, in order.

#include "impl.hpp"
#include "no_room.hpp"
#include "path_engine.hpp"
#include "request_window.hpp"

#include <velo/base/log.hpp>
#include <velo/base/planted.hpp>

#include <algorithm>

namespace velo::messenger {

namespace greeting_detail {

static std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

/// A peer of ours says who it is; one of the public velo does not, and is taken for who was meant.
static bool is_another(const std::optional<Offer>& offer, WorkerId meant) {
  return offer && offer->incarnation != meant.value();
}

}  // namespace greeting_detail

std::shared_ptr<Link> Impl::add_link(transport::ConnectionPtr connection, bool dialed) {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(links_mutex_);
    const std::uint64_t serial = next_link_serial_++ & LinkMark::serial_mask;
    link = std::make_shared<Link>(shared_from_this(), std::move(connection), serial, dialed);
    links_.emplace(serial, link);
  }
  meter_new(link.get());
  return link;
}

void Impl::close_if_stopped(Link& link) noexcept {
  // stop_now() closes the links that it sees; one that came too late for that is closed here.
  if (stopped_.load(std::memory_order_seq_cst)) {
    link.connection().close(make_error(Errc::shutting_down));
  }
}

Result<bool> Impl::enqueue(const std::shared_ptr<Peer>& peer, PendingSend& send,
                           std::shared_ptr<Link>* ready) {
  std::optional<Peer::Start> start;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->removed) return make_error(Errc::unknown_peer, "the peer was unregistered");
    if (peer->state == Peer::State::ready) {
      *ready = peer->link;
      if (paths_ != nullptr && !send.is_reply) paths_->enter(**ready);
      return false;
    }
    if (send.is_reply && peer->link != nullptr && peer->link->hello_sent) {
      // A reply needs no greeting: two that answer by dialling back would wait for each other's.
      *ready = peer->link;
      return false;
    }
    if (peer->pending.size() >= limits::pending_sends_per_peer_max) {
      return make_error(Errc::overloaded, "too much waits for the connection to this peer");
    }
    if (!peer->pending_memory.add(send.bytes(), send.lane())) {
      return no_room(*memory_, peer->pending_memory.bytes(), "what waits for the connection");
    }
    if (send.is_reply) drain_.replies_waiting.fetch_add(1, std::memory_order_acq_rel);
    peer->pending.push_back(std::move(send));
    if (peer->state == Peer::State::idle) start = peer->begin_attempt();
  }
  if (start) start_attempt(peer, *start);
  return true;
}

void Impl::resolve(std::shared_ptr<Peer> peer) {
  std::uint64_t attempt = 0;
  InstanceId instance;
  WorkerId worker;
  {
    const std::lock_guard lock(peer->mutex);
    attempt = peer->attempt;
    instance = peer->info.instance_id;
    worker = peer->worker;
  }
  if (!discovery_) {
    return fail_attempt(peer, attempt, make_error(Errc::no_route, "the peer has no address"));
  }
  Op<PeerInfo> lookup = instance.valid() ? discovery_->discover_by_instance_id(instance)
                                         : discovery_->discover_by_worker_id(worker);
  std::move(lookup).then(
      shard(peer->shard), [impl = shared_from_this(), peer, attempt](Result<PeerInfo> found) {
        Incidents& incidents = impl->calls().ledger().incidents;
        const bool usable = found && found->worker_id() == peer->worker;
        incidents.count(usable ? Incident::peer_found : Incident::peer_not_found);
        if (!found) {
          return impl->fail_attempt(peer, attempt,
                                    make_error(Errc::unknown_peer, found.error().to_string()));
        }
        if (found->worker_id() != peer->worker) {
          return impl->fail_attempt(
              peer, attempt, make_error(Errc::unknown_peer, "discovery answered for another peer"));
        }
        {
          const std::lock_guard lock(peer->mutex);
          if (peer->attempt != attempt || peer->removed) return;
        }
        if (auto registered = impl->register_peer(*found, PeerSource::discovery); !registered) {
          return impl->fail_attempt(peer, attempt, registered.error());
        }
        {
          const std::lock_guard lock(peer->mutex);
          if (peer->attempt != attempt || peer->removed) return;
          peer->state = Peer::State::dialing;
          peer->candidates = impl->candidates_for(*peer);
        }
        std::reverse(peer->candidates.begin(), peer->candidates.end());
        impl->dial_next(peer, attempt);
      });
}

void Impl::dial_next(std::shared_ptr<Peer> peer, std::uint64_t attempt) {
  Bytes entry;
  transport::Transport* candidate = nullptr;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->attempt != attempt) return;
    if (!peer->candidates.empty() && !stopped_.load(std::memory_order_acquire)) {
      candidate = peer->candidates.back();
      peer->candidates.pop_back();
      const auto found = peer->info.address.find(candidate->key());
      if (found != peer->info.address.end()) entry = found->second;
      peer->dialled = true;
      peer->dialing = candidate;
    }
  }
  if (candidate == nullptr) return fail_attempt(peer, attempt, peer->last_failure);
  peer->dial = candidate->connect(
      shard(peer->shard), entry,
      [impl = shared_from_this(), peer, attempt](Result<transport::ConnectionPtr> connection) {
        impl->on_dialed(peer, attempt, std::move(connection));
      });
}

void Impl::on_dialed(const std::shared_ptr<Peer>& peer_reference, std::uint64_t attempt,
                     Result<transport::ConnectionPtr> connection) {
  // The dial owns the closure that both arguments live in: copy before it goes.
  const std::shared_ptr<Peer> peer = peer_reference;
  const std::shared_ptr<Impl> alive = shared_from_this();
  // The dial may not be destroyed inside its own callback.
  post(shard(peer->shard), [finished = std::shared_ptr<transport::Dial>(std::move(peer->dial))] {});
  if (!connection) {
    peer->last_failure = make_error(Errc::not_sent, connection.error().to_string());
    if (paths_ != nullptr) paths_->dial_failed(*peer, *peer->dialing, connection.error());
    return dial_next(peer, attempt);
  }
  if (stopped_.load(std::memory_order_acquire)) return;
  transport::Connection& started = **connection;
  const std::shared_ptr<Link> link = add_link(std::move(*connection), true);
  link->route = peer->dialing;
  {
    const std::lock_guard lock(peer->mutex);
    link->peer = peer->info.instance_id;
    link->account = calls_->ledger().open(link->peer);
    if (peer->attempt == attempt) peer->link = link;
  }
  started.start(*link);
  close_if_stopped(*link);
  greet(peer, attempt, link);
  send_waiting_replies(peer, *link);
}

void Impl::send_waiting_replies(const std::shared_ptr<Peer>& peer, Link& link) {
  std::deque<PendingSend> replies;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->link.get() != &link) return;
    std::deque<PendingSend> requests;
    for (PendingSend& send : peer->pending) {
      if (send.is_reply) peer->pending_memory.remove(send.bytes());
      (send.is_reply ? replies : requests).push_back(std::move(send));
    }
    peer->pending = std::move(requests);
  }
  for (PendingSend& reply : replies) (void)send_pending(link, reply);
}

bool Impl::send_hello(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                      std::move_only_function<void(Reply)> then) {
  CallSlot* slot =
      calls_->allocate({Pattern::unary, true, world_.clock().now() + limits::hello_timeout});
  if (slot == nullptr) return false;
  note_deadline(world_.clock().now() + limits::hello_timeout);
  HelloRequest hello;
  hello.peer_info = self_;
  if (extensions_) {
    hello.offer = guard_.signed_offer(offer_, self_.instance_id, peer->worker, BindingRole::request,
                                      link->connection());
  }
  const Bytes body = encode_hello_request(hello);
  Outgoing outgoing;
  outgoing.pattern = Pattern::unary;
  outgoing.system = true;
  outgoing.handler = "_hello";
  outgoing.payload = &body;
  const MessageId id = slot->id();
  if (transmit(*link, *slot, id, outgoing, SlotHold::held) == Transmitted::link_closed) {
    end_call(id, make_error(Errc::not_sent, "closed before the greeting"), false);
  }
  link->hello_sent = true;
  calls_->ledger().incidents.count(Incident::greeting_sent);
  Op<Reply>(*slot, [](OpState& state) -> Result<Reply> {
    return take_reply(state);
  }).then(shard(peer->shard), [then = std::move(then)](Result<Reply> reply) mutable {
    then(std::move(*reply));
  });
  return true;
}

void Impl::greet(const std::shared_ptr<Peer>& peer, std::uint64_t attempt,
                 std::shared_ptr<Link> link) {
  const bool asked =
      send_hello(peer, link, [impl = shared_from_this(), peer, attempt, link](Reply reply) {
        impl->on_greeted(peer, attempt, link, std::move(reply));
      });
  if (asked) return;
  link->connection().close(make_error(Errc::too_many_calls));
  fail_attempt(peer, attempt, make_error(Errc::too_many_calls, "no slot to greet with"));
}

Result<HandlersResponse> Impl::read_answer(Link& link, const Peer& peer, const Reply& reply) {
  if (reply.error) {
    if (reply.error->is(Errc::deadline_exceeded) && self_.address.empty()) {
      return make_error(Errc::needs_listener,
                        "the peer answers by dialling back, and this side does not listen");
    }
    return make_error(Errc::not_sent, "greeting: " + reply.error->to_string());
  }
  auto response = decode_handlers_response(reply.payload);
  if (!response) return make_error(Errc::not_sent, response.error().to_string());
  if (greeting_detail::is_another(response->offer, peer.worker)) {
    subsystems_.replaced(link.peer);
    return make_error(Errc::not_sent, "another instance answers at the peer's address");
  }
  const auto proven =
      guard_.judge(link.peer, response->offer, worker_, BindingRole::answer, link.connection());
  if (!proven) return proven.error();
  link.introduce(link.peer, *proven);
  subsystems_.linked(link);
  return response;
}

Result<void> Impl::take_greeting(Peer& peer, Link& link, const Reply& reply) {
  auto response = read_answer(link, peer, reply);
  calls_->ledger().incidents.count(response ? Incident::greeted : Incident::greeting_failed);
  if (!response) return response.error();
  if (extensions_) link.agreement = agree(offer_, response->offer);
  if (link.agreement.windowed()) {
    link.window = std::make_unique<RequestWindow>(link.connection().shard(), memory_);
    link.window->open(link.agreement.window_calls, link.agreement.window_bytes);
  }
  link.set_handlers(
      std::make_shared<const HandlerNames>(greeting_detail::sorted(std::move(response->handlers))));
  const std::lock_guard lock(peer.mutex);
  peer.note_identity(link.identity());
  return {};
}

void Impl::on_greeted(const std::shared_ptr<Peer>& peer, std::uint64_t attempt,
                      const std::shared_ptr<Link>& link, Reply reply) {
  auto taken = take_greeting(*peer, *link, reply);
  // It died between its answer and this look at it, which was too soon for another path to know.
  if (taken && paths_ != nullptr && link->death) {
    taken = make_error(Errc::not_sent, link->death->to_string());
  }
  if (taken && paths_ != nullptr) return paths_->greeted(peer, link);
  if (taken) return become_ready(peer, link);
  link->connection().close(taken.error());
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->link == link) peer->link = nullptr;
  }
  peer->last_failure = taken.error();
  if (paths_ != nullptr) paths_->dial_failed(*peer, *link->route, taken.error());
  dial_next(peer, attempt);
}

void Impl::become_ready(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link) {
  for (;;) {
    std::deque<PendingSend> batch;
    {
      const std::lock_guard lock(peer->mutex);
      if (peer->removed || peer->link != link) {
        link->connection().close(
            transport::make_error(transport::Errc::closed_locally, "the peer was unregistered"));
        return;
      }
      if (peer->pending.empty()) {
        peer->state = Peer::State::ready;
        peer->ready_since = world_.clock().now();
        link->held.store(false, std::memory_order_seq_cst);
        break;
      }
      batch = std::exchange(peer->pending, {});
      peer->pending_memory.clear();
    }
    VELO_PLANT(overtaking, std::reverse(batch.begin(), batch.end()));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (send_pending(*link, batch[i])) continue;
      return put_back(*peer, batch, i);
    }
  }
  publish(*peer, *link);
  VELO_LOG_DEBUG(messenger, "peer ready", {"peer", link->peer.to_string()},
                 {"transport", std::string(link->connection().transport_key())});
  if (paths_ != nullptr) paths_->became_ready(peer, link);
}

void Impl::put_back(Peer& peer, std::deque<PendingSend>& batch, std::size_t first) {
  // The link's end is about to be told; what is left goes by another path.
  const std::lock_guard lock(peer.mutex);
  while (batch.size() > first) {
    peer.pending_memory.take(batch.back().bytes());
    peer.pending.push_front(std::move(batch.back()));
    batch.pop_back();
  }
}

void Impl::publish(const Peer& peer, Link& link) {
  if (!link.peer.valid()) return;
  shards_[peer.shard].last_link = nullptr;
  shards_[peer.shard].ready[link.peer] = &link;
}

bool Impl::send_pending(Link& link, PendingSend& send) {
  if (send.is_reply) {
    (void)send_reply_on(link, send.reply_type, send.reply_header, send.payload);
    reply_left();
    return true;
  }
  if (send.again == PendingSend::Again::ended) return paths_->send_ended(link, send);
  CallSlot* slot = calls_->find(send.id.slot());
  if (slot == nullptr || slot->live_generation() != send.id.generation()) return true;
  if (send.pattern == Pattern::fire && !send.handler.starts_with('_') &&
      !link.may_have_handler(send.handler)) {
    end_call(send.id,
             make_error(Errc::unknown_handler, "the peer has no handler \"" + send.handler + "\""));
    return true;
  }
  Outgoing outgoing;
  outgoing.pattern = send.pattern;
  outgoing.system = send.handler.starts_with('_');
  outgoing.typed = send.typed;
  outgoing.handler = send.handler;
  outgoing.headers = send.headers;
  outgoing.payload = &send.payload;
  outgoing.may_be_lost = send.may_be_lost;
  outgoing.again = send.again != PendingSend::Again::no;
  if (transmit(link, *slot, send.id, outgoing, SlotHold::loose) != Transmitted::link_closed) {
    if (!outgoing.system && !outgoing.again) calls_->ledger().incidents.count(Incident::waited);
    return true;
  }
  if (link.agreement.path) return false;
  calls_->ledger().incidents.count(Incident::connection_gone);
  end_call(send.id, make_error(Errc::not_sent, "the connection closed before it was used"));
  return true;
}

}  // namespace velo::messenger
