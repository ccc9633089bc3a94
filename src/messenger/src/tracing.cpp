// SPDX-License-Identifier: Apache-2.0
// Where a messenger's sends and requests stand in traces. Only reached when there is a Tracer or a
// context.

#include "impl.hpp"
#include "tracer.hpp"

namespace velo::messenger {
namespace tracing_detail {

static std::string_view name_of(Pattern pattern) noexcept {
  switch (pattern) {
    case Pattern::fire: return "fire";
    case Pattern::sync: return "sync";
    case Pattern::unary: return "unary";
  }
  return "unary";
}

static std::optional<Error> error_of(transport::Admission admission) {
  switch (admission) {
    case transport::Admission::accepted: return std::nullopt;
    case transport::Admission::over_budget: return make_error(Errc::over_budget);
    case transport::Admission::too_large: return make_error(Errc::too_large);
    case transport::Admission::closed: return make_error(Errc::connection_lost);
  }
  return std::nullopt;
}

}  // namespace tracing_detail

OpState& Impl::start_traced(CallSpec& spec) {
  // The builder may send again, and that is another child.
  Headers before = spec.headers;
  std::optional<trace::TraceContext> parent = context_of(spec.headers);
  if (!parent && trace::current() != nullptr) parent = *trace::current();
  if (tracer_ == nullptr) {
    if (parent) write_context(spec.headers, *parent);
  } else if (parent && !parent->sampled) {
    write_context(spec.headers, *parent);
  } else {
    const trace::TraceContext own = tracer_->below(parent ? &*parent : nullptr);
    spec.span = tracer_->open(span_names::client_send, trace::SpanKind::client, own,
                              parent ? parent->span : trace::SpanId());
    if (spec.span != nullptr) {
      spec.span->note("rpc.system", "velo");
      spec.span->note("rpc.method", spec.handler);
      spec.span->note("velo.pattern", tracing_detail::name_of(spec.pattern));
      spec.span->note("velo.payload_bytes", spec.payload.size());
    }
    write_context(spec.headers, own);
  }
  OpState& state = start_counted(spec);
  spec.headers = std::move(before);
  spec.span = nullptr;
  return state;
}

transport::SendResult Impl::send_traced(Link& link, const Outgoing& outgoing,
                                        const transport::OutFrame& frame) const {
  std::unique_ptr<OpenSpan> span;
  if (!outgoing.system && !outgoing.headers.empty()) {
    const auto headers = protocol::decode_headers(outgoing.headers);
    const auto parent = headers ? context_of(*headers) : std::nullopt;
    if (parent) {
      span = tracer_->open_below(span_names::transport_send, trace::SpanKind::producer, *parent);
    }
  }
  const transport::SendResult sent = link.send(frame);
  if (span == nullptr) return sent;
  span->note("velo.transport", link.connection().transport_key());
  span->note("velo.frame_bytes", frame.header.size() + frame.payload.size());
  const auto error = tracing_detail::error_of(sent.admission);
  span->end(error ? &*error : nullptr);
  return sent;
}

void Impl::trace_request(Link& link, std::string_view name, InboundCall::Request& request) const {
  if (request.system) return;
  const auto parent = context_of(request.headers);
  if (tracer_ == nullptr && !parent) return;
  request.trace = std::make_unique<RequestTrace>();
  if (tracer_ == nullptr || (parent && !parent->sampled)) {
    request.trace->context = std::make_shared<const trace::TraceContext>(*parent);
    return;
  }
  const trace::TraceContext own = tracer_->below(parent ? &*parent : nullptr);
  request.trace->context = std::make_shared<const trace::TraceContext>(own);
  // What this turn read was there when it began.
  const Duration since = world_.clock().now() - link.connection().shard().now();
  auto receive = tracer_->open(span_names::server_receive, trace::SpanKind::server, own,
                               parent ? parent->span : trace::SpanId(), since);
  if (receive == nullptr) return;
  receive->note("rpc.system", "velo");
  receive->note("rpc.method", name);
  receive->note("velo.pattern",
                tracing_detail::name_of(static_cast<Pattern>(request.response_type)));
  auto arrived = tracer_->open(span_names::transport_receive, trace::SpanKind::consumer,
                               tracer_->below(&own), own.span, since);
  arrived->note("velo.transport", link.connection().transport_key());
  arrived->note("velo.frame_bytes", request.frame_bytes);
  arrived->end(nullptr);
  request.trace->receive = std::move(receive);
  request.trace->tracer = tracer_;
}

}  // namespace velo::messenger
