// SPDX-License-Identifier: Apache-2.0
// The executors of a simulated node: its shards, with timers and turns, and its pool. A turn runs a
// seeded number of the shard's ready things in order of arrival, then what was left for the turn's
// end.
// Threading: the simulation's thread only.
#pragma once

#include <velo/base/world.hpp>

#include "event_queue.hpp"
#include "ring.hpp"

#include <cstdint>
#include <vector>

namespace velo::sim::detail {

struct Core;
class NodeImpl;
class ShardImpl;

/// A callback into user code that waits for its shard's turn; it records itself in the trace.
class Ready {
 public:
  virtual void run() = 0;
  /// Instead of run(), when the node crashed.
  virtual void discard() = 0;

 protected:
  ~Ready() = default;
};

class Timer final : public Event, public Ready {
 public:
  explicit Timer(Core& core, std::uint32_t index) noexcept : core_(core), index_(index) {}
  void fire() override;
  void run() override;
  void discard() override {}

 private:
  friend class ShardImpl;
  enum class State : std::uint8_t { free, waiting, due, cancelled };
  Shard::TimerId id() const noexcept {
    return (static_cast<Shard::TimerId>(generation_) << 32) | (index_ + 1U);
  }

  Core& core_;
  ShardImpl* shard_ = nullptr;
  Task0 task_;
  std::int64_t local_at_ = 0;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  std::uint32_t index_;
  std::uint32_t generation_ = 1;
  State state_ = State::free;
};

class ShardImpl final : public Shard {
 public:
  ShardImpl(Core& core, NodeImpl& node) noexcept : core_(core), node_(node), turn_(*this) {}

  void post(Task0 task) noexcept override { enqueue(Item{nullptr, task}); }
  bool others_may_block() const noexcept override { return false; }
  TimePoint now() const noexcept override;
  TimerId start_timer(TimePoint at, Task0 task) override;
  bool cancel_timer(TimerId id) noexcept override;
  void at_turn_end(Task0 task) noexcept override;

  NodeImpl& node() const noexcept { return node_; }
  void make_ready(Ready& ready) { enqueue(Item{&ready, {}}); }
  void run_turn();
  void resume();
  /// The node died: moves what will never run to `dead`.
  void vanish(std::vector<Task0>& dead);

 private:
  friend class Timer;
  struct Item {
    Ready* ready = nullptr;
    Task0 task;
  };
  struct Turn final : Event {
    explicit Turn(ShardImpl& shard) noexcept : owner(shard) {}
    void fire() override { owner.run_turn(); }
    ShardImpl& owner;
  };

  void enqueue(Item item);
  void wake();
  void run_items();
  void end_turn();
  Timer& take_timer();
  void free_timer(Timer& timer) noexcept;
  void wait_for(Timer& timer);

  Core& core_;
  NodeImpl& node_;
  Turn turn_;
  Ring<Item> ready_;
  std::vector<Task0> turn_end_;
  Timer* first_timer_ = nullptr;
  std::int64_t busy_until_ = 0;
  std::uint64_t tasks_run_ = 0;
  bool turn_pending_ = false;
  bool running_ = false;
  bool parked_ = false;  ///< the turn came while the node was paused
};

class PoolImpl final : public Executor, private Event {
 public:
  PoolImpl(Core& core, NodeImpl& node) noexcept : core_(core), node_(node) {}

  void post(Task0 task) noexcept override;
  bool others_may_block() const noexcept override { return false; }

  void resume();
  void vanish(std::vector<Task0>& dead);

 private:
  void fire() override;

  Core& core_;
  NodeImpl& node_;
  std::vector<Task0> tasks_;
  std::uint64_t tasks_run_ = 0;
  bool parked_ = false;
  bool running_ = false;
};

}  // namespace velo::sim::detail
