// SPDX-License-Identifier: Apache-2.0
// The first two phases of an orderly end: refuse, and wait for what was taken in.

#include "impl.hpp"
#include "waiting_send.hpp"

#include <velo/base/log.hpp>

namespace velo::messenger {

namespace drain_detail {

/// Own calls, and what subsystems do, end in many places, none of which should look whether
/// somebody drains.
constexpr Duration poll = std::chrono::milliseconds(5);

static DrainReport report_of(const DrainState& left, const Result<void>& result) {
  DrainReport report;
  report.in_time = result.has_value();
  report.running = left.running;
  report.replies_waiting = left.replies_waiting;
  report.own_calls = left.own_calls;
  report.subsystems = left.subsystems;
  if (!result) report.why = result.error().context();
  return report;
}

/// Runs `then` on the shard after it has asked the system once more what arrived, and has handled
/// that: the end of this turn, and then a task of the next.
static void after_one_turn(Shard& shard, std::move_only_function<void()> then) {
  struct Turn {
    Shard& shard;
    std::move_only_function<void()> then;
    Turn(Shard& s, std::move_only_function<void()> t) : shard(s), then(std::move(t)) {}
  };
  post(shard, [turn = std::make_unique<Turn>(shard, std::move(then))]() mutable {
    Shard& here = turn->shard;
    here.at_turn_end(Task0{[](void* argument) {
                             std::unique_ptr<Turn> ended(static_cast<Turn*>(argument));
                             Shard& next = ended->shard;
                             post(next, std::move(ended->then));
                           },
                           turn.release()});
  });
}

}  // namespace drain_detail

Op<void> Impl::shutdown(ShutdownPolicy policy) {
  std::shared_ptr<Promise<void>> promise;
  {
    const std::lock_guard lock(drain_.mutex);
    if (drain_.promise != nullptr || stopped_.load(std::memory_order_acquire)) {
      return Op<void>::ready(world_.pool(), velo::make_error(velo::Errc::shutting_down));
    }
    promise = std::make_shared<Promise<void>>(world_.pool());
    drain_.promise = promise;
  }
  Op<void> op = promise->op();
  drain_.own_calls = policy.wait_for_own_calls;
  draining_.store(true, std::memory_order_seq_cst);
  withdraw_announcement();
  subsystems_.begin_drain();
  // A request that a shard took in before it saw the drain has ended, or is counted as running,
  // once that shard has had a turn.
  drain_round(shards_.size(), [this, until = world_.clock().now() + policy.patience] {
    drain_.until = until;
    drain_.begun = true;
    check_drained();
  });
  return op;
}

bool Impl::tell_of_drain(std::move_only_function<void(const DrainReport&)> tell) {
  const std::lock_guard lock(drain_.mutex);
  if (drain_.promise != nullptr || drain_.over || drain_.tell || draining()) return false;
  drain_.tell = std::move(tell);
  return true;
}

/// `then` runs on shard 0 after each of the first `shards` shards, the last one first, has handled
/// what had arrived for it.
void Impl::drain_round(std::size_t shards, std::move_only_function<void()> then) {
  if (shards == 0) return then();
  drain_detail::after_one_turn(
      shard(shards - 1), [impl = shared_from_this(), shards, then = std::move(then)]() mutable {
        impl->drain_round(shards - 1, std::move(then));
      });
}

bool Impl::nothing_is_left() const {
  return running_requests_.load(std::memory_order_acquire) == 0 &&
         drain_.replies_waiting.load(std::memory_order_acquire) == 0 &&
         subsystems_.unfinished() == 0 && (!drain_.own_calls || own_calls() == 0);
}

void Impl::check_drained() {
  if (!drain_.begun || stopped_.load(std::memory_order_acquire)) return;
  const TimePoint now = shard(0).now();
  if (now >= drain_.until) return finish_shutdown(nothing_is_left());
  if (!nothing_is_left()) return start_drain_timer();
  if (drain_.settling) return;
  drain_.settling = true;
  settle(0);
}

/// Requests that have arrived and were not read yet are answered before the connections close: as
/// long as a round over the shards meets some, there is another one.
void Impl::settle(int round) {
  const std::uint64_t before = calls_->ledger().totals().received.requests;
  drain_round(shards_.size(), [this, before, round] {
    const bool quiet = calls_->ledger().totals().received.requests == before;
    if (!nothing_is_left()) {
      drain_.settling = false;
      return check_drained();
    }
    if (!quiet && round + 1 < limits::drain_rounds_max && shard(0).now() < drain_.until) {
      return settle(round + 1);
    }
    finish_shutdown(true);
  });
}

void Impl::start_drain_timer() {
  if (drain_.keepalive != nullptr) return;
  TimePoint at = drain_.until;
  if (drain_.own_calls || subsystems_.unfinished() != 0) {
    at = std::min(at, shard(0).now() + drain_detail::poll);
  }
  drain_.keepalive = shared_from_this();
  drain_.timer = shard(0).start_timer(at, Task0{[](void* argument) {
                                                  auto* impl = static_cast<Impl*>(argument);
                                                  const auto alive =
                                                      std::move(impl->drain_.keepalive);
                                                  impl->drain_.keepalive = nullptr;
                                                  impl->check_drained();
                                                },
                                                this});
}

void Impl::finish_shutdown(bool in_time) {
  Result<void> result;
  if (!in_time) {
    const DrainState left = drain_state();
    result = velo::make_error(
        velo::Errc::deadline_exceeded,
        std::to_string(left.running) + " requests were still running, " +
            std::to_string(left.replies_waiting) + " replies waited for a connection, " +
            std::to_string(drain_.own_calls ? left.own_calls : 0) + " own calls and " +
            std::to_string(left.subsystems) + " of streams, transfers and the like had not ended");
  }
  std::move_only_function<void(const DrainReport&)> tell;
  {
    const std::lock_guard lock(drain_.mutex);
    if (drain_.over) return;
    drain_.over = true;
    drain_.result = result;
    tell = std::move(drain_.tell);
  }
  if (tell) tell(drain_detail::report_of(drain_state(), result));
  if (!result) {
    VELO_LOG_WARN(messenger, "the drain ran out of patience", {"left", result.error().context()});
  }
  stop_now(make_error(Errc::shutting_down, "this side is shutting down"));
}

void Impl::reply_left() noexcept {
  if (drain_.replies_waiting.fetch_sub(1, std::memory_order_acq_rel) == 1) inbound_ended();
}

std::uint64_t Impl::own_calls() const {
  std::uint64_t count = 0;
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t /*generation*/) {
    if (!slot.system) ++count;
  });
  const std::lock_guard lock(waiting_mutex_);
  for (const auto& waiting : waiting_) {
    if (!waiting->claimed()) ++count;
  }
  return count;
}

DrainState Impl::drain_state() const {
  DrainState state;
  if (stopped_.load(std::memory_order_acquire)) {
    state.phase = drain_.all_closed.load(std::memory_order_acquire) ? DrainPhase::closed
                                                                    : DrainPhase::flushing;
  } else if (draining()) {
    state.phase = DrainPhase::draining;
  }
  state.running = running_requests_.load(std::memory_order_acquire);
  state.replies_waiting = drain_.replies_waiting.load(std::memory_order_acquire);
  state.own_calls = own_calls();
  state.subsystems = subsystems_.unfinished();
  {
    const std::lock_guard lock(links_mutex_);
    for (const auto& [serial, link] : links_) {
      if (link == self_link_) continue;
      ++state.connections;
      state.bytes_queued += link->connection().queued();
    }
  }
  state.requests_cut_off = drain_.requests_cut_off.load(std::memory_order_acquire);
  state.calls_cut_off = drain_.calls_cut_off.load(std::memory_order_acquire);
  state.bytes_cut_off = drain_.bytes_cut_off.load(std::memory_order_acquire);
  return state;
}

}  // namespace velo::messenger
