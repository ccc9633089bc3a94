// SPDX-License-Identifier: Apache-2.0
// Several discoveries as one: it announces on each, looks up in each, and keeps a merged view that
// can be read without asking anyone. Itself a discovery, so directories nest. Not a backend: it
// does no I/O of its own.
// Threading: any thread.
#pragma once

#include <velo/discovery/discovery.hpp>
#include <velo/discovery/peer_feed.hpp>
#include <velo/discovery/service_feed.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace velo {
class World;
}

namespace velo::discovery {

class Patience;

class Directory final : public PeerDiscovery, public ServiceDiscovery {
 public:
  using Sources = std::vector<std::shared_ptr<PeerDiscovery>>;

  /// Watches the sources on `executor` (a World's pool or shard), which outlives the directory.
  /// Earlier sources are asked first, and their address entries win. At most limits::sources_max.
  Directory(Executor& executor, Sources sources);
  /// As above on the World's pool; and a source that says nothing for limits::source_patience
  /// (it may be down) does not hold the others' snapshots back any longer.
  Directory(World& world, Sources sources);
  ~Directory() override;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // What the sources' watches have told so far: costs no I/O, and may be a moment old.
  std::optional<PeerInfo> find(const InstanceId& id) const { return feed_->find(id); }
  std::optional<PeerInfo> find(WorkerId id) const { return feed_->find(id); }
  std::vector<PeerInfo> known() const { return feed_->list(); }

  std::string_view name() const noexcept override { return "directory"; }
  /// On every source. When each refuses, the first error; what only some refuse is logged.
  /// Errc::no_source over none.
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) override;
  /// From the first source that has it now. When none has it and one failed otherwise than by
  /// not_found, that error: not knowing is not absence.
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override;
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override;
  /// Asks every source; those that fail are left out (and logged) unless all do.
  Op<std::vector<PeerInfo>> list() override;
  /// The snapshot comes when every source has given its own.
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override;
  ServiceDiscovery* services() noexcept override { return this; }

  /// On every source that has services; errors as announce().
  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) override;
  /// The union; sources that fail are left out (and logged) unless all do.
  Op<std::vector<std::string>> list_services() override;
  Op<std::vector<ServiceInstance>> instances(std::string_view service) override;
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override;

 private:
  Directory(Executor& executor, World* world, Sources sources);

  Executor& executor_;
  World* world_;
  Sources sources_;
  std::shared_ptr<PeerFeed> feed_;
  std::vector<std::shared_ptr<ServiceDiscovery>> service_sources_;
  std::vector<std::unique_ptr<Registration>> watches_;
  std::unique_ptr<Patience> patience_;
};

}  // namespace velo::discovery
