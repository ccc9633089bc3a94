// SPDX-License-Identifier: Apache-2.0
// Places in traces, and spans from their beginning to their end.

#include "tracer.hpp"

#include "protocol.hpp"

#include <velo/messenger/limits.hpp>

#include <span>
#include <utility>

namespace velo::messenger {
namespace tracer_detail {

/// Not all zero, which names nothing.
template <class Id>
static Id draw(Random& random) {
  Id id;
  do {
    random.fill(std::as_writable_bytes(std::span(id.bytes)));
  } while (!id.valid());
  return id;
}

/// A character that is cut in two would spoil the text.
static std::string_view cut(std::string_view text) noexcept {
  if (text.size() <= limits::span_text_bytes_max) return text;
  std::size_t end = limits::span_text_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

/// As MessagePack holds them at most.
static std::size_t encoded_size(const Headers& headers) noexcept {
  constexpr std::size_t around = 6;
  std::size_t size = around;
  for (const auto& [name, value] : headers) size += name.size() + value.size() + around;
  return size;
}

static bool insert_if_it_fits(Headers& headers, std::string_view name, std::string value) {
  headers.erase(std::string(name));
  constexpr std::size_t around = 6;
  if (encoded_size(headers) + name.size() + value.size() + around > protocol::headers_bytes_max) {
    return false;
  }
  headers.emplace(std::string(name), std::move(value));
  return true;
}

}  // namespace tracer_detail

trace::TraceContext Tracer::below(const trace::TraceContext* parent) const {
  trace::TraceContext context;
  if (parent != nullptr) {
    context = *parent;
  } else {
    context.trace = tracer_detail::draw<trace::TraceId>(world_.random());
    context.random = true;
    context.sampled = sampling_.samples(context.trace);
  }
  context.span = tracer_detail::draw<trace::SpanId>(world_.random());
  return context;
}

std::unique_ptr<OpenSpan> Tracer::open(std::string_view name, trace::SpanKind kind,
                                       const trace::TraceContext& context, trace::SpanId parent,
                                       Duration since) const {
  if (!context.sampled) return nullptr;
  trace::Span span;
  span.name = name;
  span.kind = kind;
  span.context = context;
  span.parent = parent;
  const TimePoint now = world_.clock().now();
  span.start.unix_nanoseconds = world_.clock().wall_now().unix_nanoseconds - since.count();
  return std::make_unique<OpenSpan>(shared_from_this(), std::move(span), now + -since);
}

std::unique_ptr<OpenSpan> Tracer::open_below(std::string_view name, trace::SpanKind kind,
                                             const trace::TraceContext& parent) const {
  if (!parent.sampled) return nullptr;
  return open(name, kind, below(&parent), parent.span);
}

void OpenSpan::note(std::string_view name, std::string_view value) {
  span_.attributes.emplace_back(name, tracer_detail::cut(value));
}

void OpenSpan::end(const Error* error, std::string_view fate) noexcept {
  if (ended_.exchange(true, std::memory_order_acq_rel)) return;
  if (!fate.empty()) note("velo.fate", fate);
  const Duration took = tracer_->world_.clock().now() - began_;
  span_.duration = took < Duration::zero() ? Duration::zero() : took;
  if (error != nullptr) {
    const std::string text = error->to_string();
    span_.error = std::string(tracer_detail::cut(text));
  }
  tracer_->sink_->take(std::move(span_));
}

const std::shared_ptr<const trace::TraceContext>& RequestTrace::begin_handler(
    std::string_view name) {
  if (receive == nullptr) return context;
  handler = tracer->open_below(span_names::handler, trace::SpanKind::internal, receive->context());
  handler->note("rpc.method", name);
  context = std::make_shared<const trace::TraceContext>(handler->context());
  return context;
}

void RequestTrace::handler_over(const Error* error) noexcept {
  if (const auto ended = std::move(handler)) ended->end(error);
}

void RequestTrace::over(const Error* error) noexcept {
  if (const auto ended = std::move(receive)) ended->end(error);
}

std::optional<trace::TraceContext> context_of(const Headers& headers) {
  const auto parent = headers.find(trace::parent_header);
  if (parent == headers.end()) return std::nullopt;
  const auto state = headers.find(trace::state_header);
  return trace::parse_context(parent->second,
                              state == headers.end() ? std::string_view() : state->second);
}

void write_context(Headers& headers, const trace::TraceContext& context) {
  headers.erase(std::string(trace::state_header));
  if (!tracer_detail::insert_if_it_fits(headers, trace::parent_header,
                                        trace::to_traceparent(context))) {
    return;
  }
  if (context.state.empty()) return;
  static_cast<void>(tracer_detail::insert_if_it_fits(headers, trace::state_header, context.state));
}

}  // namespace velo::messenger
