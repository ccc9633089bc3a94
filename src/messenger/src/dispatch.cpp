// SPDX-License-Identifier: Apache-2.0
// What arrives: requests to handlers, replies and acknowledgements to their calls.

#include "handler_queue.hpp"
#include "impl.hpp"
#include "no_room.hpp"
#include "path_engine.hpp"
#include "receive_log.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"

#include <velo/base/log.hpp>
#include <velo/base/planted.hpp>

namespace velo::messenger {

namespace dispatch_detail {

struct Ended {
  Error error;
  bool by_handler = false;
};

static Ended error_of(std::uint8_t outcome, ByteSpan headers, ByteSpan payload, bool extensions) {
  std::string context(as_text(payload));
  if (extensions && !headers.empty()) {
    if (const auto decoded = protocol::decode_headers(headers)) {
      const auto exact = decoded->find(protocol::error_header_name);
      if (exact != decoded->end()) {
        if (auto error = protocol::decode_error(exact->second, context)) {
          return {std::move(*error), true};
        }
      }
    }
  }
  const auto code = outcome < 64 ? static_cast<Errc>(outcome) : Errc::failed;
  // Only a reply can be too large over there, and only a handler makes one.
  return {make_error(code, std::move(context)), code == Errc::too_large};
}

/// What cannot be remembered where that was agreed on must not run.
static bool is_noted(Link& link, const protocol::RequestHeader& request) {
  if (link.received == nullptr) return true;
  const std::uint32_t lane = link.keeps_order() ? 0 : lane_of(request.name);
  return link.received->note(request.id, lane);
}

/// This side drains: the request is echoed as refused.
static void turn_away(Link& link, const transport::InFrame& request) {
  if (const FrameMeter* meter = link.meter()) meter->drained.add();
  transport::OutFrame rejected(transport::FrameType::shutting_down, request.header(), ByteSpan());
  rejected.lane = transport::OutFrame::any_lane;
  (void)link.send(rejected);
}

}  // namespace dispatch_detail

void Impl::on_accepted(transport::ConnectionPtr connection) {
  if (stopped_.load(std::memory_order_acquire)) return;
  transport::Connection& started = *connection;
  const std::shared_ptr<Link> link = admit_stranger(std::move(connection));
  if (link == nullptr) return;
  started.start(*link);
  close_if_stopped(*link);
}

void Impl::on_frame(Link& link, const transport::InFrame& frame) {
  switch (frame.type()) {
    case transport::FrameType::message: return on_request(link, frame);
    case transport::FrameType::response: return on_response(link, frame);
    case transport::FrameType::ack: return on_ack(link, frame);
    case transport::FrameType::shutting_down: return on_rejected(link, frame);
    case transport::FrameType::event: return;  // defined by the wire, used by nobody
  }
}

void Impl::malformed(Link& link, const Error& error) {
  calls_->ledger().malformed();
  if (const FrameMeter* meter = link.meter()) meter->unreadable.add();
  VELO_LOG_WARN(messenger, "malformed message, closing", {"remote", link.connection().remote()},
                {"error", error.to_string()});
  link.connection().close(error);
}

CallSlot* Impl::answerable(Link& link, MessageId id) const noexcept {
  if (id.requester() != worker_) return nullptr;  // a stale reply to an earlier run
  CallSlot* slot = calls_->find(id.slot());
  if (slot == nullptr) return nullptr;
  const std::uint64_t serial = slot->travels_on.serial();
  if (serial == link.serial()) return slot;
  // Ids are no secret: another connection may answer only for a peer that dials back.
  const std::lock_guard lock(links_mutex_);
  const auto found = links_.find(serial);
  return found == links_.end() || found->second->agreement.same_conn ? nullptr : slot;
}

void Impl::on_response(Link& link, const transport::InFrame& frame) {
  const auto header = protocol::decode_response(frame.header());
  if (!header) return malformed(link, header.error());
  CallSlot* slot = answerable(link, header->id);
  VELO_PLANT(wrong_caller, if (auto* other = calls_->find(header->id.slot() ^ 1U)) slot = other);
  if (slot == nullptr) return;
  if (link.agreement.staged && !header->headers.empty() && header->outcome == 0 &&
      staging_.pull_reply(link, *slot, *header)) {
    return;
  }
  if (!slot->claim(header->id.generation())) return;
  if (link.stranger()) link.stranger_made_sense();
  if (link.sent_log != nullptr) link.sent_log->remove(header->id);
  const std::uint64_t charge = slot->charge();
  if (charge != 0) give_window(link, charge);
  slot->reply.json = !link.agreement.msgpack;
  if (header->outcome == 0 && frame.payload_dropped()) {
    slot->end_as_handled(no_room_for_reply("it was handled; no room for a reply of " +
                                           std::to_string(frame.dropped_bytes()) + " bytes"));
  } else if (header->outcome == 0) {
    slot->reply.payload = frame.retain_payload();
    // A peer of the public velo echoes the request's headers; those are no response headers.
    if (!header->headers.empty() && link.agreement.status) {
      slot->reply.headers = Bytes::copy(header->headers);
    }
    slot->end(std::nullopt);
  } else {
    auto ended = dispatch_detail::error_of(header->outcome, header->headers, frame.payload(),
                                           link.agreement.status);
    if (ended.by_handler) return slot->end_as_handled(std::move(ended.error));
    slot->end(std::move(ended.error));
  }
}

void Impl::on_ack(Link& link, const transport::InFrame& frame) {
  const auto header = protocol::decode_ack(frame.header());
  if (!header) return malformed(link, header.error());
  if (header->is_event) return;
  std::optional<Error> error;
  if (header->is_error) error = make_error(Errc::failed, std::string(as_text(frame.payload())));
  end_by_peer(link, header->id, std::move(error));
}

void Impl::on_rejected(Link& link, const transport::InFrame& frame) {
  const auto header = protocol::decode_request(frame.header());
  if (!header) return malformed(link, header.error());
  end_by_peer(link, header->id, make_error(Errc::shutting_down, "the peer is shutting down"));
}

void Impl::on_request(Link& link, const transport::InFrame& frame) {
  const auto header = protocol::decode_request(frame.header());
  if (!header) return malformed(link, header.error());
  if (link.stranger() && !stranger_may_ask(link)) return;
  if (!link.may_speak_for(header->id.requester())) {
    return malformed(link, make_error(Errc::malformed, "a request in the name of another"));
  }
  const bool system = !header->name.empty() && header->name.front() == '_';
  if (!system) {
    calls_->ledger().requested(link.account, static_cast<Pattern>(header->response_type));
    if (draining()) {
      calls_->ledger().request_ended(link.account, ReceivedEnd::rejected);
      return dispatch_detail::turn_away(link, frame);
    }
    if (!dispatch_detail::is_noted(link, *header)) [[unlikely]] {
      calls_->ledger().request_ended(link.account, ReceivedEnd::rejected);
      return reply_error(link, *header, no_room(*memory_, 0, "what is known of the connection"));
    }
  }
  if (frame.payload_dropped()) [[unlikely]] {
    if (!system) calls_->ledger().request_ended(link.account, ReceivedEnd::rejected);
    const std::string what = "a request of " + std::to_string(frame.dropped_bytes()) + " bytes";
    return reply_error(link, *header, no_room(*memory_, 0, what));
  }
  if (system) {
    if (header->name == "_hello") return handle_hello(link, *header, frame.payload());
    if (header->name == "_cancel") return handle_cancel(link, frame.payload());
    if (header->name == "_path" && paths_ != nullptr) {
      return paths_->serve(link, *header, frame.payload());
    }
    if (stopped_.load(std::memory_order_acquire)) {
      return reply_error(link, *header, make_error(Errc::shutting_down));
    }
  }
  const Handler* handler = handlers_.find(header->name);
  auto reject = [&](Error error) {
    if (!system) calls_->ledger().request_ended(link.account, ReceivedEnd::rejected);
    reply_error(link, *header, error);
  };
  if (handler == nullptr || system || guard_.has_rules() || !handler->callers().empty()) {
    if (auto refusal = refusal_of(link, header->name, handler)) return reject(std::move(*refusal));
  }
  if (handler->kind() == HandlerKind::am &&
      header->response_type == protocol::ResponseType::unary) {
    return reject(
        make_error(Errc::wrong_kind, "\"" + handler->name() + "\" returns nothing; use am_sync"));
  }
  InboundCall::Request request;
  request.id = header->id;
  request.response_type = header->response_type;
  request.payload = frame.payload();
  request.frame_bytes = frame.header().size() + frame.payload().size();
  request.system = system;
  if (!header->headers.empty()) {
    auto headers = protocol::decode_headers(header->headers);
    if (!headers) return reject(make_error(Errc::malformed, headers.error().context()));
    staging_.give_headers(request, std::move(*headers));
  }
  if (header->timeout_us) {
    constexpr auto longest =
        std::chrono::duration_cast<std::chrono::microseconds>(velo::limits::call_deadline_max);
    const auto micros =
        static_cast<std::int64_t>(std::min<std::uint64_t>(*header->timeout_us, longest.count()));
    request.deadline = link.connection().shard().now() + std::chrono::microseconds(micros);
  }
  dispatch(link, *handler, std::move(request), frame);
}

void Impl::dispatch(Link& link, const Handler& handler, InboundCall::Request&& request,
                    const transport::InFrame& frame) {
  if (link.stranger()) link.stranger_made_sense();
  if (tracer_ != nullptr || !request.headers.empty()) [[unlikely]] {
    trace_request(link, handler.name(), request);
  }
  if (handler.mode() == DispatchMode::inline_ && !handler.is_async() && request.staged.empty()) {
    return run_inline(link, handler, std::move(request), frame);
  }
  const TimePoint deadline = request.deadline;
  const bool system = request.system;
  InboundCall* call = InboundCall::create(*this, link, handler, std::move(request), frame);
  if (!system) request_running();
  if (const auto entered = link.enter(*call); !entered) {
    call->reject(entered.error());
    return call->release();
  }
  if (deadline != TimePoint::never()) note_deadline(deadline);
  if (!call->request().staged.empty()) [[unlikely]]
    return staging_.pull_request(call);
  if (handler.mode() == DispatchMode::inline_) return run_heap_call(call);
  if (HandlerQueue* queue = handler.queue()) return queue->submit(call);
  world_.pool().post(Task0{[](void* argument) {
                             auto* posted = static_cast<InboundCall*>(argument);
                             posted->impl().run_heap_call(posted);
                           },
                           call});
}

void Impl::run_inline(Link& link, const Handler& handler, InboundCall::Request&& request,
                      const transport::InFrame& frame) {
  InboundCall call(*this, link, handler, std::move(request), frame);
  Context context(call, false);
  std::optional<trace::Stretch> stretch;
  call.begin_handler(stretch);
  try {
    call.settle(handler.run(context));
  } catch (...) {
    call.settle(
        make_error(Errc::handler_threw, base_detail::error_of_current_exception().context()));
  }
  frame.end_charge();
}

void Impl::run_heap_call(InboundCall* call) {
  const Handler& handler = call->handler();
  // The reference that came with `call` is the context's; this one keeps the call for its end.
  call->retain();
  struct Release {
    InboundCall* call;
    ~Release() { call->release(); }
  };
  const Release keep{call};
  user_code_began();
  const std::shared_ptr<Impl> alive = shared_from_this();
  struct Ended {
    Impl* impl;
    ~Ended() { impl->user_code_ended(); }
  };
  const Ended ended{this};
  std::optional<trace::Stretch> stretch;
  call->begin_handler(stretch);
  try {
    if (handler.is_async()) {
      call->retain();
      handler.run(
          Context(*call, true),
          [done = std::unique_ptr<InboundCall, void (*)(InboundCall*)>(call, [](InboundCall* held) {
             held->handler_over();
             held->release();
           })](HandlerResult result) { done->settle(std::move(result)); });
      return;
    }
    Context context(*call, true);
    call->settle(handler.run(context));
  } catch (...) {
    call->settle(
        make_error(Errc::handler_threw, base_detail::error_of_current_exception().context()));
  }
  if (!handler.is_async()) call->handler_over();
}

void Impl::inbound_ended() noexcept {
  if (!draining()) return;
  world_.shard(0).post(Task0{[](void* argument) {
                               const std::unique_ptr<std::shared_ptr<Impl>> impl(
                                   static_cast<std::shared_ptr<Impl>*>(argument));
                               (*impl)->check_drained();
                             },
                             new std::shared_ptr<Impl>(shared_from_this())});
}

}  // namespace velo::messenger
