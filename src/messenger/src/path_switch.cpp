// SPDX-License-Identifier: Apache-2.0
// Moving to another path, and what happens when one dies. The order of what is sent holds across
// both: nothing goes by the new connection before the peer has taken in all that the old one
// carried, or is known never to take it in.

#include "impl.hpp"
#include "path_engine.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"

#include <velo/base/log.hpp>
#include <velo/base/planted.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace velo::messenger {

namespace path_switch_detail {

constexpr Duration retire_first = std::chrono::milliseconds(2);
constexpr Duration retire_longest = std::chrono::milliseconds(250);

static Error closed(const char* why) {
  return transport::make_error(transport::Errc::closed_locally, why);
}

}  // namespace path_switch_detail

void PathEngine::leave(const PeerPtr& peer, Link& link) noexcept {
  if (link.senders.fetch_sub(1, std::memory_order_seq_cst) != 1) return;
  if (!link.held.load(std::memory_order_seq_cst)) return;
  post(impl_.shard(peer->shard), [impl = impl_.shared_from_this(), peer, link = link.self()] {
    impl->paths_->on_quiet(peer, link);
  });
}

void PathEngine::await_end(const PeerPtr& peer, Link& link) {
  const std::lock_guard lock(peer->mutex);
  if (peer->state != Peer::State::ready || peer->link.get() != &link) return;
  peer->state = Peer::State::switching;
  link.held.store(true, std::memory_order_seq_cst);
}

void PathEngine::try_switch(const PeerPtr& peer) {
  PeerPaths& paths = of(*peer);
  if (paths.stage != PeerPaths::Stage::waiting) return;
  bool now = false;
  bool never = false;
  {
    const std::lock_guard lock(peer->mutex);
    if (!peer->removed && peer->state == Peer::State::asking) return;  // settled() comes
    never = peer->removed || peer->state != Peer::State::ready || !peer->link->agreement.path;
    now = !never;
    if (now) {
      paths.old = peer->link;
      peer->state = Peer::State::switching;
      paths.old->held.store(true, std::memory_order_seq_cst);
    }
  }
  if (never) {
    paths.stage = PeerPaths::Stage::none;
    const LinkPtr link = std::exchange(paths.next, nullptr);
    link->connection().close(path_switch_detail::closed("there is nothing to take over"));
    return;
  }
  paths.stage = PeerPaths::Stage::quieting;
  // In a turn of its own: this one may be inside a send.
  post(impl_.shard(peer->shard), [impl = impl_.shared_from_this(), peer, link = paths.old] {
    impl->paths_->on_quiet(peer, link);
  });
}

void PathEngine::on_quiet(const PeerPtr& peer, const LinkPtr& link) {
  if (link->senders.load(std::memory_order_seq_cst) != 0) return;  // leave() comes
  if (link->death) {
    if (std::exchange(link->mourned, true)) return;
    return fail_over(peer, link);
  }
  PeerPaths& paths = of(*peer);
  if (paths.stage != PeerPaths::Stage::quieting || paths.old != link) return;
  paths.stage = PeerPaths::Stage::barrier;
  take_back(peer, *link);
  VELO_PLANT(no_barrier, return finish_switch(peer));
  send_barriers(peer);
}

void PathEngine::take_back(const PeerPtr& peer, Link& link) {
  if (link.window == nullptr) return;
  std::deque<PendingSend> held = link.death ? link.window->close() : link.window->take_all();
  const std::lock_guard lock(peer->mutex);
  for (auto send = held.rbegin(); send != held.rend(); ++send) {
    peer->pending_memory.take(send->bytes());
    peer->pending.push_front(std::move(*send));
  }
}

void PathEngine::send_barriers(const PeerPtr& peer) {
  PeerPaths& paths = *peer->paths;
  PathMessage message;
  message.op = "barrier";
  message.epoch = paths.epoch;
  const std::vector<std::uint32_t> lanes = paths.old->lanes();
  paths.barriers = lanes.size();
  for (const std::uint32_t lane : lanes) {
    ask(peer, paths.old, message, lane,
        [impl = impl_.shared_from_this(), peer, link = paths.old](Result<PathAnswer> answer,
                                                                  Duration /*took*/) {
          PathEngine& engine = *impl->paths_;
          PeerPaths& at = engine.of(*peer);
          if (at.stage != PeerPaths::Stage::barrier || at.old != link) return;
          if (!answer) return engine.abandon_switch(peer);
          if (--at.barriers == 0) engine.finish_switch(peer);
        });
  }
}

