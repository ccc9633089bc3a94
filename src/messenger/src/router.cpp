// SPDX-License-Identifier: Apache-2.0
// A send's way from its builder to a connection: checks, a slot, the peer, the bytes.

#include "impl.hpp"
#include "no_room.hpp"
#include "path_engine.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"
#include "tracer.hpp"
#include "waiting_send.hpp"

#include <velo/codec/json_value.hpp>

#include <array>

namespace velo::messenger {

namespace router_detail {

static transport::OutFrame frame_of(ByteSpan header, const Bytes& body, std::uint32_t lane,
                                    const Outgoing& outgoing) noexcept {
  transport::OutFrame frame(transport::FrameType::message, header, body);
  frame.lane = lane;
  frame.may_be_lost = outgoing.may_be_lost;
  return frame;
}

/// The body as the peer reads it; in `converted` where that is not as it was given.
static Result<const Bytes*> body_for(const Link& link, const Outgoing& outgoing, Bytes& converted) {
  if (!outgoing.typed || link.agreement.msgpack) return outgoing.payload;
  auto json = outgoing.payload->empty() ? Result<std::string>("null")
                                        : codec::msgpack_to_json(*outgoing.payload);
  if (!json) return json.error();
  converted = Bytes::own(std::move(*json));
  return static_cast<const Bytes*>(&converted);
}

/// Of the call's deadline, in microseconds.
static std::uint64_t left_of(const CallSlot& slot, const Link& link) noexcept {
  const Duration left = TimePoint(Duration(slot.deadline_ns.load(std::memory_order_relaxed))) -
                        link.connection().shard().now();
  return left <= Duration::zero() ? 0 : static_cast<std::uint64_t>(left.count() / 1000);
}

/// As it goes out on this link now.
static protocol::RequestHeader header_of(const Link& link, const CallSlot& slot, MessageId id,
                                         const Outgoing& outgoing) noexcept {
  protocol::RequestHeader header;
  header.response_type = static_cast<protocol::ResponseType>(outgoing.pattern);
  header.id = id;
  header.name = outgoing.handler;
  header.headers = outgoing.headers;
  if (link.agreement.hdr2) header.timeout_us = left_of(slot, link);
  return header;
}

}  // namespace router_detail

OpState& start(CallSpec& spec) { return spec.impl->start(spec); }

std::optional<Error> Impl::check_spec(const CallSpec& spec) const {
  if (spec.has_instance == spec.has_worker) {
    return make_error(Errc::no_target, "name either an instance or a worker as the target");
  }
  if (!protocol::valid_name(spec.handler)) {
    return velo::make_error(velo::Errc::invalid_argument,
                            "a handler's name has 1 to 65,535 bytes of UTF-8");
  }
  if (spec.may_be_lost && spec.pattern != Pattern::fire) {
    return velo::make_error(velo::Errc::invalid_argument,
                            "only fire-and-forget may be lost: nothing waits for its answer");
  }
  if (!spec.system && spec.handler.front() == '_') {
    return make_error(Errc::reserved_name, "names starting with _ are velo's own");
  }
  if (stopped_.load(std::memory_order_acquire)) return make_error(Errc::shutting_down);
  return std::nullopt;
}

OpState& Impl::start(CallSpec& spec) {
  if (!spec.system) {
    calls_->ledger().began(spec.pattern);
    if (tracer_ != nullptr || trace::current() != nullptr) [[unlikely]]
      return start_traced(spec);
  }
  return start_counted(spec);
}

OpState& Impl::refuse(const CallSpec& spec, Error error) {
  if (!spec.system) calls_->ledger().rejected(Ledger::nobody, spec.pattern, error.code());
  if (spec.span != nullptr) [[unlikely]]
    spec.span->end(&error);
  return ended_before_start(world_, std::move(error));
}

OpState& Impl::start_counted(CallSpec& spec) {
  if (auto error = check_spec(spec)) return refuse(spec, std::move(*error));
  spec.timeout = std::clamp(spec.timeout, Duration::zero(), velo::limits::call_deadline_max);
  Executor* executor = Executor::current();
  const bool on_shard = executor != nullptr && executor == &world_.shard(0);
  const TimePoint now = on_shard ? world_.shard(0).now() : world_.clock().now();
  const TimePoint deadline = now + spec.timeout;
  CallSlot* slot = calls_->allocate({spec.pattern, spec.system, deadline, now, &spec.span});
  if (slot == nullptr) {
    if (spec.await_capacity) return wait_for_capacity(spec);
    return refuse(spec, make_error(Errc::too_many_calls, "every call slot is taken"));
  }
  if (spec.await_capacity) return start_apart(spec, *slot, deadline);
  note_deadline(deadline);
  return begin(spec, *slot);
}

OpState& Impl::begin(CallSpec& spec, CallSlot& slot) {
  const MessageId id = slot.id();
  Outgoing outgoing;
  outgoing.pattern = spec.pattern;
  outgoing.system = spec.system;
  outgoing.typed = spec.typed;
  outgoing.handler = spec.handler;
  outgoing.payload = &spec.payload;
  outgoing.may_be_lost = spec.may_be_lost;
  Bytes headers;
  if (!spec.headers.empty()) {
    auto encoded = protocol::encode_headers(spec.headers);
    if (!encoded) {
      end_call(id, encoded.error());
      return slot;
    }
    headers = std::move(*encoded);
    outgoing.headers = headers;
  }
  if (spec.stop.stop_possible()) {
    calls_->watch_stop(slot, std::move(spec.stop));
    if (!slot.live_generation()) return slot;
  }
  route(spec, slot, outgoing);
  return slot;
}

Link* Impl::ready_link_here(const InstanceId& id) noexcept {
  Executor* executor = Executor::current();
  if (executor == nullptr) return nullptr;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (&world_.shard(i) != executor) continue;
    ReadyLinks& state = shards_[i];
    if (state.last_link != nullptr && state.last_id == id) return state.last_link;
    const auto found = state.ready.find(id);
    if (found == state.ready.end()) return nullptr;
    state.last_id = id;
    return state.last_link = found->second;
  }
  return nullptr;
}

