// SPDX-License-Identifier: Apache-2.0
// Turns, timers and the pool.

#include "executors.hpp"

#include "core.hpp"
#include "graveyard.hpp"
#include "node_impl.hpp"

#include <algorithm>
#include <utility>

namespace velo::sim::detail {

namespace executors_detail {
/// A turn takes at most this many ready things, as one round of epoll would.
constexpr std::size_t turn_items_max = 64;
}  // namespace executors_detail

// ---- shard ----

TimePoint ShardImpl::now() const noexcept { return node_.local_now(); }

void ShardImpl::enqueue(Item item) {
  ready_.push_back(item);
  wake();
}

void ShardImpl::wake() {
  if (running_ || turn_pending_) return;
  turn_pending_ = true;
  if (core_.in_kernel && core_.direct == nullptr && busy_until_ <= core_.now && !node_.paused()) {
    core_.direct = this;
  } else {
    core_.schedule(turn_, busy_until_);
  }
}

void ShardImpl::run_turn() {
  core_.in_kernel = false;
  if (node_.paused()) {
    parked_ = true;
    return;
  }
  turn_pending_ = false;
  const bool was_alive = node_.alive();
  {
    const Executor::Scope scope(this);
    running_ = true;
    run_items();
    if (node_.alive() == was_alive) end_turn();
    running_ = false;
  }
  busy_until_ = core_.now + core_.options.turn_cost.count();
  if (!ready_.empty() || !turn_end_.empty()) wake();
}

void ShardImpl::run_items() {
  const bool was_alive = node_.alive();
  std::size_t count = std::min(ready_.size(), executors_detail::turn_items_max);
  if (count > 1) count = 1 + core_.order_random.pick(count);
  for (; count != 0 && !ready_.empty(); --count) {
    const Item item = ready_.pop_front();
    if (item.ready != nullptr) {
      item.ready->run();
    } else {
      core_.trace(node_, was_alive ? TraceKind::task : TraceKind::after_crash, tasks_run_++, 0);
      item.task.run(item.task.argument);
    }
    if (node_.alive() != was_alive || node_.paused()) return;
  }
}

void ShardImpl::end_turn() {
  if (turn_end_.empty() || node_.paused()) return;
  const std::vector<Task0> tasks = std::exchange(turn_end_, {});
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const bool was_alive = node_.alive();
    tasks[i].run(tasks[i].argument);
    if (was_alive && !node_.alive()) {
      bury({tasks.begin() + static_cast<std::ptrdiff_t>(i) + 1, tasks.end()});
      return;
    }
  }
}

void ShardImpl::at_turn_end(Task0 task) noexcept {
  turn_end_.push_back(task);
  wake();
}

void ShardImpl::resume() {
  if (!std::exchange(parked_, false)) return;
  core_.schedule(turn_, busy_until_);
}

void ShardImpl::vanish(std::vector<Task0>& dead) {
  while (!ready_.empty()) {
    const Item item = ready_.pop_front();
    if (item.ready != nullptr) {
      item.ready->discard();
    } else {
      dead.push_back(item.task);
    }
  }
  dead.insert(dead.end(), turn_end_.begin(), turn_end_.end());
  turn_end_.clear();
  while (first_timer_ != nullptr) {
    Timer& timer = *first_timer_;
    if (timer.state_ != Timer::State::cancelled) dead.push_back(timer.task_);
    free_timer(timer);
  }
  if (turn_.scheduled()) core_.cancel(turn_);
  if (core_.direct == this) core_.direct = nullptr;
  turn_pending_ = parked_ = false;
}

// ---- timers ----

Shard::TimerId ShardImpl::start_timer(TimePoint at, Task0 task) {
  if (!node_.alive()) {
    bury({task});
    return 1;
  }
  Timer& timer = take_timer();
  timer.shard_ = this;
  timer.task_ = task;
  timer.local_at_ = at.nanoseconds();
  timer.state_ = Timer::State::waiting;
  timer.previous_ = nullptr;
  timer.next_ = first_timer_;
  if (first_timer_ != nullptr) first_timer_->previous_ = &timer;
  first_timer_ = &timer;
  wait_for(timer);
  return timer.id();
}

