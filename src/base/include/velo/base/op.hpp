// SPDX-License-Identifier: Apache-2.0
// Op<T>: the handle of one asynchronous operation that ends exactly once with a Result<T>. Consume
// it once: `co_await`,
// `.then(callback)`, `.get()`, or `op(token)` with <velo/asio.hpp>. Dropping it cancels the
// operation. OpState is the producer's side; it lives in the producer's own slot (a call, an
// event), or in a pooled node (Promise).
// A coroutine may be destroyed while it awaits an Op, which cancels, but not once the Op has ended
// and the resumption is posted: the executor holds the frame's address then. Let it end instead.
// Threading: an Op belongs to one thread at a time; the state's ends race safely from any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/executor.hpp>
#include <velo/base/trace.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#define VELO_GCC_LT_13 1
#else
#define VELO_GCC_LT_13 0
#endif

namespace velo {

/// The shared state of an operation: who may complete it (claim), whether it is done, and what
/// continues it. Exactly one of reply, deadline, cancel, connection death wins claim(); the winner
/// stores the result and publishes. The consumer side is released once (after taking the result, or
/// by dropping); the producer side by publish().
class OpState {
 public:
  OpState(const OpState&) = delete;
  OpState& operator=(const OpState&) = delete;

  bool done() const noexcept { return (word_.load(std::memory_order_acquire) & done_bit) != 0; }

  /// Blocks the calling thread until done. The caller has checked that it may block.
  void wait() noexcept;

  /// Sets what runs when done. False: already done, and the task was not taken.
  bool attach(Executor& executor, Task0 task) noexcept {
    executor_ = &executor;
    task_ = task;
    return (word_.fetch_or(armed_bit, std::memory_order_acq_rel) & done_bit) == 0;
  }

  /// Asks the producer to end the operation as cancelled; does nothing once claimed.
  void cancel() noexcept { table_->cancel(*this); }

  /// Gives up the consumer's side; the state may be gone when this returns.
  void release_consumer() noexcept {
    if ((word_.fetch_or(consumer_gone_bit, std::memory_order_acq_rel) & done_bit) != 0) {
      table_->recycle(*this);
    }
  }

  /// As release_consumer(), for a consumer that has seen done(): the producer's side is over, so
  /// nothing needs to be arbitrated.
  void release_done() noexcept { table_->recycle(*this); }

  /// Tells producers' states apart: the same for all states of one kind.
  const void* kind() const noexcept { return table_; }

  /// Where a continuation runs when the attaching thread belongs to no executor; never an I/O
  /// shard.
  Executor& callback_executor() const noexcept { return *callback_executor_; }

 protected:
  struct Table {
    void (*cancel)(OpState&) noexcept;
    void (*recycle)(OpState&) noexcept;  ///< both sides are done with the state
  };

  explicit OpState(const Table& table) noexcept : table_(&table) {}
  ~OpState() = default;

  /// Makes the state ready for a new operation. The caller owns it alone.
  void reset(Executor& callbacks) noexcept {
    callback_executor_ = &callbacks;
    word_.store(0, std::memory_order_relaxed);
  }

  /// Announces the stored result. Called exactly once, by the winner of the producer's own
  /// arbitration. With `may_run_here`, a continuation bound to the calling thread's executor runs
  /// inside this call (depth <= 16).
  void publish(bool may_run_here = true) noexcept;

  bool consumer_gone() const noexcept {
    return (word_.load(std::memory_order_acquire) & consumer_gone_bit) != 0;
  }

 private:
  static constexpr std::uint32_t done_bit = 1;
  static constexpr std::uint32_t armed_bit = 2;
  static constexpr std::uint32_t waiter_bit = 4;
  static constexpr std::uint32_t consumer_gone_bit = 8;

  std::atomic<std::uint32_t> word_{0};
  const Table* table_;
  Executor* callback_executor_ = nullptr;
  Executor* executor_ = nullptr;
  Task0 task_;
};

template <class T>
class Promise;

template <class T>
class [[nodiscard]] Op {
 public:
  using Decode = Result<T> (*)(OpState&);

  /// For producers: `state` has a consumer side that this handle takes over; `decode` moves the
  /// result out of it.
  Op(OpState& state, Decode decode) noexcept : state_(&state), decode_(decode) {}
  Op(Op&& other) noexcept : state_(std::exchange(other.state_, nullptr)), decode_(other.decode_) {}
  Op& operator=(Op&& other) noexcept {
    std::swap(state_, other.state_);
    std::swap(decode_, other.decode_);
    return *this;
  }
  Op(const Op&) = delete;
  ~Op() { drop(); }

