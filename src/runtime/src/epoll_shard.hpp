// SPDX-License-Identifier: Apache-2.0
// One I/O thread: epoll for readiness, an eventfd for posts from other threads, a timerfd for the
// earliest timer. Both are edge-triggered and never read, and epoll blocks without a timeout: an
// idle turn costs one system call. Not a scheduler: one turn runs what the kernel reported, then
// tasks, then due timers, then what waits for its end.
// Threading: Executor functions from any thread; sources and turns on the shard's thread, or once its thread has ended.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/world.hpp>

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "descriptor.hpp"
#include "timer_heap.hpp"

namespace velo::runtime {

/// What epoll knows of a descriptor: who is told of its events.
class EventSource {
 public:
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  ~EventSource() = default;
};

/// Something under way that has to be told when its shard stops.
class StopListener {
 public:
  virtual void on_stop() noexcept = 0;

 protected:
  ~StopListener() = default;
};

struct ShardSettings {
  Duration spin{0};
  bool external = false;           ///< has no thread: run_once() is its turn
  std::optional<std::size_t> pin;  ///< the index among the allowed processors
  std::size_t index = 0;           ///< names the thread
};

class EpollShard final : public Shard {
 public:
  static Result<std::unique_ptr<EpollShard>> create(const ShardSettings& settings);
  ~EpollShard() override;

  /// Starts the thread; throws std::system_error when the system has none left. Not for an external
  /// shard.
  void start();
  /// Ends and joins the thread; posted tasks stay queued for drain_round().
  void join() noexcept;
  /// On the stopping thread, after join(): tells the stop listeners, runs what is queued, and
  /// returns how much that was.
  std::size_t drain_round() noexcept;
  std::size_t queued() const noexcept;

  std::size_t run_once(Duration timeout) noexcept;
  int descriptor() const noexcept { return epoll_.get(); }

  void post(Task0 task) noexcept override;
  TimePoint now() const noexcept override;
  TimerId start_timer(TimePoint at, Task0 task) override;
  bool cancel_timer(TimerId id) noexcept override;
  void at_turn_end(Task0 task) noexcept override;
  bool add_poll_source(PollSource& source) override;
  void remove_poll_source(PollSource& source) noexcept override;

  /// Level-triggered. Zero or errno. Thread-safe.
  int watch(int fd, std::uint32_t events, EventSource& source) noexcept;
  int rewatch(int fd, std::uint32_t events, EventSource& source) noexcept;
  /// No event reaches `source` any more, not even one that epoll has already handed over.
  void unwatch(int fd, const EventSource& source) noexcept;
  /// Whether `source` is the one being told now and has not been unwatched meanwhile.
  bool is_telling(const EventSource& source) const noexcept { return telling_ == &source; }

  using StopTicket = std::list<StopListener*>::iterator;
  StopTicket add_stop_listener(StopListener& listener);
  void remove_stop_listener(StopTicket ticket) noexcept { stop_listeners_.erase(ticket); }
  bool stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }
  /// For assertions: false only where another thread certainly owns the shard.
  bool may_touch() const noexcept;

 private:
  struct NewTimer {
    TimePoint at;
    Task0 task;
    TimerId id;
  };
  static constexpr TimerId remote_bit = TimerId{1} << 63;
  static constexpr int events_max = 64;
  static constexpr int task_rounds_per_turn = 4;
  /// A spinning shard looks at its poll sources this often between two looks at epoll, which cost a
  /// system call; and while sources keep it busy, epoll has its turn after this many.
  static constexpr int looks_per_poll = 64;
  static constexpr int turns_per_poll_max = 16;

  explicit EpollShard(const ShardSettings& settings) noexcept : settings_(settings) {}

  void run_thread() noexcept;
  std::size_t turn(int timeout_ms) noexcept;
  int wait(int timeout_ms);
  std::optional<int> spin() noexcept;
  bool sources_have_come() const noexcept;
  bool arm_sources() noexcept;
  void disarm_sources(std::size_t count) noexcept;
  std::size_t take_from_sources();
  int poll_without_blocking() noexcept;
  bool has_queued_work() const noexcept;
  std::size_t tell_events(int count);
  std::size_t run_tasks();
  std::size_t run_batch();
  std::size_t run_due_timers();
  std::size_t run_turn_end();
  void take_posted();
  void arm_timer() noexcept;
  void wake() noexcept;
  void wake_if_sleeping() noexcept;

  const ShardSettings settings_;
  Descriptor epoll_;
  Descriptor wake_;
  Descriptor timer_;

  // Shared with posting threads. `pending_` and `sleeping_` are each other's question and answer: a
  // poster sets pending_ and then asks sleeping_; the shard sets sleeping_ and then asks pending_;
  // sequentially consistent, so that at least one of them sees the other.
  mutable std::mutex mutex_;
  std::vector<Task0> posted_;
  std::vector<NewTimer> new_timers_;
  std::atomic<bool> pending_{false};
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<TimerId> next_remote_timer_{1};

  // The shard's thread only.
  TimePoint now_;
  std::array<epoll_event, events_max> events_{};
  int events_count_ = 0;
  int next_event_ = 0;
  const EventSource* telling_ = nullptr;
  bool in_turn_ = false;
  std::vector<Task0> tasks_;    ///< to run: posted by this thread, or taken over from posted_
  std::vector<Task0> running_;  ///< the batch being run; kept for its capacity
  std::vector<Task0> turn_end_;
  std::vector<Task0> turn_end_running_;
  TimerHeap timers_;
  std::unordered_map<TimerId, TimerHeap::Id> remote_timers_;  ///< those started on other threads
  TimePoint armed_ = TimePoint::never();                      ///< what timer_ is set to
  std::list<StopListener*> stop_listeners_;
  std::vector<PollSource*> sources_;  ///< null where one was removed while they were gone through
  bool telling_sources_ = false;
  int turns_without_poll_ = 0;
  std::thread thread_;
};

}  // namespace velo::runtime
