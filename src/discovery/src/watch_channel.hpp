// SPDX-License-Identifier: Apache-2.0
// One watcher and the changes on their way to it. Knows nothing of tables and sources.
// Pending changes are bounded: the caller replaces them by one resync when add() says that there
// are too many.
// Threading: any thread; the watcher is called on its executor, one call at a time.
#pragma once

#include <velo/discovery/subject.hpp>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace velo::discovery {

template <class Subject>
class WatchChannel {
 public:
  using Change = std::shared_ptr<const typename Subject::Change>;
  using Watcher = typename Subject::Watcher;

  WatchChannel(Executor& executor, Watcher watcher)
      : executor_(executor), watcher_(std::move(watcher)) {}

  /// False, and nothing is queued, when limits::watcher_pending_max changes wait already.
  static bool add(const std::shared_ptr<WatchChannel>& channel, Change change);
  /// Drops what waits and queues `change`, a snapshot or resync, alone; as the snapshot if the
  /// watcher has not had its own.
  static void restart(const std::shared_ptr<WatchChannel>& channel, Change change);
  /// No further call starts; see Feed::watch for a call that is running.
  void close() noexcept;

 private:
  static void schedule(const std::shared_ptr<WatchChannel>& channel);
  void deliver();
  void call(Watcher& watcher, const typename Subject::Change& change) noexcept;

  Executor& executor_;
  std::mutex mutex_;
  std::condition_variable returned_;
  Watcher watcher_;
  std::deque<Change> pending_;
  bool scheduled_ = false;
  bool closed_ = false;
  std::thread::id caller_;  ///< the thread inside the watcher; none when default
};

extern template class WatchChannel<PeerSubject>;
extern template class WatchChannel<ServiceSubject>;

}  // namespace velo::discovery
