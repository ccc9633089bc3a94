// SPDX-License-Identifier: Apache-2.0
// Handler: a name and what runs when a message of that name arrives. Kinds: am (nothing to return:
// fire, sync), unary (bytes), typed unary (described structs); each synchronous or as a coroutine
// (Task), each `inline_()`, `spawn()`ed (the default) or `ordered()`.
// Threading: a handler may run on several threads at once, inline ones on I/O threads (inproc: on the sender's thread).
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/task.hpp>
#include <velo/messenger/access.hpp>
#include <velo/messenger/context.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/ordered.hpp>
#include <velo/messenger/typed_body.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo {

enum class DispatchMode : std::uint8_t {
  spawn,  ///< on the World's worker pool; may block
  // NOLINTNEXTLINE(readability-identifier-naming): `inline` is a keyword.
  inline_,  ///< on the thread that read the message, to completion; must not block. The fastest.
};

enum class HandlerKind : std::uint8_t { am, unary };

/// What a handler ends with: an error, or an optional reply body.
using HandlerResult = Result<std::optional<Bytes>>;
/// Ends an asynchronous handler; exactly once. Destroying it uncalled ends the handler with an
/// error.
using HandlerDone = std::move_only_function<void(HandlerResult)>;

namespace messenger {
struct HandlerMeter;
class HandlerQueue;
}  // namespace messenger

namespace messenger_detail {

template <class T>
struct ResultOf {
  using type = T;
};
template <class T>
struct ResultOf<Result<T>> {
  using type = T;
};
template <class T>
struct ResultOf<Task<T>> : ResultOf<T> {};

/// Lifts whatever a raw handler may return (void, Bytes, optional<Bytes>, or a Result of those) to
/// HandlerResult.
template <class R>
HandlerResult lift(R&& returned) {
  using T = std::remove_cvref_t<R>;
  if constexpr (std::is_same_v<T, Bytes> || std::is_same_v<T, std::optional<Bytes>>) {
    return std::optional<Bytes>(std::forward<R>(returned));
  } else if constexpr (std::is_same_v<T, Error>) {
    return std::forward<R>(returned);
  } else {
    if (!returned) return std::forward<R>(returned).error();
    if constexpr (std::is_same_v<T, Result<void>>) {
      return std::optional<Bytes>();
    } else {
      return lift(*std::forward<R>(returned));
    }
  }
}

/// Lifts a typed handler's `T` or Result<T>, encoding the value.
template <class R>
HandlerResult lift_typed(R&& returned, bool json) {
  using T = std::remove_cvref_t<R>;
  if constexpr (std::is_same_v<T, typename ResultOf<T>::type>) {
    return std::optional<Bytes>(messenger::encode_body(returned, json));
  } else {
    if (!returned) return std::forward<R>(returned).error();
    if constexpr (std::is_same_v<T, Result<void>>) {
      return std::optional<Bytes>(messenger::encode_body(messenger::Nothing{}, json));
    } else {
      return std::optional<Bytes>(messenger::encode_body(*returned, json));
    }
  }
}

/// Joins what start(Task<T>) delivers (Result<T>, where T may be a Result itself) with `lift`.
template <class T, class Lift>
HandlerResult lift_task(Result<T> ended, Lift lift) {
  if (!ended) return messenger::make_error(messenger::Errc::handler_threw, ended.error().context());
  if constexpr (std::is_void_v<T>) {
    return std::optional<Bytes>();
  } else {
    return lift(std::move(*ended));
  }
}

inline Error bad_request(const Error& why) {
  return messenger::make_error(messenger::Errc::bad_request, why.to_string());
}

template <class F>
struct TypedInput : TypedInput<decltype(&std::remove_cvref_t<F>::operator())> {};
template <class R, class T>
struct TypedInput<R (*)(TypedContext<T>&)> {
  using type = T;
};
template <class R, class T>
struct TypedInput<R (*)(TypedContext<T>)> {
  using type = T;
};
template <class C, class R, class T>
struct TypedInput<R (C::*)(TypedContext<T>&) const> {
  using type = T;
};
template <class C, class R, class T>
struct TypedInput<R (C::*)(TypedContext<T>) const> {
  using type = T;
};

}  // namespace messenger_detail

class Handler {
 public:
  using Sync = std::move_only_function<HandlerResult(Context&) const>;
  using Async = std::move_only_function<void(Context, HandlerDone) const>;
  class Builder;