void ShardImpl::wait_for(Timer& timer) {
  if (timer.local_at_ == TimePoint::never().nanoseconds()) return;
  core_.schedule(timer, node_.global_at(timer.local_at_));
  ++core_.waiting_timers;
}

bool ShardImpl::cancel_timer(TimerId id) noexcept {
  if (!node_.alive()) return true;  // it will never run, whatever became of it
  const std::uint64_t index = (id & 0xffffffffU) - 1;
  if (index >= core_.timers.size()) return false;
  Timer& timer = core_.timers[index];
  if (timer.id() != id || timer.shard_ != this) return false;
  if (timer.state_ == Timer::State::due) {
    timer.state_ = Timer::State::cancelled;  // freed when its turn comes
    return true;
  }
  if (timer.state_ != Timer::State::waiting) return false;
  free_timer(timer);
  return true;
}

Timer& ShardImpl::take_timer() {
  if (core_.free_timers.empty()) {
    return core_.timers.emplace_back(core_, static_cast<std::uint32_t>(core_.timers.size()));
  }
  const std::uint32_t index = core_.free_timers.back();
  core_.free_timers.pop_back();
  return core_.timers[index];
}

void ShardImpl::free_timer(Timer& timer) noexcept {
  if (timer.scheduled()) {
    core_.cancel(timer);
    --core_.waiting_timers;
  }
  if (timer.previous_ != nullptr) timer.previous_->next_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
  if (first_timer_ == &timer) first_timer_ = timer.next_;
  timer.state_ = Timer::State::free;
  ++timer.generation_;
  core_.free_timers.push_back(timer.index_);
}

void Timer::fire() {
  --core_.waiting_timers;
  if (shard_->now().nanoseconds() < local_at_)
    return shard_->wait_for(*this);  // its clock slowed down
  state_ = State::due;
  shard_->make_ready(*this);
}

void Timer::run() {
  const Task0 task = task_;
  const Shard::TimerId timer = id();
  const bool cancelled = state_ == State::cancelled;
  NodeImpl& node = shard_->node();
  shard_->free_timer(*this);
  if (cancelled) return;
  core_.trace(node, TraceKind::timer, timer, 0);
  task.run(task.argument);
}

// ---- pool ----

void PoolImpl::post(Task0 task) noexcept {
  tasks_.push_back(task);
  if (running_ || parked_ || scheduled()) return;
  core_.schedule(*this, core_.now + sample(core_.options.pool_delay, core_.order_random));
}

void PoolImpl::fire() {
  core_.in_kernel = false;
  if (node_.paused()) {
    parked_ = true;
    return;
  }
  if (tasks_.empty()) return;
  // Workers run at the same time, so which of the queued tasks acts first is anyone's guess.
  std::swap(tasks_[core_.order_random.pick(tasks_.size())], tasks_.back());
  const Task0 task = tasks_.back();
  tasks_.pop_back();
  core_.trace(node_, node_.alive() ? TraceKind::pool_task : TraceKind::after_crash, tasks_run_++,
              1);
  {
    const Executor::Scope scope(this);
    running_ = true;
    task.run(task.argument);
    running_ = false;
  }
  if (!tasks_.empty()) core_.schedule(*this, core_.now);
}

void PoolImpl::resume() {
  if (std::exchange(parked_, false)) core_.schedule(*this, core_.now);
}

void PoolImpl::vanish(std::vector<Task0>& dead) {
  dead.insert(dead.end(), tasks_.begin(), tasks_.end());
  tasks_.clear();
  if (scheduled()) core_.cancel(*this);
  parked_ = false;
}

}  // namespace velo::sim::detail
