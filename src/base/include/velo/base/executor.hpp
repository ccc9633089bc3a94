// SPDX-License-Identifier: Apache-2.0
// Where continuations and handlers run. An executor runs each posted task exactly once, never
// inside post().
// Threading: post() from any thread; current() is the executor whose task the calling thread is running.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace velo {

/// A task that needs no allocation to be posted: a function and its argument. The poster keeps
/// `argument` alive.
struct Task0 {
  void (*run)(void* argument) = nullptr;
  void* argument = nullptr;
};

class Executor;

namespace base_detail {
/// Constant-initialised, so that reading it is one load.
inline constinit thread_local Executor* current_executor = nullptr;
}  // namespace base_detail

class Executor {
 public:
  virtual ~Executor() = default;

  /// Queues the task. An executor that has stopped still runs or destroys nothing twice: see its
  /// own contract.
  virtual void post(Task0 task) noexcept = 0;

  /// Whether a thread outside every executor may block until this executor made progress. False in
  /// simulation, where the thread that would block is the one that has to run.
  virtual bool others_may_block() const noexcept { return true; }

  /// The executor that the calling thread belongs to; null on a user's own thread.
  static Executor* current() noexcept { return base_detail::current_executor; }

  /// Marks the calling thread as belonging to `executor` for the scope's life.
  class Scope {
   public:
    explicit Scope(Executor* executor) noexcept
        : previous_(std::exchange(base_detail::current_executor, executor)) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { base_detail::current_executor = previous_; }

   private:
    Executor* previous_;
  };
};

/// Posts a callable (move-only is fine); costs one allocation.
template <class F>
void post(Executor& executor, F function) {
  struct Node {
    F function;
    explicit Node(F&& f) : function(std::move(f)) {}
  };
  auto* node = new Node(std::move(function));
  executor.post(Task0{[](void* argument) {
                        const std::unique_ptr<Node> owned(static_cast<Node*>(argument));
                        owned->function();
                      },
                      node});
}

}  // namespace velo
