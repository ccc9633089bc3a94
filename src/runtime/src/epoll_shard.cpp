// SPDX-License-Identifier: Apache-2.0
// The turn of an I/O thread.

#include "epoll_shard.hpp"

#include <velo/base/check.hpp>

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "clock.hpp"
#include "system_error.hpp"
#include "threads.hpp"

namespace velo::runtime {
namespace epoll_shard_detail {

static int timeout_milliseconds(Duration timeout) noexcept {
  if (timeout <= Duration::zero()) return 0;
  if (timeout > std::chrono::hours(24)) return timeout == Duration::max() ? -1 : 86'400'000;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
}

}  // namespace epoll_shard_detail

Result<std::unique_ptr<EpollShard>> EpollShard::create(const ShardSettings& settings) {
  std::unique_ptr<EpollShard> shard(new EpollShard(settings));
  shard->epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!shard->epoll_) return system_error("epoll_create1", errno);
  shard->wake_ = Descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!shard->wake_) return system_error("eventfd", errno);
  shard->timer_ = Descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!shard->timer_) return system_error("timerfd_create", errno);
  for (const int fd : {shard->wake_.get(), shard->timer_.get()}) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(shard->epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return system_error("epoll_ctl", errno);
    }
  }
  // An external shard sleeps whenever it is not in a turn, so that posts make its descriptor
  // readable.
  shard->sleeping_.store(settings.external, std::memory_order_relaxed);
  return shard;
}

EpollShard::~EpollShard() { join(); }

void EpollShard::start() {
  const BlockedSignals blocked;
  thread_ = std::thread([this] { run_thread(); });
}

void EpollShard::run_thread() noexcept {
  name_this_thread("velo-io-" + std::to_string(settings_.index));
  if (settings_.pin.has_value()) pin_this_thread(*settings_.pin);
  const Executor::Scope scope(this);
  while (!stopping()) turn(-1);
}

void EpollShard::join() noexcept {
  stopping_.store(true, std::memory_order_release);
  wake();
  if (thread_.joinable()) thread_.join();
}

std::size_t EpollShard::drain_round() noexcept {
  const Executor::Scope scope(this);
  now_ = monotonic_now();
  std::size_t ran = 0;
  while (!stop_listeners_.empty()) {
    StopListener* listener = stop_listeners_.front();
    stop_listeners_.pop_front();
    listener->on_stop();
    ++ran;
  }
  take_posted();
  ran += run_batch();
  ran += run_turn_end();
  return ran;
}

std::size_t EpollShard::queued() const noexcept {
  const std::scoped_lock lock(mutex_);
  return posted_.size() + tasks_.size() + turn_end_.size();
}

std::size_t EpollShard::run_once(Duration timeout) noexcept {
  VELO_CHECK(settings_.external);
  VELO_CHECK(!in_turn_);
  const Executor::Scope scope(this);
  const std::size_t handled = turn(epoll_shard_detail::timeout_milliseconds(timeout));
  // Until the next call the shard sleeps; what is left makes the descriptor readable.
  sleeping_.store(true, std::memory_order_seq_cst);
  if (has_queued_work()) wake_if_sleeping();
  arm_timer();
  return handled;
}

std::size_t EpollShard::turn(int timeout_ms) noexcept {
  in_turn_ = true;
  arm_timer();
  const int count = wait(timeout_ms);
  now_ = monotonic_now();
  std::size_t handled = tell_events(count);
  if (!sources_.empty()) handled += take_from_sources();
  handled += run_tasks();
  handled += run_due_timers();
  handled += run_turn_end();
  in_turn_ = false;
  return handled;
}

bool EpollShard::has_queued_work() const noexcept {
  return !tasks_.empty() || !turn_end_.empty() || pending_.load(std::memory_order_seq_cst);
}

int EpollShard::wait(int timeout_ms) {
  if (timeout_ms == 0 || has_queued_work()) return poll_without_blocking();
  if (settings_.spin > Duration::zero()) {
    if (const auto count = spin()) return *count;
    if (!arm_sources()) return poll_without_blocking();
  }
  sleeping_.store(true, std::memory_order_seq_cst);
  if (has_queued_work() || stopping()) timeout_ms = 0;
  const int count = ::epoll_wait(epoll_.get(), events_.data(), events_max, timeout_ms);
  sleeping_.store(false, std::memory_order_relaxed);
  if (!sources_.empty()) disarm_sources(sources_.size());
  return std::max(count, 0);  // EINTR is an empty turn
}

int EpollShard::poll_without_blocking() noexcept {
  turns_without_poll_ = 0;
  sleeping_.store(false, std::memory_order_relaxed);
  return std::max(::epoll_wait(epoll_.get(), events_.data(), events_max, 0), 0);
}

std::size_t EpollShard::tell_events(int count) {
  std::size_t told = 0;
  events_count_ = count;
  for (next_event_ = 0; next_event_ < events_count_;) {
    const epoll_event& event = events_[static_cast<std::size_t>(next_event_++)];
    if (event.data.ptr == nullptr)
      continue;  // woken, or unwatched by an earlier event of this batch
    auto* source = static_cast<EventSource*>(event.data.ptr);
    telling_ = source;
    source->on_events(event.events);
    ++told;
  }
  telling_ = nullptr;
  events_count_ = 0;
  return told;
}