void Impl::route(CallSpec& spec, CallSlot& slot, const Outgoing& outgoing) {
  const MessageId id = slot.id();
  if ((spec.has_instance && spec.instance == self_.instance_id) ||
      (spec.has_worker && spec.worker == worker_)) {
    if (outgoing.pattern == Pattern::fire && handlers_.find(outgoing.handler) == nullptr) {
      end_call(id, make_error(Errc::unknown_handler, std::string(outgoing.handler)));
      return;
    }
    if (transmit(*self_link_, slot, id, outgoing, SlotHold::held) == Transmitted::link_closed) {
      end_call(id, make_error(Errc::shutting_down));
    }
    return;
  }
  // A shard's own links need neither lock nor reference: they are closed on this thread only.
  Link* link = spec.has_instance ? ready_link_here(spec.instance) : nullptr;
  if (link != nullptr && !link->held.load(std::memory_order_acquire) &&
      (outgoing.pattern != Pattern::fire || link->may_have_handler(outgoing.handler))) {
    if (transmit(*link, slot, id, outgoing, SlotHold::held) == Transmitted::done) return;
  }
  auto peer = peer_for(spec);
  if (!peer) {
    end_call(id, peer.error());
    return;
  }
  send_or_enqueue(spec, std::move(*peer), slot, outgoing);
}

