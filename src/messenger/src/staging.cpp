// SPDX-License-Identifier: Apache-2.0
// Payloads of requests and replies on their way into and out of the resolver.

#include "staging.hpp"

#include "handler_queue.hpp"
#include "impl.hpp"
#include "inbound_call.hpp"
#include "path_engine.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"

#include <algorithm>
#include <utility>

namespace velo::messenger {
namespace staging_detail {

/// For what no call waits for: of fire-and-forget, and replies to callers that name no deadline.
constexpr Duration unattended = std::chrono::seconds(60);

static Duration until(TimePoint deadline, TimePoint now) noexcept {
  if (deadline == TimePoint::never()) return unattended;
  return std::max(deadline - now, Duration::zero());
}

/// Why a request cannot be handled, in codes that say that nothing ran.
static Error no_payload(const Error& error) {
  if (error.retry() == Retry::later) return make_error(Errc::over_budget, error.to_string());
  return make_error(Errc::no_payload, error.to_string());
}

/// How the other end of an accepted connection is asked without a dial. One of ours takes velo's
/// own requests on the connections that it made.
static std::uint64_t way_back(const Link& link) noexcept {
  return link.dialed() || !link.agreement.staged ? 0 : link.serial();
}

}  // namespace staging_detail

bool Staging::reaches(const Link& link, std::size_t bytes) const noexcept {
  // Within this process a payload is handed over as it is, unless no frame takes it.
  const bool here =
      &link == impl_.self_link_.get() || link.connection().transport_key() == "inproc";
  if (here && bytes + limits::staging_frame_margin <= link.agreement.frame_bytes_max) return false;
  // Who agreed reads by this very connection. The public velo always stages, and whoever got its
  // greeting answered is one that it can dial.
  return link.agreement.staged || !link.agreement.ours;
}

Transmitted Staging::transmit(Link& link, CallSlot& slot, MessageId id, const Outgoing& outgoing,
                              const Bytes& body, SlotHold hold) {
  const bool fire = outgoing.pattern == Pattern::fire;
  const TimePoint deadline{Duration(slot.deadline_ns.load(std::memory_order_relaxed))};
  const Duration lives = fire ? staging_detail::unattended
                              : staging_detail::until(deadline, link.connection().shard().now());
  // A peer of the public velo may read without having said who it is.
  auto staged = resolver_->stage(body, link.agreement.ours ? link.peer : InstanceId(), lives);
  if (!staged) {
    impl_.end_call(id, make_error(Errc::over_budget, staged.error().to_string()));
    return Transmitted::done;
  }
  Headers all;
  if (!outgoing.headers.empty()) {
    if (auto decoded = protocol::decode_headers(outgoing.headers)) all = std::move(*decoded);
  }
  all.insert_or_assign(std::string(staged_header_name), staged->reference);
  auto encoded = protocol::encode_headers(all);
  if (!encoded) {
    resolver_->drop(staged->ticket);
    impl_.end_call(id, encoded.error());
    return Transmitted::done;
  }
  if (!fire) {
    std::uint64_t before = 0;
    {
      const std::lock_guard lock(mutex_);
      before = std::exchange(calls_[id.local()].ticket, staged->ticket);
    }
    if (before != 0) resolver_->drop(before);
    // Ended meanwhile: nobody else will drop it.
    if (!slot.mark_staged(id.generation())) call_over(id);
  }
  const Bytes nothing;
  Outgoing small = outgoing;
  small.headers = *encoded;
  small.payload = &nothing;
  small.typed = false;
  const Transmitted sent = impl_.transmit(link, slot, id, small, hold);
  if (fire && sent == Transmitted::link_closed) resolver_->drop(staged->ticket);
  return sent;
}

bool Staging::send_back(const CallSpec& spec, CallSlot& slot, const Outgoing& outgoing) {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(impl_.links_mutex_);
    const auto found = impl_.links_.find(spec.connection);
    if (found != impl_.links_.end()) link = found->second;
  }
  if (!link && impl_.paths_ != nullptr) link = impl_.paths_->successor_of(spec.connection);
  return link &&
         impl_.transmit(*link, slot, slot.id(), outgoing, SlotHold::held) == Transmitted::done;
}

void Staging::call_over(MessageId id) noexcept {
  Call over;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(id.local());
    if (found == calls_.end()) return;
    over = std::move(found->second);
    calls_.erase(found);
  }
  if (over.ticket != 0) resolver_->drop(over.ticket);
  if (over.pull) over.pull->request_stop();
}