  /// An operation that has already ended.
  static Op ready(Executor& callbacks, Result<T> result);

  /// Whether the result is there; taking it will not wait.
  bool done() const noexcept { return state_ == nullptr || state_->done(); }

  /// Asks for the end; the operation still ends once, usually with Errc::cancelled.
  void cancel() noexcept {
    if (state_ != nullptr) state_->cancel();
  }

  /// Blocks until the end. Errc::would_deadlock, and the operation is cancelled, on any executor's
  /// thread and in simulation.
  Result<T> get() && {
    OpState& state = *state_;
    if (!state.done()) {
      if (Executor::current() != nullptr || !state.callback_executor().others_may_block()) {
        drop();
        return make_error(Errc::would_deadlock, "Op::get() would block an executor's thread");
      }
      state.wait();
    }
    return take();
  }

  /// Runs `callback(Result<T>)` once, on the calling thread's executor if it has one, else on the
  /// callback executor of the producer. Never runs inside this call.
  template <class F>
  void then(F callback) && {
    Executor* executor = Executor::current();
    std::move(*this).then(executor != nullptr ? *executor : state_->callback_executor(),
                          std::move(callback));
  }
  template <class F>
  void then(Executor& executor, F callback) &&;

  class Awaiter {
   public:
    Awaiter(OpState* state, Decode decode) noexcept : state_(state), decode_(decode) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {
      if (state_ == nullptr) return;
      state_->cancel();
      state_->release_consumer();
    }
    bool await_ready() const noexcept { return state_->done(); }
    bool await_suspend(std::coroutine_handle<> handle) noexcept {
      Executor* executor = Executor::current();
      if (trace::current() != nullptr) [[unlikely]]
        traced_ = trace::keep_current();
      return state_->attach(
          executor != nullptr ? *executor : state_->callback_executor(),
          Task0{traced_ ? &base_detail::resume_traced : &base_detail::resume, handle.address()});
    }
    Result<T> await_resume() {
      if (traced_) [[unlikely]]
        trace::work_for(std::move(traced_));
      Result<T> result = decode_(*state_);
      std::exchange(state_, nullptr)->release_done();
      return result;
    }

   private:
    OpState* state_;
    Decode decode_;
    std::shared_ptr<const trace::TraceContext> traced_;
  };

  Awaiter operator co_await() & noexcept {
    return Awaiter(std::exchange(state_, nullptr), decode_);
  }
#if VELO_GCC_LT_13
  /// g++ 12 destroys temporaries of the awaited expression twice: write `auto op = ...; auto r =
  /// co_await op;`.
  Awaiter operator co_await() && = delete;
#else
  Awaiter operator co_await() && noexcept {
    return Awaiter(std::exchange(state_, nullptr), decode_);
  }
#endif

  /// For producers that can say more of an operation; null once consumed.
  const OpState* state() const noexcept { return state_; }

  /// For adapters with a continuation of their own: gives up the consumer side. The caller
  /// attaches, may cancel until it has taken the result with the Decode, and then calls
  /// release_consumer(), once.
  std::pair<OpState*, Decode> release() noexcept {
    return {std::exchange(state_, nullptr), decode_};
  }

  /// Boost.Asio completion tokens; the body is found only when <velo/asio.hpp> is included.
  template <class Token>
    requires(!std::is_pointer_v<std::remove_cvref_t<Token>>)
  auto operator()(Token&& token) && {
    return velo_asio_initiate(std::move(*this), std::forward<Token>(token));
  }

 private:
  template <class F>
  struct ThenNode;

  Result<T> take() {
    Result<T> result = decode_(*state_);
    std::exchange(state_, nullptr)->release_done();
    return result;
  }
  void drop() noexcept {
    if (state_ == nullptr) return;
    state_->cancel();
    std::exchange(state_, nullptr)->release_consumer();
  }

  OpState* state_;
  Decode decode_;
};

namespace base_detail {

/// Thread-local free lists for continuation and promise nodes: an allocation only when the list is
/// empty.
void* allocate_node(std::size_t size);
void free_node(void* node, std::size_t size) noexcept;

template <class T>
struct PromiseState final : OpState {
  PromiseState() noexcept : OpState(table) {}

