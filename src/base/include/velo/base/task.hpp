// SPDX-License-Identifier: Apache-2.0
// Task<T>: a lazily started coroutine, for asynchronous handlers and programs. It starts when
// awaited or started, and resumes on the executor of whatever it awaits. Not an Op: it has no
// deadline and cannot be awaited twice. With g++ 12 read docs/guides/coroutines.md first: some
// awaited expressions are miscompiled in silence.
// Threading: a Task belongs to one owner; its body moves between threads only where it awaits.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/executor.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace velo {

template <class T = void>
class [[nodiscard]] Task;

namespace base_detail {

/// Resumes `next` in place, or posts it when completions are nested too deeply (g++ does not
/// tail-call everywhere).
void resume_or_post(std::coroutine_handle<> next) noexcept;

struct TaskPromiseBase {
  std::coroutine_handle<> continuation;
  std::exception_ptr exception;
  /// Set by whichever comes first: the body's end, or the awaiter's return from starting it. The
  /// second one resumes the awaiter.
  std::atomic<bool> met{false};

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> handle) noexcept {
      auto& promise = handle.promise();
      const std::coroutine_handle<> next = promise.continuation;
      if (promise.met.exchange(true, std::memory_order_acq_rel)) resume_or_post(next);
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <class U = T>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace base_detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = base_detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Task(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(Handle handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    /// Starts the body here; it runs to its first suspension inside this call.
    bool await_suspend(std::coroutine_handle<> caller) noexcept {
      promise_type& promise = handle_.promise();
      promise.continuation = caller;
      handle_.resume();
      return !promise.met.exchange(true, std::memory_order_acq_rel);
    }
    T await_resume() { return handle_.promise().take(); }

   private:
    Handle handle_;
  };

  /// Starts the task and yields its value, or rethrows its exception. The task must outlive the
  /// await.
  Awaiter operator co_await() & noexcept { return Awaiter(handle_); }
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }

  /// Gives up ownership; for adapters that destroy the frame themselves.
  Handle release() noexcept { return std::exchange(handle_, nullptr); }

 private:
  Handle handle_;
};

namespace base_detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

/// A coroutine that owns itself: started at once, destroyed at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

/// Turns what a task threw into an error, so that none crosses a room.
Error error_of_current_exception() noexcept;

#if defined(__GNUC__) && !defined(__clang__)
// g++ takes the frame of a coroutine that keeps a lambda for a type that other sources could see.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
#endif
template <class T, class F>
Detached run_detached(Task<T> task, F done) {
  std::optional<Result<T>> result;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await task;
      result.emplace();
    } else {
      result.emplace(co_await task);
    }
  } catch (...) {
    result.emplace(error_of_current_exception());
  }
  done(std::move(*result));
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace base_detail

/// Starts `task` on the calling thread and calls `done(Result<T>)` once at its end, on whatever
/// thread ends it. An exception of the task becomes Errc::internal.
template <class T, class F>
void start(Task<T> task, F done) {
  base_detail::run_detached(std::move(task), std::move(done));
}

}  // namespace velo
