// SPDX-License-Identifier: Apache-2.0
// A request's life at the handler's side, and the Context that shows it.

#include "inbound_call.hpp"

#include "handler_queue.hpp"
#include "impl.hpp"
#include "meters.hpp"

#include <array>

namespace velo::messenger {

InboundCall::InboundCall(Impl& impl, Link& link, const Handler& handler, Request&& request,
                         const transport::InFrame& frame)
    : impl_(impl),
      link_(link),
      handler_(handler),
      request_(std::move(request)),
      agreement_(link.agreement),
      frame_(&frame) {
  if (is_timed(request_.id.generation())) [[unlikely]]
    arrived_ = impl.world().clock().now();
}

InboundCall::InboundCall(std::shared_ptr<Impl> impl, std::shared_ptr<Link> link,
                         const Handler& handler, Request&& request, const transport::InFrame& frame)
    : impl_owner_(std::move(impl)),
      link_owner_(std::move(link)),
      impl_(*impl_owner_),
      link_(*link_owner_),
      handler_(handler),
      request_(std::move(request)),
      agreement_(link_.agreement),
      owned_payload_(frame.retain_payload()),
      held_bytes_(sizeof(InboundCall) + (frame.payload_is_shared() ? 0 : owned_payload_.size())),
      arrived_(link_.connection().shard().now()) {
  request_.payload = owned_payload_.span();
  for (const auto& [name, value] : request_.headers) held_bytes_ += name.size() + value.size();
}

InboundCall* InboundCall::create(Impl& impl, Link& link, const Handler& handler, Request&& request,
                                 const transport::InFrame& frame) {
  return new InboundCall(impl.shared_from_this(), link.self(), handler, std::move(request), frame);
}

InboundCall::~InboundCall() {
  // What the handler kept of the payload is the application's.
  owned_payload_.end_charge();
  if (entered_) link_.let_go(held_bytes_);
}

bool InboundCall::try_retain() noexcept {
  std::uint32_t count = references_.load(std::memory_order_relaxed);
  while (count != 0) {
    if (references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

void InboundCall::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  settle(make_error(Errc::failed, "the handler never answered"));
  delete this;
}

Bytes InboundCall::payload_bytes() const {
  return frame_ != nullptr ? frame_->retain_payload() : owned_payload_;
}

std::stop_token InboundCall::stop_token() const {
  const std::lock_guard lock(stop_mutex_);
  if (!stop_) {
    stop_.emplace();
    if (stop_requested_) stop_->request_stop();
  }
  return stop_->get_token();
}

void InboundCall::ended(ReceivedEnd end) noexcept {
  if (!request_.system) {
    if (link_owner_) impl_.request_over();
    impl_.calls().ledger().request_ended(link_.account, end);
  }
  if (link_owner_) impl_.inbound_ended();
}

void InboundCall::note_begin() noexcept {
  began_ = impl_.world().clock().now();
  if (handler_.queue() == nullptr) return;
  if (const HandlerMeter* meter = handler_.meter()) meter->lane_wait.record(began_ - arrived_);
}

bool InboundCall::abandon() noexcept {
  if (!win()) return false;
  link_.leave(*this);
  if (request_.trace != nullptr) [[unlikely]] {
    const Error error = make_error(Errc::cancelled);
    trace_over(&error);
  }
  ended(ReceivedEnd::abandoned);
  std::optional<std::stop_source> stop;
  {
    const std::lock_guard lock(stop_mutex_);
    stop_requested_ = true;
    stop = stop_;
  }
  if (stop) stop->request_stop();
  if (HandlerQueue* queue = handler_.queue()) queue->dropped(*this);
  return true;
}

void InboundCall::handler_over() noexcept {
  if (HandlerQueue* queue = handler_.queue()) queue->finished(*this);
}

void InboundCall::reject(const Error& error) noexcept {
  if (!win()) return;
  if (link_owner_) link_.leave(*this);
  send_reply(error, true);
  trace_over(&error);
  ended(ReceivedEnd::rejected);
}

void InboundCall::note_failure(const Error& error) noexcept {
  Incidents& incidents = impl_.calls().ledger().incidents;
  if (error.is(Errc::handler_threw)) {
    incidents.count(handler_.order() ? Incident::ordered_handler_threw : Incident::handler_threw);
  } else if (error.is(Errc::bad_request)) {
    incidents.count(Incident::unreadable_input);
  }
}

void InboundCall::settle(HandlerResult result) noexcept {
  if (began_ != TimePoint()) [[unlikely]] {
    const Duration took = impl_.world().clock().now() - std::exchange(began_, TimePoint());
    const HandlerMeter* meter = handler_.meter();
    if (meter != nullptr) meter->count(request_.payload.size(), result, took);
  }
  if (request_.trace != nullptr) [[unlikely]] {
    request_.trace->handler_over(result ? nullptr : &result.error());
  }
  if (!result) [[unlikely]]
    note_failure(result.error());
  if (!win()) return;
  if (link_owner_) link_.leave(*this);
  send_reply(result, false);
  if (is_timed(request_.id.generation()) && !request_.system) [[unlikely]] {
    impl_.calls().ledger().request_times.record(impl_.world().clock().now() - arrived_);
  }
  trace_over(result ? nullptr : &result.error());
  ended(result ? ReceivedEnd::succeeded : ReceivedEnd::failed);
}

namespace inbound_call_detail {

/// What a reply frame consists of before it is encoded.
struct ReplyParts {
  std::uint8_t outcome = 0;
  Headers headers;
  Bytes payload;
};

/// Whether the outcome says all of it, also that a handler ran: what this side itself answers with
/// when none did must not look the same.
static bool outcome_suffices(const Error& error, bool rejected) {
  if (error.code().room != Room::messenger || error.code().value >= 64) return false;
  const auto code = static_cast<Errc>(error.code().value);
  if (make_error(code).retry() != error.retry()) return false;
  return rejected || code == Errc::failed || code == Errc::bad_request ||
         code == Errc::handler_threw;
}

static ReplyParts of_error(const Error& error, const Agreement& agreement, bool rejected) {
  ReplyParts parts;
  parts.outcome = static_cast<std::uint8_t>(Errc::failed);
  const bool ours = error.code().room == Room::messenger && error.code().value < 64;
  if (ours) parts.outcome = static_cast<std::uint8_t>(error.code().value);
  if (!agreement.status) {
    parts.payload = Bytes::copy(error.context().empty() ? error.to_string() : error.context());
    return parts;
  }
  parts.payload = Bytes::copy(error.context());
  if (!outcome_suffices(error, rejected)) {
    parts.headers.insert_or_assign(std::string(protocol::error_header_name),
                                   protocol::encode_error(error));
  }
  return parts;
}

}  // namespace inbound_call_detail

void InboundCall::send_reply(const HandlerResult& result, bool rejected) noexcept {
  using protocol::ResponseType;
  if (request_.response_type == ResponseType::fire) return;
  const bool sync = request_.response_type == ResponseType::ack_nack;
  std::array<std::byte, 512> stack;
  if (sync && (result || !agreement_.status)) {
    // Peers without status codes know acknowledgements only.
    protocol::AckHeader ack;
    ack.id = request_.id;
    ack.is_error = !result;
    const std::size_t size = protocol::encode_ack(ack, stack);
    const Bytes text = result ? Bytes() : Bytes::copy(result.error().context());
    return impl_.send_reply(link_, agreement_, transport::FrameType::ack,
                            ByteSpan(stack).first(size), text);
  }
  protocol::ResponseHeader header;
  header.id = request_.id;
  std::optional<std::string> staged;
  // Chunks are what large payloads are pulled in.
  if (result && *result && !request_.system && impl_.staging().is_large((*result)->size()))
      [[unlikely]] {
    staged = impl_.staging().stage_reply(link_, agreement_, **result, request_.deadline);
  }
  if (result && response_headers_.empty() && !staged) {
    const std::size_t size = protocol::encode_response(header, stack);
    static const Bytes nothing;
    return impl_.send_reply(link_, agreement_, transport::FrameType::response,
                            ByteSpan(stack).first(size), *result ? **result : nothing);
  }
  inbound_call_detail::ReplyParts parts;
  if (result) {
    if (*result && !staged) parts.payload = **result;
    if (agreement_.status) parts.headers = std::move(response_headers_);
    if (staged) parts.headers.insert_or_assign(std::string(staged_header_name), std::move(*staged));
  } else {
    parts = inbound_call_detail::of_error(result.error(), agreement_, rejected);
  }
  header.outcome = parts.outcome;
  Bytes encoded_headers;
  if (!parts.headers.empty()) {
    auto encoded = protocol::encode_headers(parts.headers);
    if (encoded) {
      encoded_headers = std::move(*encoded);
    } else {
      header.outcome = static_cast<std::uint8_t>(Errc::too_large);
      parts.payload = Bytes::copy("response headers: " + encoded.error().context());
    }
  }
  header.headers = encoded_headers;
  const std::size_t size = protocol::encoded_size(header);
  std::vector<std::byte> large(size > stack.size() ? size : 0);
  const std::span<std::byte> out = large.empty() ? std::span<std::byte>(stack) : std::span(large);
  protocol::encode_response(header, out);
  impl_.send_reply(link_, agreement_, transport::FrameType::response, ByteSpan(out).first(size),
                   parts.payload);
}

}  // namespace velo::messenger

namespace velo {

Context::~Context() {
  if (owned_ && call_ != nullptr) call_->release();
}

const MessageId& Context::message_id() const noexcept { return call_->request().id; }
std::string_view Context::handler() const noexcept { return call_->handler().name(); }
ByteSpan Context::payload() const noexcept { return call_->payload(); }
Bytes Context::payload_bytes() const { return call_->payload_bytes(); }
const Headers& Context::headers() const noexcept { return call_->request().headers; }

std::string_view Context::header(std::string_view name) const noexcept {
  const auto found = headers().find(name);
  return found == headers().end() ? std::string_view() : std::string_view(found->second);
}

std::optional<InstanceId> Context::sender_instance_id() const {
  const ConnectionIdentity& other = peer_identity();
  if (other.instance.worker_id() == sender_worker_id()) return other.instance;
  const auto known = call_->impl().instance_of(sender_worker_id());
  // Anybody may write any worker id into a request.
  if (known && messenger::must_be_proven(*known)) return std::nullopt;
  return known;
}

const ConnectionIdentity& Context::peer_identity() const noexcept {
  return call_->link().identity();
}

TimePoint Context::deadline() const noexcept { return call_->request().deadline; }

Duration Context::time_left() const noexcept {
  if (deadline() == TimePoint::never()) return Duration::max();
  const Duration left = deadline() - call_->impl().world().clock().now();
  return left < Duration::zero() ? Duration::zero() : left;
}

std::stop_token Context::stop_token() const { return call_->stop_token(); }

void Context::set_response_header(std::string name, std::string value) {
  call_->set_response_header(std::move(name), std::move(value));
}

const trace::TraceContext* Context::trace() const noexcept {
  const auto& trace = call_->request().trace;
  return trace == nullptr ? nullptr : trace->context.get();
}

Messenger& Context::msg() const noexcept { return call_->impl().facade(); }

bool Context::typed_bodies_are_json() const noexcept { return !call_->agreement().msgpack; }

}  // namespace velo
