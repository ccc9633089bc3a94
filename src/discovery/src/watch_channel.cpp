// SPDX-License-Identifier: Apache-2.0
// Delivery of changes to one watcher.

#include "watch_channel.hpp"

#include <velo/base/executor.hpp>
#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>

#include <exception>

namespace velo::discovery {

template <class Subject>
bool WatchChannel<Subject>::add(const std::shared_ptr<WatchChannel>& channel, Change change) {
  {
    const std::lock_guard lock(channel->mutex_);
    if (channel->closed_) return true;
    if (channel->pending_.size() >= limits::watcher_pending_max) return false;
    channel->pending_.push_back(std::move(change));
    if (std::exchange(channel->scheduled_, true)) return true;
  }
  schedule(channel);
  return true;
}

template <class Subject>
void WatchChannel<Subject>::restart(const std::shared_ptr<WatchChannel>& channel, Change change) {
  {
    const std::lock_guard lock(channel->mutex_);
    if (channel->closed_) return;
    const bool snapshot_waits =
        !channel->pending_.empty() && channel->pending_.front()->kind == ChangeKind::snapshot;
    if (snapshot_waits && change->kind != ChangeKind::snapshot) {
      change = std::make_shared<const typename Subject::Change>(ChangeKind::snapshot,
                                                                Subject::items(*change));
    }
    channel->pending_.clear();
    channel->pending_.push_back(std::move(change));
    if (std::exchange(channel->scheduled_, true)) return;
  }
  schedule(channel);
}

template <class Subject>
void WatchChannel<Subject>::schedule(const std::shared_ptr<WatchChannel>& channel) {
  // An executor of several threads runs posted tasks side by side, so at most one delivery is
  // posted at a time; and it delivers one change, so that a busy watcher shares its executor.
  post(channel->executor_, [channel] {
    channel->deliver();
    {
      const std::lock_guard lock(channel->mutex_);
      channel->scheduled_ = !channel->pending_.empty();
      if (!channel->scheduled_) return;
    }
    schedule(channel);
  });
}

template <class Subject>
void WatchChannel<Subject>::deliver() {
  Watcher watcher;
  Change change;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.empty()) return;  // closed meanwhile
    change = std::move(pending_.front());
    pending_.pop_front();
    watcher = std::move(watcher_);
    caller_ = std::this_thread::get_id();
  }
  call(watcher, *change);
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) watcher_ = std::move(watcher);
  }
  // A closed channel's watcher goes before close() returns elsewhere, together with what it
  // captured.
  watcher = nullptr;
  const std::lock_guard lock(mutex_);
  caller_ = std::thread::id();
  returned_.notify_all();
}

template <class Subject>
void WatchChannel<Subject>::call(Watcher& watcher,
                                 const typename Subject::Change& change) noexcept {
  try {
    watcher(change);
  } catch (const std::exception& exception) {
    VELO_LOG_ERROR(discovery, "a watcher threw", {"what", exception.what()});
  } catch (...) {
    VELO_LOG_ERROR(discovery, "a watcher threw");
  }
}

template <class Subject>
void WatchChannel<Subject>::close() noexcept {
  Watcher watcher;
  std::unique_lock lock(mutex_);
  closed_ = true;
  pending_.clear();
  watcher = std::move(watcher_);
  if (Executor::current() == &executor_ && caller_ != std::this_thread::get_id()) {
    returned_.wait(lock, [this] { return caller_ == std::thread::id(); });
  }
  lock.unlock();
}

template class WatchChannel<PeerSubject>;
template class WatchChannel<ServiceSubject>;

}  // namespace velo::discovery
