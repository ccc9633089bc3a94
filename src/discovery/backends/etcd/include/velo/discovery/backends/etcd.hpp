// SPDX-License-Identifier: Apache-2.0
// Discovery through an etcd cluster (3.4 and later, over its JSON gateway): one key per announced
// peer or instance of a service, bound to a lease that this process keeps alive. A killed process
// disappears when its lease runs out. Keys and values: docs/protocols/etcd.md. No other keys are
// touched.
// Threading: any thread. All work is done on shard 0 of the World.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/discovery/services.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::discovery {

/// Makes connections as Network::connect does; for what lies between this and a server: TLS, a
/// proxy. Called and answered on the shard.
using EtcdConnect = std::function<std::unique_ptr<Connecting>(
    Shard& shard, const Endpoint& remote, const ConnectOptions& options, StreamHandler done)>;

struct EtcdOptions {
  /// Members of one cluster, tried in turn. Numeric addresses; at most limits::etcd_endpoints_max.
  std::vector<Endpoint> endpoints{Endpoint::tcp("127.0.0.1", 2379)};
  /// How long the announcements of a process that died, or lost its way to etcd, stay. Kept alive
  /// at a third of it. Whole seconds, 1 s to an hour; a server may grant more.
  Duration lease_ttl = std::chrono::seconds(30);
  /// How long one server may take to answer before the next one is asked.
  Duration request_timeout = std::chrono::seconds(3);
  /// After this an operation ends as deadline_exceeded, however many servers were asked.
  Duration operation_timeout = std::chrono::seconds(10);
  /// Pauses between attempts: random, doubling from the first to the second.
  Duration backoff_min = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(10);
  /// How often a watch is held against the server's own count, so that one that fell silent is
  /// found.
  Duration check_interval = std::chrono::seconds(10);
  /// For a cluster that asks who it is; at most limits::etcd_secret_bytes_max each. They are asked
  /// for a token with the first request, and again when it is not accepted any more; neither they
  /// nor it are ever logged. A cluster that does not ask is used without, which is logged.
  std::string user;
  std::string password;
  /// Without `connect`, requests travel in plain text, the password among them. Beyond loopback
  /// that needs this option, and is logged.
  bool allow_plaintext_beyond_loopback = false;
  /// Replaces the World's own connections; whoever sets it answers for their privacy.
  EtcdConnect connect;

  EtcdOptions() = default;
};

/// "http://127.0.0.1:2379" or "127.0.0.1:2379"; Errc::unsupported for https (see
/// EtcdOptions::connect), Errc::invalid_argument for names, which velo does not resolve.
Result<Endpoint> parse_etcd_endpoint(std::string_view text);

class EtcdDiscovery final : public PeerDiscovery, public ServiceDiscovery {
 public:
  /// Members of `cluster` share the keys below "/velo/<cluster>/". `world` outlives the object and
  /// its registrations. Connects to nobody yet. Errc::invalid_argument for a cluster name other
  /// than 1 to limits::cluster_name_bytes_max of [A-Za-z0-9._-] that does not start with a dot, no
  /// or too many endpoints, or times that cannot work; Errc::permission_denied for plain text
  /// beyond loopback.
  static Result<std::unique_ptr<EtcdDiscovery>> create(World& world, const std::string& cluster,
                                                       const EtcdOptions& options = EtcdOptions());

  /// Watches end; announcements stay until their registrations are destroyed.
  ~EtcdDiscovery() override;
  EtcdDiscovery(const EtcdDiscovery&) = delete;
  EtcdDiscovery& operator=(const EtcdDiscovery&) = delete;

  std::string_view name() const noexcept override { return "etcd"; }
  /// Ends when the server has it. From then on it is put there again whenever it is lost (a lease
  /// that ran out in a partition, a server that lost its data), unless another object has announced
  /// the instance since: then that one's counts, and withdrawing this one deletes nothing.
  /// Errc::invalid_argument when it would be longer than limits::etcd_value_bytes_max;
  /// Errc::deadline_exceeded, overloaded, permission_denied. Destroying the registration returns at
  /// once; the key goes before anything asked of this object later.
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) override;
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override;
  /// Reads all peers of the cluster.
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override;
  Op<std::vector<PeerInfo>> list() override;
  /// The first snapshot comes when the server has told it. While no server answers, watchers keep
  /// what they know, and get what they missed afterwards.
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override;
  ServiceDiscovery* services() noexcept override { return this; }

  /// As announce(), and as the lookups and the watch of peers.
  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) override;
  /// Reads all services' instances.
  Op<std::vector<std::string>> list_services() override;
  /// Reads that service's instances.
  Op<std::vector<ServiceInstance>> instances(std::string_view service) override;
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override;

 private:
  struct State;
  explicit EtcdDiscovery(std::shared_ptr<State> state) noexcept;

  std::shared_ptr<State> state_;
};

}  // namespace velo::discovery
