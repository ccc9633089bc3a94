// SPDX-License-Identifier: Apache-2.0
// Engine: a manager's table and subscribers behind one lock, and the awaiters' Ops. What a step
// causes (wakes, messages) happens after the lock is given back. Not the network: a Carrier is.
// Threading: every function from any thread.
#pragma once

#include "subscribers.hpp"
#include "table.hpp"

#include <velo/base/op.hpp>
#include <velo/base/world.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/events/why.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo::events {

/// How an engine reaches other machines. Called without the engine's lock.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual void ask(const Ask& ask) = 0;
  virtual void unsubscribe(const EventHandle& event) = 0;
  virtual void notify(std::vector<Notice> notices) = 0;
  virtual Op<EventStatus> poll(const EventHandle& event) = 0;
  virtual Op<void> complete(const EventHandle& event, const Outcome& outcome,
                            const EventCapability& capability) = 0;
  virtual Op<EventReport> report(WorkerId whom, const EventHandle& event) = 0;
  virtual std::uint64_t messages() const noexcept = 0;
};

// why: Ops and Events outlive the manager that made them.
class Engine final : public std::enable_shared_from_this<Engine> {
 public:
  Engine(World& world, WorkerId system, const EventOptions& options, bool alone);
  ~Engine();

  World& world() const noexcept { return world_; }
  WorkerId system() const noexcept { return system_; }
  bool owns(const EventHandle& event) const noexcept { return event.system() == system_; }

  Result<EventHandle> create(NewEvent how);
  Op<void> await(const EventHandle& event);
  Op<EventStatus> poll(const EventHandle& event);
  /// Of any event, asynchronously.
  Op<void> complete(const EventHandle& event, const Outcome& outcome,
                    const EventCapability& capability);
  /// Of an own one. `as_owner`: the holder of the Event, whom no capability is asked of.
  Result<void> complete_own(const EventHandle& event, const Outcome& outcome,
                            const EventCapability& capability, bool as_owner);
  void drop(const EventHandle& event) noexcept;
  EventCapability capability_of(const EventHandle& event);
  Result<EventHandle> merge(std::span<const EventHandle> inputs, GateKind kind);
  Result<void> annotate(const EventHandle& event, EventNote note);
  /// How it is here; nullopt of others' events that are not known to be over.
  std::optional<Result<EventStatus>> status(const EventHandle& event);
  /// What is known of it here.
  EventReport report(const EventHandle& event);
  /// What that machine knows of it.
  Op<EventReport> report_of(WorkerId whom, const EventHandle& event);
  void shut_down(const Outcome& own, const Outcome& waits);
  EventCounts counts();

  void set_carrier(std::shared_ptr<Carrier> carrier);

  /// Runs `body(Table&, Subscribers&, Effects&)` under the lock, and what it caused after that.
  template <class F>
  auto step(F body) {
    Effects effects;
    if constexpr (std::is_void_v<std::invoke_result_t<F&, Table&, Subscribers&, Effects&>>) {
      {
        const std::lock_guard lock(mutex_);
        body(table_, subscribers_, effects);
      }
      run(effects);
    } else {
      auto result = [&] {
        const std::lock_guard lock(mutex_);
        return body(table_, subscribers_, effects);
      }();
      run(effects);
      return result;
    }
  }

 private:
  struct Awaiter;

  TimePoint now_for(const EventHandle& event) const noexcept {
    return owns(event) ? TimePoint() : world_.clock().now();
  }
  void cancel(Awaiter& awaiter);
  void run(Effects& effects);
  void run_remote(Effects& effects);
  std::shared_ptr<Carrier> carrier();

  World& world_;
  const WorkerId system_;
  const bool alone_;
  const Outcome dropped_;
  std::mutex mutex_;
  Table table_;
  Subscribers subscribers_;
  bool closed_ = false;
  Outcome closed_waits_;
  std::shared_ptr<Carrier> carrier_;
};

}  // namespace velo::events
