// SPDX-License-Identifier: Apache-2.0
// What every backend needs to serve watchers: a view (PeerTable or ServiceTable), and for each
// watcher a snapshot and then the changes, in order, one call at a time, on its own executor.
// Reports come in by apply(); where they come from is the backend's business. A watcher that falls
// behind by limits::watcher_pending_max changes gets one resync in their place.
// Threading: any thread; watchers are called on their executors only.
#pragma once

#include <velo/discovery/peer_table.hpp>
#include <velo/discovery/service_table.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace velo::discovery {

enum class FeedStart : bool {
  empty,    ///< nobody is announced until apply() says so
  unknown,  ///< snapshots wait until every source reported a snapshot or resync
};

template <class Subject>
class Feed {
 public:
  using Start = FeedStart;
  using View = typename Subject::View;
  using Info = typename Subject::Info;
  using Key = typename Subject::Key;
  using Change = typename Subject::Change;
  using Filter = typename Subject::Filter;
  using Watcher = typename Subject::Watcher;
  using Source = std::uint32_t;

  explicit Feed(Start start, std::size_t sources = 1);
  /// close(). Registrations may live on.
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  /// Takes a source's report in, and tells the watchers what changed for them. False if the view
  /// refused a part of it (see Table), or if a row to be removed was not this source's.
  bool apply(Source source, const Change& change);
  /// Snapshots of watches that start from now on wait for every source's next snapshot or resync.
  void mark_unknown();
  /// Snapshots wait no longer for the sources that have not reported yet, whose numbers this
  /// returns.
  std::vector<Source> stop_waiting();
  /// No further call to a watcher starts, also of watches to come.
  void close() noexcept;

  std::optional<Info> find(const Key& key) const;
  std::vector<Info> list(const Filter& filter = Filter()) const;
  std::size_t watchers() const;
  /// Calls `look(view)` under the feed's lock and returns its answer.
  template <class Look>
  auto read(Look look) const {
    const std::lock_guard lock(mutex());
    return look(view());
  }

  /// `executor` outlives the registration. The registration's destructor waits for a call that runs
  /// on another thread of `executor` if it is itself called on that executor; elsewhere a call may
  /// still be running when it returns. Only what the filter is about is told.
  std::unique_ptr<Registration> watch(Executor& executor, Watcher watcher,
                                      Filter filter = Filter());

 private:
  struct Shared;
  std::mutex& mutex() const noexcept;
  const View& view() const noexcept;

  std::shared_ptr<Shared> shared_;
};

extern template class Feed<PeerSubject>;
extern template class Feed<ServiceSubject>;

}  // namespace velo::discovery
