// SPDX-License-Identifier: Apache-2.0
// Discovery through a folder that all members can reach: one file per announced peer or service,
// written by its owner only, and beside it a lock file that its owner's process holds. Who can take
// the lock knows that the owner is gone, removes the file, and ignores it: a killed process
// disappears at once, without a time-out. Needs locks between processes (flock).
// Threading: any thread. File work runs on the World's pool, one piece at a time and in order for each object.
#pragma once

#include <velo/base/world.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/discovery/services.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace velo::discovery {

struct FilesystemOptions {
  /// How often the folder is read while somebody watches.
  Duration poll_interval = std::chrono::milliseconds(50);
  /// How often one's own files are looked after: a cleaner of temporary files, or a person, may
  /// have removed them.
  Duration verify_interval = std::chrono::seconds(5);
  /// Owners of known entries that one reading of the folder probes; the others have their turn in
  /// the next ones.
  std::size_t probes_per_poll = 256;

  FilesystemOptions() = default;
};

class FilesystemDiscovery final : public PeerDiscovery, public ServiceDiscovery {
 public:
  /// Uses `directory`/`cluster`/peers and `directory`/`cluster`/services, which the first
  /// announcement creates; members of other clusters stay unseen. `world` outlives the object and
  /// its registrations. Errc::invalid_argument for an empty directory, a cluster name other than 1
  /// to limits::cluster_name_bytes_max of [A-Za-z0-9._-] that does not start with a dot, or an
  /// interval of zero.
  static Result<std::unique_ptr<FilesystemDiscovery>> create(
      World& world, const std::string& directory, const std::string& cluster,
      const FilesystemOptions& options = FilesystemOptions());

  /// Watches end; announcements stay until their registrations are destroyed.
  ~FilesystemDiscovery() override;
  FilesystemDiscovery(const FilesystemDiscovery&) = delete;
  FilesystemDiscovery& operator=(const FilesystemDiscovery&) = delete;

  std::string_view name() const noexcept override { return "filesystem"; }
  /// Ends when the file is on the disk. Announce an instance through one object only.
  /// Errc::invalid_argument when its file would be longer than limits::file_bytes_max,
  /// Errc::overloaded, Errc::io, Errc::permission_denied. Destroying the registration returns at
  /// once; the file goes before anything asked of this object later.
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) override;
  /// Reads that instance's file.
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override;
  /// Reads the folder.
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override;
  Op<std::vector<PeerInfo>> list() override;
  /// The first snapshot comes after the folder was read. While it cannot be read, watchers keep
  /// what they know.
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override;
  ServiceDiscovery* services() noexcept override { return this; }

  /// As announce(), and as the lookups and the watch of peers.
  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) override;
  Op<std::vector<std::string>> list_services() override;
  Op<std::vector<ServiceInstance>> instances(std::string_view service) override;
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override;

 private:
  struct State;
  explicit FilesystemDiscovery(std::shared_ptr<State> state) noexcept;

  std::shared_ptr<State> state_;
};

}  // namespace velo::discovery