  /// `function(Context&)` returns void or Result<void>.
  template <class F>
  static Builder am_handler(std::string name, F function);
  /// `function(Context)` returns Task<void> or Task<Result<void>>.
  template <class F>
  static Builder am_handler_async(std::string name, F function);
  /// `function(Context&)` returns Bytes, std::optional<Bytes>, or a Result of either.
  template <class F>
  static Builder unary_handler(std::string name, F function);
  /// `function(Context)` returns a Task of what unary_handler may return.
  template <class F>
  static Builder unary_handler_async(std::string name, F function);
  /// `function(TypedContext<In>&)` returns a described Out or Result<Out>; In and Out are deduced.
  /// A body that cannot be decoded is answered with Errc::bad_request and does not reach the
  /// function.
  template <class F>
  static Builder typed_unary(std::string name, F function);
  /// `function(TypedContext<In>)` returns Task<Out> or Task<Result<Out>>.
  template <class F>
  static Builder typed_unary_async(std::string name, F function);

  const std::string& name() const noexcept { return name_; }
  HandlerKind kind() const noexcept { return kind_; }
  DispatchMode mode() const noexcept { return mode_; }
  const std::optional<OrderedConfig>& order() const noexcept { return order_; }
  /// 0: no limit.
  std::size_t max_concurrent() const noexcept { return max_concurrent_; }
  std::size_t max_queue_depth() const noexcept { return max_queue_depth_; }
  bool is_async() const noexcept { return static_cast<bool>(async_); }
  /// Empty: everybody whom the access policy lets.
  const std::vector<Who>& callers() const noexcept { return callers_; }
  /// As far as the handler itself says.
  bool may_be_called_by(const ConnectionIdentity& caller) const noexcept;

  /// For the dispatcher.
  HandlerResult run(Context& context) const { return sync_(context); }
  /// Null unless ordered or limited in concurrency.
  messenger::HandlerQueue* queue() const noexcept { return queue_.get(); }
  void set_queue(std::shared_ptr<messenger::HandlerQueue> queue) { queue_ = std::move(queue); }
  void run(Context context, HandlerDone done) const { async_(std::move(context), std::move(done)); }
  /// Null unless metrics are published.
  const messenger::HandlerMeter* meter() const noexcept {
    return meter_.meter.load(std::memory_order_acquire);
  }
  void set_meter(const messenger::HandlerMeter* meter) const noexcept {
    meter_.meter.store(meter, std::memory_order_release);
  }

 private:
  Handler(std::string name, HandlerKind kind) : name_(std::move(name)), kind_(kind) {}

  std::string name_;
  HandlerKind kind_;
  DispatchMode mode_ = DispatchMode::spawn;
  std::optional<OrderedConfig> order_;
  std::size_t max_concurrent_ = 0;
  std::size_t max_queue_depth_ = messenger::limits::concurrent_depth_default;
  std::shared_ptr<messenger::HandlerQueue> queue_;
  std::vector<Who> callers_;
  /// Set once the handler stands where it stays.
  struct MeterPlace {
    std::atomic<const messenger::HandlerMeter*> meter{nullptr};
    MeterPlace() noexcept = default;
    MeterPlace(MeterPlace&& /*other*/) noexcept {}
    MeterPlace& operator=(MeterPlace&& /*other*/) noexcept { return *this; }
  };
  mutable MeterPlace meter_;
  Sync sync_;
  Async async_;
};