void Impl::send_or_enqueue(const CallSpec& spec, std::shared_ptr<Peer> peer, CallSlot& slot,
                           const Outgoing& outgoing) {
  const MessageId id = slot.id();
  // A link that closes under us is replaced at most twice; then the peer is as good as gone.
  for (int attempt = 0; attempt < 3; ++attempt) {
    std::shared_ptr<Link> link;
    PendingSend send;
    send.id = id;
    send.pattern = outgoing.pattern;
    send.typed = outgoing.typed;
    send.may_be_lost = outgoing.may_be_lost;
    {
      const std::lock_guard lock(peer->mutex);
      if (peer->state == Peer::State::ready) link = peer->link;
      if (link != nullptr && paths_ != nullptr) paths_->enter(*link);
    }
    const LeaveLink leave(paths_.get(), peer, link);
    if (!link && spec.connection != 0 && staging_.send_back(spec, slot, outgoing)) return;
    const bool unlisted = link != nullptr && outgoing.pattern == Pattern::fire &&
                          !link->may_have_handler(outgoing.handler);
    if (!link || unlisted) {
      send.handler = std::string(outgoing.handler);
      send.headers = Bytes::copy(outgoing.headers);
      send.payload = *outgoing.payload;
    }
    if (unlisted) {
      if (hold_for_list(peer, link, send)) return;
      continue;
    }
    if (!link) {
      const auto queued = enqueue(peer, send, &link);
      if (!queued && peer->forgotten.load(std::memory_order_acquire)) {
        // Nobody referred to it but this send, which was not seen in time: it is found anew.
        if (auto again = peer_for(spec)) {
          peer = std::move(*again);
          continue;
        }
      }
      if (!queued) {
        end_call(id, queued.error());
        return;
      }
      if (*queued) {
        if (!outgoing.handler.starts_with('_')) calls_->ledger().waited_for_connection();
        return;
      }
    }
    if (outgoing.pattern == Pattern::fire && !link->may_have_handler(outgoing.handler)) continue;
    if (transmit(*link, slot, id, outgoing, SlotHold::held) == Transmitted::done) return;
    if (link->agreement.path) {
      paths_->await_end(peer, *link);
    } else {
      link_lost(peer, *link);
    }
  }
  calls_->ledger().incidents.count(Incident::connection_gone);
  end_call(id, make_error(Errc::not_sent, "the peer's connections keep closing"));
}

bool Impl::fits_window(Link& link, const Outgoing& outgoing, std::size_t frame_bytes,
                       std::uint64_t& charge) noexcept {
  RequestWindow* window = link.window.get();
  if (window == nullptr || outgoing.handler.front() == '_') return true;
  if (!outgoing.held_back && window->holds()) return false;
  if (outgoing.pattern == Pattern::fire) return true;
  const std::uint64_t wanted = window->charge_of(frame_bytes);
  if (!window->take(wanted)) return false;
  charge = wanted;
  return true;
}

bool Impl::put_on_link(std::uint64_t mark, CallSlot& slot, std::uint64_t generation, SlotHold hold,
                       std::uint64_t charge) noexcept {
  if (hold == SlotHold::held) {
    slot.travels_on.set(generation, mark);
    if (charge != 0) slot.window_charge.set(generation, charge);
  } else if (!slot.travels_on.change(generation, 0, mark) ||
             (charge != 0 && !slot.window_charge.change(generation, 0, charge))) {
    return false;
  }
  return charge == 0 || slot.mark_charged(generation);
}

bool Impl::take_off_link(std::uint64_t mark, CallSlot& slot, std::uint64_t generation,
                         std::uint64_t charge) noexcept {
  if (charge != 0) {
    // A closed connection's window is of no use to anybody; the next one charges anew.
    if (!slot.unmark_charged(generation)) return false;
    (void)slot.window_charge.change(generation, charge, 0);
  }
  (void)slot.travels_on.change(generation, mark, 0);
  return true;
}

Impl::Transmitted Impl::end_too_large(MessageId id) {
  end_call(id, make_error(Errc::too_large, "the request is over the peer's frame limit"));
  return Transmitted::done;
}

