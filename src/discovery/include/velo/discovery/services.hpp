// SPDX-License-Identifier: Apache-2.0
// The contract of service discovery: which instances offer something by a name. It yields instances
// and their metadata; addresses are the peers' own (discovery.hpp), and which instance to choose is
// its user's.
// Threading: every function from any thread; watchers are called on the executor given to watch_service(), one call at a time.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/op.hpp>
#include <velo/discovery/change.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::discovery {

/// Small facts about one instance of a service: a version, a weight, a zone.
using ServiceMetadata = std::map<std::string, Bytes, std::less<>>;

/// One instance that offers a service.
struct ServiceInstance {
  std::string service;
  InstanceId instance_id;
  ServiceMetadata metadata;

  friend bool operator==(const ServiceInstance&, const ServiceInstance&) = default;
};

/// velo::Errc::invalid_argument unless the name is 1 to limits::service_name_bytes_max of
/// [A-Za-z0-9._-] and does not start with a dot, the instance has an id, and the metadata's keys
/// and values are at most limits::service_metadata_bytes_max together. What others wrote is held to
/// the same.
Result<void> check_service(const ServiceInstance& instance);
bool valid_service_name(std::string_view name) noexcept;

/// A change of the set of instances of one service. As PeerChange.
struct ServiceChange {
  using Kind = ChangeKind;
  Kind kind = Kind::snapshot;
  std::vector<ServiceInstance> instances;

  ServiceChange() = default;
  ServiceChange(Kind k, std::vector<ServiceInstance> i) : kind(k), instances(std::move(i)) {}
};

using ServiceWatcher = std::move_only_function<void(const ServiceChange&)>;

class ServiceDiscovery {
 public:
  virtual ~ServiceDiscovery() = default;

  virtual std::string_view name() const noexcept = 0;
  /// Makes the instance findable under its service's name until the registration is destroyed or
  /// this process dies. Registering the same instance of the same service again replaces its
  /// metadata, and makes the earlier registration withdraw nothing. velo::Errc::invalid_argument as
  /// check_service().
  virtual Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) = 0;
  /// Names that have at least one instance now, in their order.
  virtual Op<std::vector<std::string>> list_services() = 0;
  /// In the order of their ids; empty, not an error, when there is none.
  virtual Op<std::vector<ServiceInstance>> instances(std::string_view service) = 0;
  /// One snapshot, then changes, at least once each; calls `watcher` on `executor` until the
  /// registration is destroyed. A name that no service can have gets an empty snapshot.
  virtual std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                                      ServiceWatcher watcher) = 0;
};

}  // namespace velo::discovery
