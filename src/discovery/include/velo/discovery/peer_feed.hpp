// SPDX-License-Identifier: Apache-2.0
// What every backend needs to serve watchers: a PeerTable, and for each watcher a snapshot and then
// the changes, in order, one call at a time, on its own executor. Reports come in by apply(); where
// they come from is the backend's business. A watcher that falls behind by
// limits::watcher_pending_max changes gets one resync in their place.
// Threading: any thread; watchers are called on their executors only.
#pragma once

#include <velo/discovery/discovery.hpp>
#include <velo/discovery/peer_table.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace velo::discovery {

class PeerFeed {
 public:
  enum class Start : bool {
    empty,    ///< nobody is announced until apply() says so
    unknown,  ///< snapshots wait until every source reported a snapshot or resync
  };

  explicit PeerFeed(Start start, std::size_t sources = 1);
  /// close(). Registrations may live on.
  ~PeerFeed();
  PeerFeed(const PeerFeed&) = delete;
  PeerFeed& operator=(const PeerFeed&) = delete;

  /// Takes a source's report in, and tells the watchers what changed for them. False if the view
  /// refused a part of it (see PeerTable), or if a peer to be removed was not this source's.
  bool apply(PeerTable::Source source, const PeerChange& change);
  /// Snapshots of watches that start from now on wait for every source's next snapshot or resync.
  void mark_unknown();
  /// No further call to a watcher starts, also of watches to come.
  void close() noexcept;

  std::optional<PeerInfo> find(const InstanceId& id) const;
  std::optional<PeerInfo> find(WorkerId id) const;
  std::vector<PeerInfo> list() const;
  std::size_t watchers() const;

  /// `executor` outlives the registration. The registration's destructor waits for a call that runs
  /// on another thread of `executor` if it is itself called on that executor; elsewhere a call may
  /// still be running when it returns.
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace velo::discovery
