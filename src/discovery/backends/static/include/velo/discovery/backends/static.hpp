// SPDX-License-Identifier: Apache-2.0
// A list of peers and services in this process's memory: given at the start, changed by the
// program, and by who announces itself on the same object. Nothing leaves the process, and nothing
// expires.
// Threading: any thread.
#pragma once

#include <velo/discovery/discovery.hpp>
#include <velo/discovery/peer_feed.hpp>
#include <velo/discovery/service_feed.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace velo::discovery {

class StaticDiscovery final : public PeerDiscovery, public ServiceDiscovery {
 public:
  /// Continuations of callers without an executor run on `callbacks` (a World's pool), which
  /// outlives the object's operations. Errc::invalid_argument for an invalid id, Errc::overloaded
  /// beyond the limits of a PeerTable.
  static Result<std::unique_ptr<StaticDiscovery>> create(Executor& callbacks,
                                                         std::vector<PeerInfo> peers = {});

  ~StaticDiscovery() override;
  StaticDiscovery(const StaticDiscovery&) = delete;
  StaticDiscovery& operator=(const StaticDiscovery&) = delete;

  /// Adds the peer, or gives it a new address. Errors as create(). It stays until remove().
  Result<void> add(const PeerInfo& peer);
  /// False if there is no such peer. An announcement of that instance stays.
  bool remove(const InstanceId& id);
  /// As add() and remove(), of a service's instance.
  Result<void> add_service(const ServiceInstance& instance);
  bool remove_service(std::string_view service, const InstanceId& id);

  std::string_view name() const noexcept override { return "static"; }
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) override;
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override;
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override;
  Op<std::vector<PeerInfo>> list() override;
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override;
  ServiceDiscovery* services() noexcept override { return this; }

  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) override;
  Op<std::vector<std::string>> list_services() override;
  Op<std::vector<ServiceInstance>> instances(std::string_view service) override;
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override;

 private:
  struct Shared;
  explicit StaticDiscovery(Executor& callbacks);

  Executor& callbacks_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace velo::discovery
