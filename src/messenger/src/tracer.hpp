// SPDX-License-Identifier: Apache-2.0
// The spans of one messenger: of a send until its end, of a request until its reply, of the handler
// between, and of what the transports do with both. A messenger that records none has no Tracer,
// and passes on the contexts that come.
// Threading: a Tracer from any thread; an OpenSpan belongs to whoever holds it.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/trace.hpp>
#include <velo/base/world.hpp>
#include <velo/messenger/headers.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace velo::messenger {

namespace span_names {
// As the public velo names them.
constexpr std::string_view client_send = "velo.messenger.client_send";
constexpr std::string_view server_receive = "velo.messenger.server_receive";
constexpr std::string_view handler = "velo.messenger.handler";
constexpr std::string_view transport_send = "velo.transport.send";
constexpr std::string_view transport_receive = "velo.transport.receive";
}  // namespace span_names

class OpenSpan;

// why: a span may end after its messenger, with the Op of a call.
class Tracer : public std::enable_shared_from_this<Tracer> {
 public:
  Tracer(World& world, std::shared_ptr<trace::SpanSink> sink, trace::Sampling sampling) noexcept
      : world_(world), sink_(std::move(sink)), sampling_(sampling) {}

  /// A place below `parent`, or of a trace that begins here; whether it is recorded is decided.
  trace::TraceContext below(const trace::TraceContext* parent) const;
  /// Null when `context` is not sampled. `since`: it began before now.
  std::unique_ptr<OpenSpan> open(std::string_view name, trace::SpanKind kind,
                                 const trace::TraceContext& context, trace::SpanId parent,
                                 Duration since = Duration::zero()) const;
  /// open(), of a new place below `parent`.
  std::unique_ptr<OpenSpan> open_below(std::string_view name, trace::SpanKind kind,
                                       const trace::TraceContext& parent) const;

 private:
  friend class OpenSpan;

  World& world_;
  const std::shared_ptr<trace::SpanSink> sink_;
  const trace::Sampling sampling_;
};

class OpenSpan {
 public:
  OpenSpan(std::shared_ptr<const Tracer> tracer, trace::Span span, TimePoint began) noexcept
      : tracer_(std::move(tracer)), span_(std::move(span)), began_(began) {}

  const trace::TraceContext& context() const noexcept { return span_.context; }
  void note(std::string_view name, std::string_view value);
  void note(std::string_view name, std::uint64_t value) { note(name, std::to_string(value)); }
  /// Hands it to the sink; the first call counts, and nothing is noted once it may have come.
  void end(const Error* error, std::string_view fate = {}) noexcept;

 private:
  std::shared_ptr<const Tracer> tracer_;
  trace::Span span_;
  TimePoint began_;
  std::atomic<bool> ended_{false};
};

/// A request that belongs to a trace.
struct RequestTrace {
  /// What its handler works for: the handler's own span, or where the caller stands if nothing is
  /// recorded.
  std::shared_ptr<const trace::TraceContext> context;
  std::unique_ptr<OpenSpan> receive;  ///< until the reply; null: not recorded
  std::unique_ptr<OpenSpan> handler;  ///< while it runs
  std::shared_ptr<const Tracer> tracer;

  /// The handler begins now.
  const std::shared_ptr<const trace::TraceContext>& begin_handler(std::string_view name);
  void handler_over(const Error* error) noexcept;
  /// The request is over; its handler may still run.
  void over(const Error* error) noexcept;
};

/// The context that the headers name; nothing when they name none, or what is malformed.
std::optional<trace::TraceContext> context_of(const Headers& headers);
/// Leaves the headers alone when they would grow over what a message may carry; without the
/// tracestate if that is too much.
void write_context(Headers& headers, const trace::TraceContext& context);

}  // namespace velo::messenger
