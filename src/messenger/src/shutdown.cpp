// SPDX-License-Identifier: Apache-2.0
// The end of a messenger, drained or not: flush, close, wait.

#include "handler_queue.hpp"
#include "impl.hpp"
#include "path_engine.hpp"
#include "waiting_send.hpp"

namespace velo::messenger {

void Impl::withdraw_announcement() {
  std::unique_ptr<discovery::Registration> withdrawn;
  const std::lock_guard lock(announcement_mutex_);
  withdrawn = std::move(announcement_);
  if (announcement_state_.kind != AnnouncementState::Kind::none) {
    announcement_state_.kind = AnnouncementState::Kind::withdrawn;
  }
}

void Impl::connections_over() noexcept {
  std::shared_ptr<Promise<void>> promise;
  std::optional<Result<void>> result;
  std::vector<std::shared_ptr<Promise<void>>> watchers;
  // Of a drain that was cut short: who asked for it keeps this alive until it is let go.
  std::move_only_function<void(const DrainReport&)> untold;
  {
    const std::lock_guard lock(drain_.mutex);
    drain_.all_closed.store(true, std::memory_order_release);
    watchers = std::exchange(drain_.closed, {});
    untold = std::exchange(drain_.tell, nullptr);
    promise = std::exchange(drain_.promise, nullptr);
    result = drain_.result;
  }
  for (const auto& watcher : watchers) watcher->set({});
  if (promise != nullptr) promise->set(std::move(*result));
  const std::lock_guard lock(user_code_mutex_);
  connections_over_ = true;
  user_code_idle_.notify_all();
}

void Impl::stop_now(const Error& reason) {
  // First, while they still can say goodbye.
  subsystems_.stop(reason);
  if (stopped_.exchange(true, std::memory_order_seq_cst)) return;
  draining_.store(true, std::memory_order_seq_cst);
  withdraw_announcement();
  drain_.requests_cut_off.store(running_requests_.load(std::memory_order_acquire),
                                std::memory_order_release);
  for (const auto& transport : transports_) transport->stop();
  if (paths_ != nullptr) paths_->stop_serving();
  std::deque<std::shared_ptr<WaitingSend>> waiting;
  {
    const std::lock_guard lock(waiting_mutex_);
    waiting = std::exchange(waiting_, {});
    calls_->set_waiting(false);
  }
  std::uint64_t cut_off = waiting.size();
  for (const auto& send : waiting) end_waiting(*send, reason);
  for (const auto& queue : handler_queues()) queue->stop(reason);
  std::vector<std::shared_ptr<Link>> links;
  {
    const std::lock_guard lock(links_mutex_);
    for (const auto& [serial, link] : links_) links.push_back(link);
  }
  std::sort(links.begin(), links.end(),
            [](const auto& a, const auto& b) { return a->serial() < b->serial(); });
  for (const auto& link : links) {
    link->stop_all_inbound();
    link->connection().close_after_flush(
        transport::make_error(transport::Errc::closed_locally, reason.context()),
        limits::flush_patience);
  }
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t generation) {
    // What was accepted for writing is being flushed; fire keeps its promise unless the connection
    // dies first.
    const bool sent = slot.travels_on.serial() != 0;
    if (slot.pattern == Pattern::fire && sent) return;
    const bool counted = !slot.system;
    if (!slot.claim(generation)) return;
    if (counted) ++cut_off;
    if (!sent) return slot.end(reason, false);
    // The peer may have handled it: to send it elsewhere is not safe.
    slot.end_as_unknown(Error(reason.code(), Retry::later, reason.context()));
  });
  drain_.calls_cut_off.store(cut_off, std::memory_order_release);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    post(shard(i), [impl = shared_from_this(), i] { impl->stop_on_shard(i); });
  }
}

void Impl::stop_on_shard(std::size_t index) {
  calls_->close_cache(index);
  if (paths_ != nullptr) paths_->cancel_timers(shard(index));
  std::vector<std::shared_ptr<Peer>> mine;
  {
    const std::shared_lock lock(peers_mutex_);
    for (const auto& [worker, peer] : by_worker_) {
      if (peer->shard == index) mine.push_back(peer);
    }
  }
  std::sort(mine.begin(), mine.end(),
            [](const auto& a, const auto& b) { return a->worker < b->worker; });
  for (const auto& peer : mine) {
    peer->dial = nullptr;
    cancel_pause(peer);
    if (paths_ != nullptr) paths_->stop(*peer);
    std::uint64_t attempt = 0;
    {
      const std::lock_guard lock(peer->mutex);
      attempt = peer->attempt;
    }
    fail_attempt(peer, attempt, make_error(Errc::shutting_down));
  }
  if (index != 0) return;
  if (sweep_keepalive_ != nullptr && shard(0).cancel_timer(sweep_timer_))
    sweep_keepalive_ = nullptr;
  if (drain_.keepalive != nullptr && shard(0).cancel_timer(drain_.timer))
    drain_.keepalive = nullptr;
}

void Impl::user_code_ended() noexcept {
  if (running_user_code_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::lock_guard lock(user_code_mutex_);
  user_code_idle_.notify_all();
}

void Impl::wait_for_the_end() noexcept {
  if (Executor::current() != nullptr || !world_.pool().others_may_block()) return;
  std::unique_lock lock(user_code_mutex_);
  // An inline handler runs within a connection's event, so it is over when its connection is.
  user_code_idle_.wait_for(lock, limits::destructor_patience, [&] {
    return connections_over_ && running_user_code_.load(std::memory_order_acquire) == 0;
  });
}

}  // namespace velo::messenger