void PathEngine::finish_switch(const PeerPtr& peer) {
  PeerPaths& paths = *peer->paths;
  const LinkPtr next = std::exchange(paths.next, nullptr);
  const LinkPtr old = std::exchange(paths.old, nullptr);
  paths.stage = PeerPaths::Stage::none;
  {
    const std::lock_guard lock(peer->mutex);
    ++paths.upgrades;
  }
  count(counts_.upgrades);
  VELO_LOG_DEBUG(messenger, "path changed", {"worker", peer->worker.to_string()},
                 {"from", std::string(old->route->key())}, {"to", std::string(next->route->key())});
  if (old->sent_log != nullptr) {
    // The peer has taken in all of it.
    (void)old->sent_log->begin_confirmation();
    (void)old->sent_log->confirmed();
  }
  retire(old, path_switch_detail::retire_first);
  settle_on(peer, next);
}

void PathEngine::abandon_switch(const PeerPtr& peer) {
  PeerPaths& paths = *peer->paths;
  const LinkPtr next = std::exchange(paths.next, nullptr);
  const LinkPtr old = std::exchange(paths.old, nullptr);
  paths.stage = PeerPaths::Stage::none;
  {
    const std::lock_guard lock(peer->mutex);
    note_failure(*peer, *next->route, "the change of path was not answered", false);
  }
  next->connection().close(path_switch_detail::closed("the change of path was given up"));
  settle_on(peer, old);
}

void PathEngine::settle_on(const PeerPtr& peer, const LinkPtr& link) {
  bool ask_first = false;
  {
    const std::lock_guard lock(peer->mutex);
    if (!peer->removed) peer->link = link;
    // A handler may have been registered since this link was greeted.
    ask_first = !peer->removed &&
                std::any_of(peer->pending.begin(), peer->pending.end(), [&](const auto& send) {
                  return !send.is_reply && send.pattern == Pattern::fire &&
                         !send.handler.starts_with('_') && !link->may_have_handler(send.handler);
                });
    if (ask_first) {
      peer->state = Peer::State::asking;
      peer->asking = false;
      link->held.store(true, std::memory_order_seq_cst);
    }
  }
  if (!ask_first) return impl_.become_ready(peer, link);
  impl_.publish(*peer, *link);
  impl_.ask_held(peer, link);
  became_ready(peer, link);
}

void PathEngine::retire(const LinkPtr& link, Duration pause) {
  after(link, pause, [this, link, pause] {
    if (link->death) return;
    bool busy = false;
    impl_.calls_->for_each_live([&](CallSlot& slot, std::uint64_t /*generation*/) {
      busy = busy || slot.travels_on.serial() == link->serial();
    });
    if (busy) return retire(link, std::min(2 * pause, path_switch_detail::retire_longest));
    link->connection().close_after_flush(path_switch_detail::closed("another path took over"),
                                         limits::flush_patience);
  });
}

struct PathEngine::After {
  std::shared_ptr<Impl> impl;
  LinkPtr link;
  std::move_only_function<void()> then;
  Shard::TimerId id = 0;

  After(std::shared_ptr<Impl> i, LinkPtr l, std::move_only_function<void()> t)
      : impl(std::move(i)), link(std::move(l)), then(std::move(t)) {}

  static void over(void* argument) {
    const std::unique_ptr<After> due(static_cast<After*>(argument));
    {
      const std::lock_guard lock(due->impl->paths_->service_mutex_);
      due->impl->paths_->timers_.erase(due.get());
    }
    due->then();
  }
};

void PathEngine::after(const LinkPtr& link, Duration pause, std::move_only_function<void()> then) {
  if (impl_.stopped_.load(std::memory_order_seq_cst)) return;
  Shard& shard = link->connection().shard();
  auto* due = new After(impl_.shared_from_this(), link, std::move(then));
  {
    const std::lock_guard lock(service_mutex_);
    timers_.insert(due);
  }
  due->id = shard.start_timer(shard.now() + pause, Task0{&After::over, due});
}

