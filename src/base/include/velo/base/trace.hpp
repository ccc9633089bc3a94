// SPDX-License-Identifier: Apache-2.0
// Traces of work that passes through several processes: the W3C trace context (traceparent and
// tracestate) as a value, finished spans and who takes them, and which context the running code
// works for. Nothing is recorded here (the messenger does) and nothing exported (see telemetry).
// Threading: values; what is current belongs to the thread that looks.
#pragma once

#include <velo/base/time.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::trace {

struct TraceId {
  std::array<std::uint8_t, 16> bytes{};
  bool valid() const noexcept { return *this != TraceId(); }
  /// 32 lower-case digits.
  std::string to_string() const;
  friend bool operator==(const TraceId&, const TraceId&) = default;
};

struct SpanId {
  std::array<std::uint8_t, 8> bytes{};
  bool valid() const noexcept { return *this != SpanId(); }
  std::string to_string() const;
  friend bool operator==(const SpanId&, const SpanId&) = default;
};

/// Where a piece of work stands in which trace.
struct TraceContext {
  TraceId trace;
  SpanId span;           ///< what is done from here on are its children
  bool sampled = false;  ///< whether spans of this trace are recorded at all
  bool random = false;   ///< the trace id is random (level 2 of the recommendation)
  std::string state;     ///< tracestate: what other tracers passed on, unchanged

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

constexpr std::string_view parent_header = "traceparent";
constexpr std::string_view state_header = "tracestate";

/// Nothing for a traceparent that is malformed, which then counts as absent; later versions are
/// read as the recommendation says. A malformed tracestate alone is dropped.
std::optional<TraceContext> parse_context(std::string_view traceparent,
                                          std::string_view tracestate = {});
/// Version 00, 55 characters.
std::string to_traceparent(const TraceContext& context);

/// The numbers of OTLP.
enum class SpanKind : std::uint8_t {
  internal = 1,
  server = 2,
  client = 3,
  producer = 4,
  consumer = 5
};

/// One finished piece of work.
struct Span {
  std::string_view name;  ///< of static storage: one of few
  SpanKind kind = SpanKind::internal;
  TraceContext context;  ///< its `span` is this one's id
  SpanId parent;         ///< not valid(): a root
  WallTime start;
  Duration duration{0};
  std::vector<std::pair<std::string_view, std::string>> attributes;  ///< names of static storage
  std::optional<std::string> error;                                  ///< how it failed, if it did
};

/// Takes finished spans, on whatever thread they finish: at once, without waiting for anything, and
/// never failing.
class SpanSink {
 public:
  virtual ~SpanSink() = default;
  virtual void take(Span span) noexcept = 0;
};

/// Of 1 all traces that begin here are recorded, of 0 none; those that began elsewhere as their
/// flag says.
class Sampling {
 public:
  Sampling() noexcept = default;
  explicit Sampling(double share) noexcept;
  /// The same for all spans of a trace, whoever decides.
  bool samples(const TraceId& trace) const noexcept;

 private:
  std::uint64_t below_ = UINT64_MAX;  ///< of the last seven bytes of the id
};

/// A stretch of work on this thread: what it works for, if that is traced. Stretches nest; each is
/// on the stack of the thread it was made on.
class Stretch {
 public:
  explicit Stretch(std::shared_ptr<const TraceContext> context = nullptr) noexcept
      : context_(std::move(context)), outer_(std::exchange(top_of_thread, this)) {}
  Stretch(const Stretch&) = delete;
  Stretch& operator=(const Stretch&) = delete;
  ~Stretch() { top_of_thread = outer_; }

  static Stretch* innermost() noexcept { return top_of_thread; }

 private:
  friend const TraceContext* current() noexcept;
  friend std::shared_ptr<const TraceContext> keep_current() noexcept;
  friend void work_for(std::shared_ptr<const TraceContext> context) noexcept;

  std::shared_ptr<const TraceContext> context_;
  Stretch* const outer_;
  static inline constinit thread_local Stretch* top_of_thread = nullptr;
};

/// What the running code works for; null when that is not traced. Handlers of a messenger, the
/// coroutines they are and the callbacks they attach run with the context of their request.
inline const TraceContext* current() noexcept {
  const Stretch* here = Stretch::top_of_thread;
  return here == nullptr ? nullptr : here->context_.get();
}
/// For continuations, which go on elsewhere: null when nothing is current.
inline std::shared_ptr<const TraceContext> keep_current() noexcept {
  const Stretch* here = Stretch::top_of_thread;
  if (here == nullptr) [[likely]]
    return nullptr;
  return here->context_;
}
/// The rest of the innermost stretch works for `context`; nothing happens outside of stretches.
inline void work_for(std::shared_ptr<const TraceContext> context) noexcept {
  if (Stretch::top_of_thread != nullptr) Stretch::top_of_thread->context_ = std::move(context);
}

}  // namespace velo::trace

namespace velo::base_detail {

/// For Op: what a coroutine goes on with is not work of the stretch that happens to wake it.
inline void resume(void* address) {
  const auto handle = std::coroutine_handle<>::from_address(address);
  if (trace::Stretch::innermost() == nullptr) [[likely]]
    return handle.resume();
  const trace::Stretch apart;
  handle.resume();
}
/// One that was suspended in traced work, which it takes up again.
inline void resume_traced(void* address) {
  const trace::Stretch stretch;
  std::coroutine_handle<>::from_address(address).resume();
}

}  // namespace velo::base_detail
