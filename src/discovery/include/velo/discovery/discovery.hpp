// SPDX-License-Identifier: Apache-2.0
// The contract of peer discovery: announce oneself, look others up, watch who comes and goes. It
// yields addresses and decides nothing: whether to connect, and over what, is the messenger's.
// Threading: every function from any thread; watchers are called on the executor given to watch(), one call at a time.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/discovery/change.hpp>

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace velo::discovery {

/// A change of the set of announced peers.
struct PeerChange {
  using Kind = ChangeKind;
  Kind kind = Kind::snapshot;
  std::vector<PeerInfo> peers;  ///< snapshot/resync: all; added: one with its address; removed:
                                ///< one, address may be empty

  PeerChange() = default;
  PeerChange(Kind k, std::vector<PeerInfo> p) : kind(k), peers(std::move(p)) {}
};

using PeerWatcher = std::move_only_function<void(const PeerChange&)>;

class ServiceDiscovery;

class PeerDiscovery {
 public:
  virtual ~PeerDiscovery() = default;

  virtual std::string_view name() const noexcept = 0;
  /// Makes `self` findable until the registration is destroyed or this process dies. Re-announcing
  /// replaces.
  virtual Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) = 0;
  /// Errc::not_found when nobody with that id is announced now.
  virtual Op<PeerInfo> discover_by_instance_id(const InstanceId& id) = 0;
  virtual Op<PeerInfo> discover_by_worker_id(WorkerId id) = 0;
  virtual Op<std::vector<PeerInfo>> list() = 0;
  /// Calls `watcher` on `executor` until the registration is destroyed.
  virtual std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) = 0;
  /// Named services (services.hpp) on the same medium, for as long as this object lives; null if it
  /// has none.
  virtual ServiceDiscovery* services() noexcept { return nullptr; }
};

}  // namespace velo::discovery