std::size_t EpollShard::run_tasks() {
  std::size_t ran = 0;
  for (int round = 0; round < task_rounds_per_turn; ++round) {
    take_posted();
    if (tasks_.empty()) break;
    ran += run_batch();
  }
  return ran;
}

std::size_t EpollShard::run_batch() {
  running_.swap(tasks_);
  for (const Task0& task : running_) task.run(task.argument);
  const std::size_t ran = running_.size();
  running_.clear();
  return ran;
}

void EpollShard::take_posted() {
  if (!pending_.load(std::memory_order_acquire)) return;
  const std::scoped_lock lock(mutex_);
  pending_.store(false, std::memory_order_relaxed);
  if (tasks_.empty()) {
    tasks_.swap(posted_);
  } else {
    tasks_.insert(tasks_.end(), posted_.begin(), posted_.end());
    posted_.clear();
  }
  for (const NewTimer& timer : new_timers_) {
    remote_timers_.emplace(timer.id, timers_.add(timer.at, timer.task, timer.id));
  }
  new_timers_.clear();
}

std::size_t EpollShard::run_due_timers() {
  std::size_t ran = 0;
  // Only those due at the turn's instant: a timer that starts another one at `now` cannot hold the
  // turn up for ever.
  for (std::size_t left = timers_.size(); left > 0; --left) {
    const auto due = timers_.pop_due(now_);
    if (!due.has_value()) break;
    if (due->tag != 0) remote_timers_.erase(due->tag);
    due->task.run(due->task.argument);
    ++ran;
  }
  return ran;
}

std::size_t EpollShard::run_turn_end() {
  turn_end_running_.swap(turn_end_);
  for (const Task0& task : turn_end_running_) task.run(task.argument);
  const std::size_t ran = turn_end_running_.size();
  turn_end_running_.clear();
  return ran;
}

void EpollShard::arm_timer() noexcept {
  const TimePoint earliest = timers_.earliest();
  // A timer set too early costs one empty turn; setting it later costs a system call each time.
  // After it went off, it has to be set again for whatever is left.
  const bool went_off = armed_ <= now_;
  if (earliest >= armed_ && !went_off) return;
  if (earliest == TimePoint::never()) {
    armed_ = TimePoint::never();
    return;
  }
  armed_ = earliest;
  const std::int64_t at = std::max<std::int64_t>(earliest.nanoseconds(), 1);  // zero would disarm
  itimerspec setting{};
  setting.it_value.tv_sec = at / 1'000'000'000;
  setting.it_value.tv_nsec = at % 1'000'000'000;
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
}

void EpollShard::post(Task0 task) noexcept {
  if (on_this_thread()) {
    tasks_.push_back(task);
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(task);
    pending_.store(true, std::memory_order_seq_cst);
  }
  wake_if_sleeping();
}

void EpollShard::wake_if_sleeping() noexcept {
  if (sleeping_.load(std::memory_order_seq_cst) &&
      sleeping_.exchange(false, std::memory_order_seq_cst)) {
    wake();
  }
}

void EpollShard::wake() noexcept {
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

TimePoint EpollShard::now() const noexcept { return on_this_thread() ? now_ : monotonic_now(); }

Shard::TimerId EpollShard::start_timer(TimePoint at, Task0 task) {
  if (on_this_thread()) return timers_.add(at, task);
  const TimerId id = next_remote_timer_.fetch_add(1, std::memory_order_relaxed) | remote_bit;
  {
    const std::scoped_lock lock(mutex_);
    new_timers_.push_back({at, task, id});
    pending_.store(true, std::memory_order_seq_cst);
  }
  wake_if_sleeping();
  return id;
}

bool EpollShard::cancel_timer(TimerId id) noexcept {
  VELO_DCHECK(may_touch());
  if ((id & remote_bit) == 0) return timers_.cancel(id).has_value();
  take_posted();  // it may still be on its way
  const auto found = remote_timers_.find(id);
  if (found == remote_timers_.end()) return false;
  const bool cancelled = timers_.cancel(found->second).has_value();
  remote_timers_.erase(found);
  return cancelled;
}

void EpollShard::at_turn_end(Task0 task) noexcept {
  VELO_DCHECK(may_touch());
  turn_end_.push_back(task);
}

int EpollShard::watch(int fd, std::uint32_t events, EventSource& source) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &source;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

int EpollShard::rewatch(int fd, std::uint32_t events, EventSource& source) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &source;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : errno;
}

void EpollShard::unwatch(int fd, const EventSource& source) noexcept {
  VELO_DCHECK(may_touch());
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (int i = next_event_; i < events_count_; ++i) {
    epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &source) event.data.ptr = nullptr;
  }
  if (telling_ == &source) telling_ = nullptr;
}

EpollShard::StopTicket EpollShard::add_stop_listener(StopListener& listener) {
  return stop_listeners_.insert(stop_listeners_.end(), &listener);
}

bool EpollShard::may_touch() const noexcept {
  return settings_.external || stopping() || on_this_thread();
}

}  // namespace velo::runtime