class Handler::Builder {
 public:
  Builder(std::string name, HandlerKind kind, Sync sync) : handler_(std::move(name), kind) {
    handler_.sync_ = std::move(sync);
  }
  Builder(std::string name, HandlerKind kind, Async async) : handler_(std::move(name), kind) {
    handler_.async_ = std::move(async);
  }
  /// Without order, on the worker pool.
  Builder&& spawn() && {
    handler_.mode_ = DispatchMode::spawn;
    handler_.order_.reset();
    return std::move(*this);
  }
  // NOLINTNEXTLINE(readability-identifier-naming): `inline` is a keyword.
  Builder&& inline_() && {
    handler_.mode_ = DispatchMode::inline_;
    handler_.order_.reset();
    handler_.max_concurrent_ = 0;
    return std::move(*this);
  }
  /// The messages of each sender one after the other, in the order in which they were received;
  /// those of different senders side by side. The next one starts when the function returned, or
  /// the Task ended, however it ended. On the worker pool. What is cancelled or expires while it
  /// waits is never run; see OrderedConfig for the limits.
  Builder&& ordered() && { return std::move(*this).ordered_with(OrderedConfig()); }
  /// All messages one after the other, whoever sent them.
  Builder&& ordered_global() && {
    OrderedConfig config;
    config.key = OrderedKey::global;
    return std::move(*this).ordered_with(config);
  }
  Builder&& ordered_with(OrderedConfig config) && {
    handler_.mode_ = DispatchMode::spawn;
    handler_.max_concurrent_ = config.max_concurrent;
    handler_.max_queue_depth_ = config.max_queue_depth;
    handler_.order_ = config;
    return std::move(*this);
  }
  /// At most `invocations` at once, ordered or not; 0: no limit. The others wait, at most
  /// `max_queue_depth` of them (of an ordered handler: as many as its lanes hold). More are
  /// answered Errc::overloaded. An `inline_()` handler becomes a spawned one.
  Builder&& max_concurrent(
      std::size_t invocations,
      std::size_t max_queue_depth = messenger::limits::concurrent_depth_default) && {
    handler_.mode_ = DispatchMode::spawn;
    handler_.max_concurrent_ = invocations;
    if (!handler_.order_) handler_.max_queue_depth_ = max_queue_depth;
    return std::move(*this);
  }
  /// Only these may call it (any of them; said twice, they add up), and only if the messenger's
  /// access policy lets them as well. Everybody else is answered Errc::permission_denied.
  Builder&& only(Who who) && {
    handler_.callers_.push_back(std::move(who));
    return std::move(*this);
  }
  Builder&& only(const std::vector<Who>& any_of) && {
    handler_.callers_.insert(handler_.callers_.end(), any_of.begin(), any_of.end());
    return std::move(*this);
  }
  Handler build() && { return std::move(handler_); }

 private:
  Handler handler_;
};

template <class F>
Handler::Builder Handler::am_handler(std::string name, F function) {
  return Builder(std::move(name), HandlerKind::am,
                 Sync([function = std::move(function)](Context& context) -> HandlerResult {
                   if constexpr (std::is_void_v<std::invoke_result_t<const F&, Context&>>) {
                     function(context);
                     return std::optional<Bytes>();
                   } else {
                     return messenger_detail::lift(function(context));
                   }
                 }));
}

template <class F>
Handler::Builder Handler::unary_handler(std::string name, F function) {
  return Builder(std::move(name), HandlerKind::unary,
                 Sync([function = std::move(function)](Context& context) -> HandlerResult {
                   return messenger_detail::lift(function(context));
                 }));
}

namespace messenger_detail {

template <class F>
Handler::Async async_raw(F function) {
  return [function = std::move(function)](Context context, HandlerDone done) {
    start(function(std::move(context)), [done = std::move(done)](auto ended) mutable {
      done(lift_task(std::move(ended), [](auto value) { return lift(std::move(value)); }));
    });
  };
}

}  // namespace messenger_detail

template <class F>
Handler::Builder Handler::am_handler_async(std::string name, F function) {
  return Builder(std::move(name), HandlerKind::am,
                 messenger_detail::async_raw(std::move(function)));
}

template <class F>
Handler::Builder Handler::unary_handler_async(std::string name, F function) {
  return Builder(std::move(name), HandlerKind::unary,
                 messenger_detail::async_raw(std::move(function)));
}

template <class F>
Handler::Builder Handler::typed_unary(std::string name, F function) {
  using In = typename messenger_detail::TypedInput<F>::type;
  return Builder(std::move(name), HandlerKind::unary,
                 Sync([function = std::move(function)](Context& context) -> HandlerResult {
                   const bool json = context.typed_bodies_are_json();
                   auto input = messenger::decode_body<In>(context.payload(), json);
                   if (!input) return messenger_detail::bad_request(input.error());
                   TypedContext<In> typed(std::move(context), std::move(*input));
                   return messenger_detail::lift_typed(function(typed), json);
                 }));
}

template <class F>
Handler::Builder Handler::typed_unary_async(std::string name, F function) {
  using In = typename messenger_detail::TypedInput<F>::type;
  return Builder(std::move(name), HandlerKind::unary,
                 Async([function = std::move(function)](Context context, HandlerDone done) {
                   const bool json = context.typed_bodies_are_json();
                   auto input = messenger::decode_body<In>(context.payload(), json);
                   if (!input) return done(messenger_detail::bad_request(input.error()));
                   TypedContext<In> typed(std::move(context), std::move(*input));
                   start(function(std::move(typed)),
                         [done = std::move(done), json](auto ended) mutable {
                           done(messenger_detail::lift_task(std::move(ended), [json](auto value) {
                             return messenger_detail::lift_typed(std::move(value), json);
                           }));
                         });
                 }));
}

}  // namespace velo
