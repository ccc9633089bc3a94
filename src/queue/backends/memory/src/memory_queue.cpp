// SPDX-License-Identifier: Apache-2.0
// QueueCore with those who wait, a lock and a timer.

#include <velo/queue/backends/memory.hpp>

#include "queue_core.hpp"

#include <velo/base/log.hpp>
#include <velo/base/shard_timer.hpp>

#include <algorithm>
#include <list>
#include <mutex>
#include <utility>

namespace velo::queue {
namespace memory_queue_detail {

using Batch = std::vector<Delivery>;
/// What is said to those who wait, once no lock is held.
using Ends = std::vector<std::move_only_function<void()>>;

using StopHook = std::stop_callback<std::move_only_function<void()>>;

struct Receiver {
  std::uint64_t number = 0;
  TimePoint until;
  ReceiveOptions options;
  std::shared_ptr<Promise<Batch>> promise;
  std::unique_ptr<StopHook> stop;  ///< never destroyed under the lock, which it takes
};

struct Sender {
  std::uint64_t number = 0;
  TimePoint until;
  SendOptions options;
  Bytes payload;
  std::shared_ptr<Promise<Receipt>> promise;
  std::unique_ptr<StopHook> stop;  ///< as above
};

static std::uint64_t draw(World& world) { return world.secret_random().next(); }

}  // namespace memory_queue_detail

using namespace memory_queue_detail;  // NOLINT(google-build-using-namespace)

class MemoryQueueState final
    // why: its timer and what waits on it find it while they exist.
    : public std::enable_shared_from_this<MemoryQueueState> {
 public:
  MemoryQueueState(World& world, std::string name, const QueueOptions& options, std::uint64_t first,
                   std::uint64_t secret)
      : world_(world),
        source_("queue:" + std::move(name)),
        options_(options),
        core_(options, first, secret),
        timer_(world.shard(0)) {}

  Op<Receipt> send(Bytes payload, SendOptions options);
  Op<Batch> receive(ReceiveOptions options);
  /// Something that the core does at once.
  template <class T, class F>
  Op<T> now(F change);
  /// Its owner is gone.
  void end();

 private:
  template <class T>
  Op<T> ended(Result<T> result) {
    return Op<T>::ready(world_.pool(), std::move(result));
  }
  /// Everything that has become possible, or is due; then the dead letters, without the lock.
  void work();
  /// Under the lock: one round of it.
  void pump(TimePoint now, Ends& ends);
  void pump_senders(TimePoint now, Ends& ends);
  void pump_receivers(TimePoint now, Ends& ends);
  bool bury();
  TimePoint next_change() const;
  void arm();
  template <class List>
  void watch(List& list, std::uint64_t number, const std::stop_token& stop);
  template <class List>
  void cancel(List& list, std::uint64_t number);

  World& world_;
  const std::string source_;
  const QueueOptions options_;
  std::mutex mutex_;
  QueueCore core_;
  std::list<Receiver> receivers_;
  std::list<Sender> senders_;
  std::uint64_t next_number_ = 0;
  TimePoint armed_ = TimePoint::never();
  ShardTimer timer_;  ///< on shard 0 only
};

template <class T, class F>
Op<T> MemoryQueueState::now(F change) {
  std::optional<Result<T>> result;
  {
    const std::lock_guard lock(mutex_);
    result.emplace(change(core_, world_.clock().now()));
  }
  work();
  return ended<T>(std::move(*result));
}

Op<Receipt> MemoryQueueState::send(Bytes payload, SendOptions options) {
  std::unique_lock lock(mutex_);
  const TimePoint now = world_.clock().now();
  core_.expire(now);
  Result<Receipt> sent = velo::make_error(velo::Errc::internal);
  // Whoever waits for room was here before.
  const bool queue_up = !senders_.empty() && !core_.closed();
  if (!queue_up) {
    sent = core_.send(now, payload, options);
    if (sent || !sent.error().is(Errc::full) || options_.overflow == Overflow::reject) {
      if (!sent && sent.error().is(Errc::full)) core_.count_rejected();
      lock.unlock();
      if (sent) work();
      return ended(std::move(sent));
    }
  }
  if (senders_.size() >= limits::waiting_max) {
    core_.count_rejected();
    return ended<Receipt>(velo::make_error(velo::Errc::overloaded, "too many wait for room"));
  }
  auto promise = std::make_shared<Promise<Receipt>>(world_.pool());
  const std::uint64_t number = next_number_++;
  promise->on_cancel([weak = weak_from_this(), number]() noexcept {
    if (const auto self = weak.lock()) self->cancel(self->senders_, number);
  });
  Op<Receipt> op = promise->op();
  const Duration timeout = std::clamp(options.timeout, Duration(0), Duration(limits::wait_max));
  senders_.push_back(
      {number, now + timeout, std::move(options), std::move(payload), std::move(promise), nullptr});
  const std::stop_token stop = senders_.back().options.stop;
  lock.unlock();
  watch(senders_, number, stop);
  work();
  return op;
}

Op<Batch> MemoryQueueState::receive(ReceiveOptions options) {
  std::unique_lock lock(mutex_);
  const TimePoint now = world_.clock().now();
  if (receivers_.size() >= limits::waiting_max) {
    return ended<Batch>(velo::make_error(velo::Errc::overloaded, "too many wait for items"));
  }
  auto promise = std::make_shared<Promise<Batch>>(world_.pool());
  const std::uint64_t number = next_number_++;
  promise->on_cancel([weak = weak_from_this(), number]() noexcept {
    if (const auto self = weak.lock()) self->cancel(self->receivers_, number);
  });
  Op<Batch> op = promise->op();
  const Duration wait = std::clamp(options.wait, Duration(0), Duration(limits::wait_max));
  receivers_.push_back({number, now + wait, options, std::move(promise), nullptr});
  lock.unlock();
  watch(receivers_, number, options.stop);
  work();
  return op;
}

template <class List>
void MemoryQueueState::watch(List& list, std::uint64_t number, const std::stop_token& stop) {
  if (!stop.stop_possible()) return;
  auto hook = std::make_unique<StopHook>(stop, [weak = weak_from_this(), &list, number] {
    if (const auto self = weak.lock()) self->cancel(list, number);
  });
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(list, number, &List::value_type::number);
  if (found != list.end()) found->stop = std::move(hook);
}

template <class List>
void MemoryQueueState::cancel(List& list, std::uint64_t number) {
  typename List::value_type gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(list, number, &List::value_type::number);
    if (found == list.end()) return;
    gone = std::move(*found);
    list.erase(found);
  }
  gone.promise->set(velo::make_error(velo::Errc::cancelled));
}

