// SPDX-License-Identifier: Apache-2.0
// Between two attempts to reach a peer: when the next one may start, and what waits for it. A send
// never fails because of earlier failures: while the peer is left alone it waits, under its own
// deadline, for the attempt that ends the pause, and ends as that attempt does.

#include "impl.hpp"
#include "path_engine.hpp"

#include <velo/base/log.hpp>

#include <algorithm>

namespace velo::messenger {

/// A pause that the peer's shard has a timer for.
struct Peer::Pause {
  std::shared_ptr<Impl> impl;
  std::shared_ptr<Peer> peer;
  std::uint64_t attempt;
  Shard::TimerId timer = 0;

  Pause(std::shared_ptr<Impl> i, std::shared_ptr<Peer> p, std::uint64_t a)
      : impl(std::move(i)), peer(std::move(p)), attempt(a) {}

  static void over(void* argument) {
    const auto* pause = static_cast<Pause*>(argument);
    const std::shared_ptr<Impl> impl = pause->impl;
    const std::shared_ptr<Peer> peer = pause->peer;
    const std::uint64_t attempt = pause->attempt;
    peer->pause = nullptr;
    impl->end_pause(peer, attempt);
  }
};

Peer::Peer(std::size_t shard_index, std::shared_ptr<MemoryBudget> memory)
    : pending_memory(std::move(memory)), shard(shard_index) {}
Peer::~Peer() = default;

bool Peer::awaited() const noexcept {
  if (!pending.empty()) return true;
  return paths != nullptr &&
         std::any_of(paths->unresolved.begin(), paths->unresolved.end(),
                     [](const PeerPaths::Unresolved& each) { return !each.kept.empty(); });
}

Peer::Start Peer::begin_attempt() {
  ++attempt;
  dialled = false;
  state = has_address ? State::dialing : State::resolving;
  return {attempt, !has_address};
}

void Impl::start_attempt(const std::shared_ptr<Peer>& peer, Peer::Start start) {
  if (start.resolve) return resolve(peer);
  post(shard(peer->shard), [impl = shared_from_this(), peer, attempt = start.attempt] {
    std::vector<transport::Transport*> candidates;
    {
      const std::lock_guard lock(peer->mutex);
      candidates = impl->candidates_for(*peer);
    }
    std::reverse(candidates.begin(), candidates.end());
    peer->candidates = std::move(candidates);
    impl->dial_next(peer, attempt);
  });
}

void Impl::start_pause(const std::shared_ptr<Peer>& peer, std::uint64_t attempt, TimePoint until) {
  if (!shard(peer->shard).on_this_thread()) {
    post(shard(peer->shard), [impl = shared_from_this(), peer, attempt, until] {
      impl->start_pause(peer, attempt, until);
    });
    return;
  }
  // Whoever stops the messenger after this look finds the timer and takes it away.
  if (stopped_.load(std::memory_order_seq_cst)) return end_pause(peer, attempt);
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->removed || peer->attempt != attempt || peer->state != Peer::State::pausing) return;
  }
  cancel_pause(peer);
  peer->pause = std::make_unique<Peer::Pause>(shared_from_this(), peer, attempt);
  peer->pause->timer =
      shard(peer->shard).start_timer(until, Task0{&Peer::Pause::over, peer->pause.get()});
}

void Impl::cancel_pause(const std::shared_ptr<Peer>& peer) noexcept {
  if (peer->pause == nullptr || !shard(peer->shard).cancel_timer(peer->pause->timer)) return;
  // The pause may hold the last reference to the peer, which holds the pause.
  const std::unique_ptr<Peer::Pause> cancelled = std::move(peer->pause);
}

void Impl::end_pause(const std::shared_ptr<Peer>& peer, std::uint64_t attempt) {
  std::optional<Peer::Start> start;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->removed || peer->attempt != attempt || peer->state != Peer::State::pausing) return;
    drop_ended(*peer);
    if (!peer->awaited()) {
      peer->state = Peer::State::idle;
    } else {
      start = peer->begin_attempt();
    }
  }
  cancel_pause(peer);
  if (start) return start_attempt(peer, *start);
  forget_if_unused(peer);
}

void Impl::end_pause_early(const std::shared_ptr<Peer>& peer) {
  post(shard(peer->shard), [impl = shared_from_this(), peer] {
    std::uint64_t attempt = 0;
    {
      const std::lock_guard lock(peer->mutex);
      attempt = peer->attempt;
    }
    impl->end_pause(peer, attempt);
  });
}

void Impl::drop_ended(Peer& peer) {
  std::erase_if(peer.pending, [&](const PendingSend& send) {
    if (send.is_reply || send.again == PendingSend::Again::ended) return false;
    const CallSlot* slot = calls_->find(send.id.slot());
    if (slot != nullptr && slot->live_generation() == send.id.generation()) return false;
    peer.pending_memory.remove(send.bytes());
    return true;
  });
}

void Impl::link_lost(const std::shared_ptr<Peer>& peer, const Link& link, bool elsewhere) {
  const TimePoint now = world_.clock().now();
  std::uint64_t attempt = 0;
  Duration pause{};
  std::optional<Peer::Start> start;
  {
    const std::lock_guard lock(peer->mutex);
    // While greeting, on_greeted() hears of it through its own call.
    const bool up = peer->state == Peer::State::ready || peer->state == Peer::State::asking ||
                    peer->state == Peer::State::switching;
    if (peer->link.get() != &link || !up) return;
    peer->link = nullptr;
    if (elsewhere || now - peer->ready_since >= limits::connection_lived_min ||
        stopped_.load(std::memory_order_acquire)) {
      peer->backoff.reset();
      peer->state = Peer::State::idle;
      if (!peer->awaited()) return;
      start = peer->begin_attempt();
    } else {
      // One that greets and breaks, again and again, is no better than one that cannot be reached.
      pause = peer->backoff.failed(world_.random().next());
      peer->state = Peer::State::pausing;
      attempt = peer->attempt;
    }
  }
  if (start) return start_attempt(peer, *start);
  start_pause(peer, attempt, now + pause);
}

void Impl::fail_attempt(const std::shared_ptr<Peer>& peer, std::uint64_t attempt, Error error) {
  std::deque<PendingSend> pending;
  std::optional<Duration> pause;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->attempt != attempt) return;
    peer->link = nullptr;
    pending = std::exchange(peer->pending, {});
    peer->pending_memory.clear();
    peer->state = Peer::State::idle;
    // Finding out that there is nothing to dial costs nobody anything.
    if (std::exchange(peer->dialled, false) && !stopped_.load(std::memory_order_seq_cst)) {
      pause = peer->backoff.failed(world_.random().next());
      peer->state = Peer::State::pausing;
      // The next attempt asks again where the peer is.
      if (peer->address_is_discovered) {
        peer->has_address = false;
        peer->info.address.clear();
      }
    }
  }
  VELO_LOG_DEBUG(messenger, "peer not reached", {"worker", peer->worker.to_string()},
                 {"error", error.to_string()},
                 {"pause_ms", pause ? pause->count() / 1'000'000 : 0});
  if (paths_ != nullptr) paths_->give_up(*peer, error);
  fail_pending(std::move(pending), error);
  if (pause) return start_pause(peer, attempt, world_.clock().now() + *pause);
  forget_if_unused(peer);
}

void Impl::fail_pending(std::deque<PendingSend> pending, const Error& error) {
  for (const PendingSend& send : pending) {
    if (send.is_reply) {
      reply_left();
    } else {
      end_call(send.id, error);
    }
  }
}

}  // namespace velo::messenger