bool Staging::pull_reply(Link& link, CallSlot& slot, const protocol::ResponseHeader& header) {
  // Of velo's own nothing is staged: or a peer could send this one from handle to handle.
  if (slot.live_generation() != header.id.generation() || slot.system) return false;
  auto headers = protocol::decode_headers(header.headers);
  if (!headers) return false;
  const auto named = headers->find(staged_header_name);
  if (named == headers->end()) return false;
  if (link.stranger()) link.stranger_made_sense();
  const std::string reference = std::move(named->second);
  headers->erase(named);
  Bytes rest;
  if (!headers->empty()) {
    if (auto encoded = protocol::encode_headers(*headers)) rest = std::move(*encoded);
  }
  const MessageId id = header.id;
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    Call& call = calls_[id.local()];
    // A reply that is repeated over another path.
    if (call.pull) return true;
    stop = call.pull.emplace().get_token();
  }
  if (!slot.mark_staged(id.generation())) {
    call_over(id);
    return true;
  }
  const TimePoint deadline{Duration(slot.deadline_ns.load(std::memory_order_relaxed))};
  Shard& shard = link.connection().shard();
  resolver_
      ->resolve(reference, {link.peer.worker_id(), 0}, staging_detail::until(deadline, shard.now()),
                std::move(stop))
      .then(shard, [impl = impl_.shared_from_this(), link = link.self(), id,
                    rest = std::move(rest)](Result<Bytes> payload) {
        impl->staging().reply_pulled(*link, id, rest, std::move(payload));
      });
  return true;
}

void Staging::reply_pulled(Link& link, MessageId id, const Bytes& headers, Result<Bytes> payload) {
  CallSlot* slot = impl_.calls().find(id.slot());
  if (slot == nullptr || !slot->claim(id.generation())) return;
  if (link.sent_log != nullptr) link.sent_log->remove(id);
  const std::uint64_t charge = slot->charge();
  if (charge != 0) impl_.give_window(link, charge);
  slot->reply.json = !link.agreement.msgpack;
  if (!payload && payload.error().is(velo::Errc::deadline_exceeded)) {
    return slot->end(make_error(Errc::deadline_exceeded, "handled, and not answered in time"));
  }
  if (!payload) return slot->end_as_handled(payload.error());
  slot->reply.payload = std::move(*payload);
  slot->reply.headers = headers;
  slot->end(std::nullopt);
}

std::optional<std::string> Staging::stage_reply(const Link& link, const Agreement& agreement,
                                                const Bytes& payload, TimePoint deadline) {
  if (!agreement.staged || !reaches(link, payload.size())) return std::nullopt;
  auto staged = resolver_->stage(payload, link.peer,
                                 staging_detail::until(deadline, impl_.world().clock().now()));
  // Without room for it the frame may still take it.
  if (!staged) return std::nullopt;
  return std::move(staged->reference);
}

void Staging::give_headers(InboundCall::Request& request, Headers headers) const {
  request.headers = std::move(headers);
  if (!on() || request.system) return;
  const auto named = request.headers.find(staged_header_name);
  if (named == request.headers.end()) return;
  request.staged = std::move(named->second);
  request.headers.erase(named);
}

void Staging::pull_request(InboundCall* call) {
  call->expect_payload();
  call->retain();
  Link& link = call->link();
  Shard& shard = link.connection().shard();
  const InboundCall::Request& request = call->request();
  resolver_
      ->resolve(request.staged, {request.id.requester(), staging_detail::way_back(link)},
                staging_detail::until(request.deadline, shard.now()), call->stop_token())
      .then(shard, [call](Result<Bytes> payload) {
        call->impl().staging().request_pulled(call, std::move(payload));
      });
  // Its place among others it takes now.
  if (HandlerQueue* queue = call->handler().queue()) queue->submit(call);
}

void Staging::request_pulled(InboundCall* call, Result<Bytes> payload) {
  if (payload) {
    call->take_payload(std::move(*payload));
  } else if (call->request().deadline <= call->link().connection().shard().now()) {
    // The sweep comes to the same end.
    call->abandon();
  } else {
    call->reject(staging_detail::no_payload(payload.error()));
  }
  const bool waited_for = call->payload_over();
  const auto on_pool = [&](void (*run)(void*)) { impl_.world().pool().post(Task0{run, call}); };
  if (call->handler().queue() != nullptr) {
    if (waited_for) {
      on_pool([](void* argument) { HandlerQueue::run(static_cast<InboundCall*>(argument)); });
    }
  } else if (call->settled()) {
    call->release();
  } else if (call->handler().mode() == DispatchMode::inline_) {
    impl_.run_heap_call(call);
  } else {
    on_pool([](void* argument) {
      auto* posted = static_cast<InboundCall*>(argument);
      posted->impl().run_heap_call(posted);
    });
  }
  call->release();
}

}  // namespace velo::messenger