Impl::Transmitted Impl::transmit(Link& link, CallSlot& slot, MessageId id, const Outgoing& outgoing,
                                 SlotHold hold) {
  Bytes converted;
  const auto body_or = router_detail::body_for(link, outgoing, converted);
  if (!body_or) {
    end_call(id, make_error(Errc::bad_request, body_or.error().to_string()));
    return Transmitted::done;
  }
  const Bytes* body = *body_or;
  if (staging_.wants(link, outgoing, body->size())) {
    return staging_.transmit(link, slot, id, outgoing, *body, hold);
  }
  const protocol::RequestHeader header = router_detail::header_of(link, slot, id, outgoing);
  const std::size_t size = protocol::encoded_size(header);
  if (size + body->size() > link.agreement.frame_bytes_max) return end_too_large(id);
  std::uint64_t charge = 0;
  if (!fits_window(link, outgoing, size + body->size(), charge)) {
    return outgoing.held_back ? Transmitted::window_full : hold_back(link, id, outgoing);
  }
  std::array<std::byte, 512> stack;
  std::vector<std::byte> large(size > stack.size() ? size : 0);
  const std::span<std::byte> out = large.empty() ? std::span<std::byte>(stack) : std::span(large);
  protocol::encode_request(header, out);
  const std::uint32_t lane = outgoing.lane ? *outgoing.lane : link.take_lane(outgoing.handler);
  const std::uint64_t mark = link.mark(lane);
  if (!put_on_link(mark, slot, id.generation(), hold, charge)) {
    if (charge != 0) give_window(link, charge);
    return Transmitted::done;  // the call ended while it waited
  }
  const auto end_unsent = [&](Error error) {
    if (link.sent_log != nullptr) link.sent_log->remove(id);
    if (take_off_link(mark, slot, id.generation(), charge)) {
      if (charge != 0) give_window(link, charge);
      end_call(id, std::move(error));
    }
    return Transmitted::done;
  };
  const bool kept =
      link.sent_log != nullptr && outgoing.handler.front() != '_' && !outgoing.may_be_lost;
  if (kept) paths_->keep(link, id, outgoing);
  const auto frame = router_detail::frame_of(ByteSpan(out).first(size), *body, lane, outgoing);
  const transport::SendResult sent =
      tracer_ == nullptr ? link.send(frame) : send_traced(link, outgoing, frame);
  switch (sent.admission) {
    case transport::Admission::accepted:
      if (!outgoing.system && !outgoing.again) {
        calls_->ledger().accepted(link.account, outgoing.pattern);
      }
      if (outgoing.may_be_lost) calls_->ledger().may_be_lost(link.account);
      if (kept) paths_->kept_was_sent(link, id, outgoing.pattern, lane);
      // The call may have ended inside send(); its slot stays ours until the Op is handed out.
      if (hold == SlotHold::held) slot.stream_end.store(sent.end, std::memory_order_release);
      if (outgoing.pattern != Pattern::fire) return Transmitted::done;
      if (link.connection().written() >= sent.end) {
        end_call(id, std::nullopt, false);
      } else {
        link.await_written(sent.end, id);
      }
      return Transmitted::done;
    case transport::Admission::over_budget:
      return end_unsent(no_room(*memory_, link.connection().queued(), "the queue to the peer"));
    case transport::Admission::too_large:
      return end_unsent(make_error(Errc::too_large, "the request is over the frame limit"));
    case transport::Admission::closed: break;
  }
  if (kept) link.sent_log->remove(id);
  return take_off_link(mark, slot, id.generation(), charge) ? Transmitted::link_closed
                                                            : Transmitted::done;
}

bool Impl::end_call(MessageId id, std::optional<Error> error, bool here) noexcept {
  CallSlot* slot = calls_->find(id.slot());
  if (slot == nullptr || !slot->claim(id.generation())) return false;
  slot->end(std::move(error), here);
  return true;
}

bool Impl::written_on(std::uint64_t link_serial, std::uint64_t end) const noexcept {
  const std::lock_guard lock(links_mutex_);
  const auto found = links_.find(link_serial);
  if (found == links_.end()) return false;
  const transport::Connection& connection = found->second->connection();
  return end != 0 ? connection.written() >= end : connection.queued() == 0;
}

void Impl::on_cancelled(MessageId id, std::uint64_t link_serial, Pattern pattern,
                        std::uint64_t charge, std::uint32_t lane) noexcept {
  if (pattern == Pattern::fire || link_serial == 0) return;
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(links_mutex_);
    const auto found = links_.find(link_serial);
    if (found == links_.end()) return;
    link = found->second;
  }
  if (!link->agreement.cancel) return;
  const bool told = send_cancel(*link, id, lane);
  if (charge == 0) return;
  // The peer reads of the end before any newer request, and counts as we do.
  if (told) return give_window(*link, charge);
  link->window->owe({id, charge, lane});
  link->owes_cancels.store(true, std::memory_order_relaxed);
}

}  // namespace velo::messenger