void MemoryQueueState::pump_senders(TimePoint now, Ends& ends) {
  while (!senders_.empty()) {
    Sender& first = senders_.front();
    Result<Receipt> sent = core_.send(now, first.payload, first.options);
    if (!sent && sent.error().is(Errc::full)) break;
    ends.emplace_back([promise = std::move(first.promise), stop = std::move(first.stop),
                       result = std::move(sent)]() mutable { promise->set(std::move(result)); });
    senders_.pop_front();
  }
  for (auto at = senders_.begin(); at != senders_.end();) {
    if (at->until > now) {
      ++at;
      continue;
    }
    core_.count_rejected();
    ends.emplace_back([promise = std::move(at->promise), stop = std::move(at->stop)] {
      promise->set(velo::make_error(velo::Errc::deadline_exceeded, "the queue stayed full"));
    });
    at = senders_.erase(at);
  }
}

void MemoryQueueState::pump_receivers(TimePoint now, Ends& ends) {
  const bool over = core_.closed() && core_.empty();
  for (auto at = receivers_.begin(); at != receivers_.end();) {
    Batch batch = core_.receive(now, at->options);
    if (batch.empty() && !over && at->until > now) {
      // A later one has the shorter wait, perhaps.
      ++at;
      continue;
    }
    Result<Batch> result = std::move(batch);
    if (result->empty() && over) result = make_error(Errc::closed);
    ends.emplace_back([weak = weak_from_this(), promise = std::move(at->promise),
                       stop = std::move(at->stop), result = std::move(result)]() mutable {
      std::vector<Lease> leases;
      if (result) {
        for (const Delivery& delivery : *result) leases.push_back(delivery.lease);
      }
      if (promise->set(std::move(result))) return;
      // It was cancelled meanwhile.
      const auto self = weak.lock();
      for (const Lease lease : leases) {
        if (self == nullptr) return;
        (void)self->now<void>(
            [lease](QueueCore& core, TimePoint by) { return core.nack(by, lease, Duration(0)); });
      }
    });
    at = receivers_.erase(at);
  }
}

void MemoryQueueState::pump(TimePoint now, Ends& ends) {
  core_.expire(now);
  pump_senders(now, ends);
  pump_receivers(now, ends);
}