void PathEngine::cancel_timers(Shard& shard) noexcept {
  std::vector<std::unique_ptr<After>> cancelled;
  const std::lock_guard lock(service_mutex_);
  for (auto at = timers_.begin(); at != timers_.end();) {
    After* const due = *at;
    const bool mine = &due->link->connection().shard() == &shard;
    if (mine && shard.cancel_timer(due->id)) {
      cancelled.emplace_back(due);
      at = timers_.erase(at);
    } else {
      ++at;
    }
  }
}

void PathEngine::link_closed(Link& link, const Error& reason) {
  const PeerPtr peer = impl_.find_peer(link.peer);
  if (peer == nullptr) {
    if (link.window != nullptr) {
      impl_.fail_pending(link.window->close(), make_error(Errc::not_sent, reason.to_string()));
    }
    if (link.sent_log != nullptr) {
      for (const auto& kept : link.sent_log->take_all()) {
        end_as_lost(kept.send, reason.to_string());
      }
      count(counts_.lost, link.sent_log->take_unkept());
    }
    return impl_.end_calls_of(link, reason);
  }
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->link.get() == &link) peer->state = Peer::State::switching;
    link.held.store(true, std::memory_order_seq_cst);
  }
  on_quiet(peer, link.self());
}

void PathEngine::fail_over(const PeerPtr& peer, const LinkPtr& link) {
  PeerPaths& paths = of(*peer);
  take_back(peer, *link);
  collect(*peer, *link);
  const std::unordered_set<std::uint64_t> unresolved = unresolved_ids(*peer);
  impl_.end_calls_of(*link, *link->death, &unresolved);
  bool current = false;
  {
    const std::lock_guard lock(peer->mutex);
    current = peer->link == link;
    if (current && !peer->removed) paths.lost = true;
  }
  using Stage = PeerPaths::Stage;
  if (paths.next == link) {
    if (paths.stage == Stage::quieting || paths.stage == Stage::barrier) {
      return abandon_switch(peer);
    }
    if (paths.stage != Stage::greeting) probe_failed(peer, "closed while it was greeted");
    return;
  }
  if (!current) {
    // One that had been given up for another: what it left is asked for there.
    LinkPtr other;
    {
      const std::lock_guard lock(peer->mutex);
      const bool up = peer->state == Peer::State::ready || peer->state == Peer::State::asking ||
                      peer->state == Peer::State::switching;
      if (up && !paths.resuming) other = peer->link;
    }
    if (other != nullptr && !other->death && !unresolved.empty()) {
      std::vector<PeerPaths::Unresolved> left;
      {
        const std::lock_guard lock(peer->mutex);
        left = std::exchange(paths.unresolved, {});
      }
      resume(peer, other, std::move(left));
    }
    return impl_.forget_if_unused(peer);
  }
  paths.resuming = false;
  {
    const std::lock_guard lock(peer->mutex);
    const TimePoint now = impl_.world_.clock().now();
    PathRecord& record = paths.records[index_of(link->route)];
    if (now - peer->ready_since >= limits::connection_lived_min) record.backoff.reset();
    note_failure(*peer, *link->route, "the connection was lost", false);
  }
  const bool has_next = paths.stage == Stage::waiting || paths.stage == Stage::quieting ||
                        paths.stage == Stage::barrier;
  if (has_next && !impl_.stopped_.load(std::memory_order_seq_cst)) {
    const LinkPtr next = std::exchange(paths.next, nullptr);
    paths.old = nullptr;
    paths.stage = Stage::none;
    {
      const std::lock_guard lock(peer->mutex);
      if (!peer->removed) peer->link = next;
    }
    return greeted(peer, next);
  }
  next_attempt(peer, *link);
}

void PathEngine::next_attempt(const PeerPtr& peer, const Link& link) {
  bool another = false;
  {
    const std::lock_guard lock(peer->mutex);
    if (peer->removed || peer->link.get() != &link) return;
    const std::vector<PathOption> all = options(*peer);
    // As it looks without the one that died.
    const RankedPath best =
        rank_paths(all, policy_, {}, of(*peer).forced, impl_.world_.clock().now()).front();
    another = best.usable && !best.waiting;
  }
  // Elsewhere it may be reached at once, however soon this one broke.
  impl_.link_lost(peer, link, another);
  impl_.forget_if_unused(peer);
}

}  // namespace velo::messenger