  static void on_cancel(OpState& state) noexcept {
    auto& self = static_cast<PromiseState&>(state);
    if (std::exchange(self.cancel_asked, true)) return;
    if (!self.claimed.load(std::memory_order_acquire) && self.cancel_hook) self.cancel_hook();
  }
  static void on_recycle(OpState& state) noexcept {
    static_assert(alignof(PromiseState) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "pooled nodes");
    auto& self = static_cast<PromiseState&>(state);
    if (self.references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete &self;
  }
  static constexpr Table table{&on_cancel, &on_recycle};

  void* operator new(std::size_t size) { return allocate_node(size); }
  void operator delete(void* node) noexcept { free_node(node, sizeof(PromiseState)); }

  using OpState::publish;
  using OpState::reset;

  std::atomic<std::uint32_t> references{2};
  std::atomic<bool> claimed{false};
  bool has_consumer = false;
  bool cancel_asked = false;  ///< the consumer's own
  std::optional<Result<T>> result;
  std::move_only_function<void() noexcept> cancel_hook;
};

}  // namespace base_detail

/// The producer's end of an Op that has no slot of its own. Ends the operation at most once; a
/// dropped Promise ends it with Errc::cancelled. Threading: may be shared by reference between
/// threads; the first to set wins.
template <class T>
class Promise {
 public:
  /// Continuations without an executor run on `callbacks`, which outlives the operation.
  explicit Promise(Executor& callbacks) : state_(new base_detail::PromiseState<T>) {
    state_->reset(callbacks);
  }
  Promise(Promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Promise& operator=(Promise&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Promise() {
    if (state_ == nullptr) return;
    set(make_error(Errc::cancelled, "the operation's producer went away"));
    if (!state_->has_consumer) state_->release_consumer();
    base_detail::PromiseState<T>::on_recycle(*state_);
  }

  /// The one Op of this promise; call once, before set() can run elsewhere.
  Op<T> op() noexcept {
    state_->has_consumer = true;
    return Op<T>(*state_, [](OpState& state) -> Result<T> {
      return std::move(*static_cast<base_detail::PromiseState<T>&>(state).result);
    });
  }

  /// Runs once (on the cancelling thread) when the consumer cancels or drops before the end; it
  /// should lead to set(). Set before op().
  void on_cancel(std::move_only_function<void() noexcept> hook) {
    state_->cancel_hook = std::move(hook);
  }

  /// False if the operation had already ended; then `result` is dropped.
  bool set(Result<T> result) noexcept {
    if (state_->claimed.exchange(true, std::memory_order_acq_rel)) return false;
    state_->result.emplace(std::move(result));
    state_->publish();
    return true;
  }
  bool ended() const noexcept { return state_->claimed.load(std::memory_order_acquire); }

 private:
  base_detail::PromiseState<T>* state_;
};

/// Runs tasks on the calling thread at once, inside post(); only for adapters that hand over to
/// another executor.
Executor& inline_executor() noexcept;

template <class T>
Op<T> Op<T>::ready(Executor& callbacks, Result<T> result) {
  Promise<T> promise(callbacks);
  Op<T> op = promise.op();
  promise.set(std::move(result));
  return op;
}

template <class T>
template <class F>
struct Op<T>::ThenNode {
  Op op;
  F callback;
  std::shared_ptr<const trace::TraceContext> traced = trace::keep_current();
  ThenNode(Op&& o, F&& f) : op(std::move(o)), callback(std::move(f)) {}
  static void* operator new(std::size_t size) { return base_detail::allocate_node(size); }
  static void operator delete(void* node) noexcept {
    base_detail::free_node(node, sizeof(ThenNode));
  }
  static void run(void* argument) {
    static_assert(alignof(ThenNode) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "pooled nodes");
    const std::unique_ptr<ThenNode> node(static_cast<ThenNode*>(argument));
    if (node->traced || trace::Stretch::innermost() != nullptr) [[unlikely]] {
      const trace::Stretch stretch(std::move(node->traced));
      return node->callback(node->op.take());
    }
    node->callback(node->op.take());
  }
};

template <class T>
template <class F>
void Op<T>::then(Executor& executor, F callback) && {
  OpState& state = *state_;
  auto* node = new ThenNode<F>(std::move(*this), std::move(callback));
  const Task0 task{&ThenNode<F>::run, node};
  if (!state.attach(executor, task)) executor.post(task);
}

}  // namespace velo