bool MemoryQueueState::bury() {
  if (options_.dead_letters == nullptr) return false;
  std::vector<std::pair<std::uint64_t, DeadLetter>> dead;
  {
    const std::lock_guard lock(mutex_);
    dead = core_.take_dead(source_, world_.clock().wall_now());
  }
  bool any = false;
  for (const auto& [item, letter] : dead) {
    const Result<void> taken = options_.dead_letters->take(letter);
    if (!taken) {
      VELO_LOG_WARN(queue, "a dead letter was not taken; it is offered again", {"from", source_},
                    {"id", letter.id}, {"error", taken.error().to_string()});
    }
    const std::lock_guard lock(mutex_);
    if (taken) {
      core_.buried(item);
      any = true;
    } else {
      core_.spared(item, world_.clock().now() + limits::dead_letter_pause);
    }
  }
  return any;
}

void MemoryQueueState::work() {
  do {
    Ends ends;
    {
      const std::lock_guard lock(mutex_);
      pump(world_.clock().now(), ends);
    }
    for (auto& end : ends) end();
    // What was buried has left room.
  } while (bury());
  arm();
}

TimePoint MemoryQueueState::next_change() const {
  TimePoint next = core_.next_change();
  for (const Receiver& receiver : receivers_) next = std::min(next, receiver.until);
  for (const Sender& sender : senders_) next = std::min(next, sender.until);
  return next;
}

void MemoryQueueState::arm() {
  {
    const std::lock_guard lock(mutex_);
    const TimePoint next = next_change();
    if (next >= armed_) return;
    armed_ = next;
  }
  post(world_.shard(0), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    TimePoint at;
    {
      const std::lock_guard lock(self->mutex_);
      at = self->armed_;
    }
    if (at == TimePoint::never()) return;
    self->timer_.start_at(at, [weak] {
      const auto due = weak.lock();
      if (due == nullptr) return;
      {
        const std::lock_guard lock(due->mutex_);
        due->armed_ = TimePoint::never();
      }
      due->work();
    });
  });
}

void MemoryQueueState::end() {
  std::list<Receiver> receivers;
  std::list<Sender> senders;
  {
    const std::lock_guard lock(mutex_);
    core_.close();
    receivers.swap(receivers_);
    senders.swap(senders_);
  }
  for (Receiver& each : receivers) each.promise->set(make_error(Errc::closed));
  for (Sender& each : senders) each.promise->set(make_error(Errc::closed));
  // The timer ends where it runs.
  post(world_.shard(0), [self = shared_from_this()] { self->timer_.cancel(); });
}

class MemoryQueue final : public WorkQueue {
 public:
  explicit MemoryQueue(std::shared_ptr<MemoryQueueState> state) : state_(std::move(state)) {}
  MemoryQueue(const MemoryQueue&) = delete;
  ~MemoryQueue() override { state_->end(); }

  Op<Receipt> send(Bytes payload, SendOptions options) override {
    return state_->send(std::move(payload), std::move(options));
  }
  Op<Batch> receive(ReceiveOptions options) override { return state_->receive(options); }
  Op<void> ack(Lease lease) override {
    return state_->now<void>(
        [lease](QueueCore& core, TimePoint now) { return core.ack(now, lease); });
  }
  Op<void> nack(Lease lease, Duration delay) override {
    return state_->now<void>(
        [lease, delay](QueueCore& core, TimePoint now) { return core.nack(now, lease, delay); });
  }
  Op<void> extend(Lease lease, Duration visibility) override {
    return state_->now<void>([lease, visibility](QueueCore& core, TimePoint now) {
      return core.extend(now, lease, visibility);
    });
  }
  Op<QueueState> state() override {
    return state_->now<QueueState>([](QueueCore& core, TimePoint now) {
      core.expire(now);
      return Result<QueueState>(core.state(now));
    });
  }
  Op<void> close() override {
    return state_->now<void>([](QueueCore& core, TimePoint /*now*/) {
      core.close();
      return Result<void>();
    });
  }

 private:
  std::shared_ptr<MemoryQueueState> state_;
};

std::shared_ptr<WorkQueue> make_memory_queue(World& world, std::string name, QueueOptions options) {
  const std::uint64_t first = draw(world) >> 1U;
  const std::uint64_t secret = draw(world);
  return std::make_shared<MemoryQueue>(
      std::make_shared<MemoryQueueState>(world, std::move(name), options, first, secret));
}

}  // namespace velo::queue
