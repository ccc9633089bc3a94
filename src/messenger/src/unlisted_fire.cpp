// SPDX-License-Identifier: Apache-2.0
// Fire-and-forget to a name that the peer has not listed. Nobody answers fire-and-forget, so the
// peer is asked for its handlers before the message is lost in silence; everything sent to it
// meanwhile waits behind, in order and bounded like what waits for a connection.

#include "impl.hpp"
#include "path_engine.hpp"

#include <algorithm>

namespace velo::messenger {

bool Impl::hold_for_list(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                         PendingSend& send) {
  const MessageId id = send.id;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->state == Peer::State::ready && peer->link == link) {
      peer->state = Peer::State::asking;
      link->held.store(true, std::memory_order_release);
    }
  }
  // Enqueued before the question leaves: over inproc the answer comes within the asking.
  std::shared_ptr<Link> other;
  const auto queued = enqueue(peer, send, &other);
  if (!queued) {
    end_call(id, queued.error());
  } else if (*queued) {
    calls_->ledger().waited_for_connection();
  }
  if (other != nullptr && paths_ != nullptr) paths_->leave(peer, *other);
  ask_held(peer, link);
  return !queued || *queued;
}

void Impl::ask_held(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link) {
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->state != Peer::State::asking || peer->link != link || peer->asking) return;
    peer->asking = true;
    for (PendingSend& send : peer->pending) send.asked = true;
  }
  const TimePoint deadline = world_.clock().now() + limits::hello_timeout;
  CallSlot* slot = calls_->allocate({Pattern::unary, true, deadline});
  if (slot == nullptr) {
    return on_held_answer(peer, link, make_error(Errc::too_many_calls, "no slot to ask with"));
  }
  note_deadline(deadline);
  const Bytes body = Bytes::of_static("null");
  Outgoing outgoing;
  outgoing.pattern = Pattern::unary;
  outgoing.system = true;
  outgoing.handler = "_list_handlers";
  outgoing.payload = &body;
  const MessageId id = slot->id();
  if (transmit(*link, *slot, id, outgoing, SlotHold::held) == Transmitted::link_closed) {
    end_call(id, make_error(Errc::not_sent, "closed before it was asked"), false);
  }
  Op<Bytes>(*slot, &decode_reply<Bytes>)
      .then(shard(peer->shard), [impl = shared_from_this(), peer, link](Result<Bytes> reply) {
        impl->on_held_answer(peer, link, std::move(reply));
      });
}

void Impl::on_held_answer(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Link>& link,
                          Result<Bytes> reply) {
  std::optional<Error> failure;
  if (!reply) {
    failure = make_error(Errc::not_sent, reply.error().to_string());
  } else if (auto response = decode_handlers_response(*reply)) {
    std::sort(response->handlers.begin(), response->handlers.end());
    link->set_handlers(std::make_shared<const HandlerNames>(std::move(response->handlers)));
  } else {
    failure = make_error(Errc::not_sent, response.error().to_string());
  }
  const auto unlisted = [&](const PendingSend& send) {
    return !send.is_reply && send.pattern == Pattern::fire && !send.handler.starts_with('_') &&
           !link->may_have_handler(send.handler);
  };
  for (;;) {
    std::deque<PendingSend> batch;
    bool again = false;
    {
      const std::lock_guard lock(peer->mutex);
      peer->asking = false;
      // A link that died meanwhile was replaced, and its successor's greeting decides.
      if (peer->state != Peer::State::asking || peer->link != link) return;
      if (peer->pending.empty()) {
        peer->state = Peer::State::ready;
        link->held.store(false, std::memory_order_release);
        break;
      }
      while (!again && !peer->pending.empty()) {
        PendingSend& next = peer->pending.front();
        // What was sent after the question may be about a handler registered after the answer.
        again = unlisted(next) && !next.asked;
        if (again) break;
        peer->pending_memory.remove(next.bytes());
        batch.push_back(std::move(next));
        peer->pending.pop_front();
      }
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (failure && unlisted(batch[i])) {
        end_call(batch[i].id, failure);
      } else if (!send_pending(*link, batch[i])) {
        return put_back(*peer, batch, i);
      }
    }
    if (again) return ask_held(peer, link);
  }
  if (paths_ != nullptr) paths_->settled(peer);
}

}  // namespace velo::messenger
