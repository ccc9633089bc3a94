// SPDX-License-Identifier: Apache-2.0
// The two things that are discovered, peers and instances of services, as the traits by which one
// table, one feed and one watch channel serve both.
// Threading: pure functions.
#pragma once

#include <velo/discovery/discovery.hpp>
#include <velo/discovery/limits.hpp>
#include <velo/discovery/services.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace velo::discovery {

class PeerTable;
class ServiceTable;

/// Which rows a watch or a list is about: all of them.
struct EveryPeer {};

struct PeerSubject {
  using Info = PeerInfo;
  using Key = InstanceId;
  using Change = PeerChange;
  using Watcher = PeerWatcher;
  using Filter = EveryPeer;
  using View = PeerTable;
  static constexpr std::size_t rows_max = limits::peers_max;
  static constexpr std::size_t bytes_max = limits::view_address_bytes_max;

  static const Key& key(const Info& info) noexcept { return info.instance_id; }
  static bool valid(const Info& info) noexcept { return info.instance_id.valid(); }
  /// What a change about a row that is only known by its key carries.
  static Info bare(const Key& key) { return Info{key, {}}; }
  static WorkerAddress& entries(Info& info) noexcept { return info.address; }
  static const WorkerAddress& entries(const Info& info) noexcept { return info.address; }
  static const std::vector<Info>& items(const Change& change) noexcept { return change.peers; }
  /// Rows of a filter stand together, from this key on.
  static Key first(const Filter& /*filter*/) { return Key(); }
  static bool matches(const Filter& /*filter*/, const Info& /*info*/) noexcept { return true; }
};

struct ServiceSubject {
  using Info = ServiceInstance;
  using Key = std::pair<std::string, InstanceId>;
  using Change = ServiceChange;
  using Watcher = ServiceWatcher;
  using Filter = std::string;  ///< the service's name
  using View = ServiceTable;
  static constexpr std::size_t rows_max = limits::service_instances_max;
  static constexpr std::size_t bytes_max = limits::view_metadata_bytes_max;

  static Key key(const Info& info) { return {info.service, info.instance_id}; }
  static bool valid(const Info& info) noexcept { return check_service(info).has_value(); }
  static Info bare(const Key& key) { return Info{key.first, key.second, {}}; }
  static ServiceMetadata& entries(Info& info) noexcept { return info.metadata; }
  static const ServiceMetadata& entries(const Info& info) noexcept { return info.metadata; }
  static const std::vector<Info>& items(const Change& change) noexcept { return change.instances; }
  static Key first(const Filter& service) { return {service, InstanceId()}; }
  static bool matches(const Filter& service, const Info& info) noexcept {
    return info.service == service;
  }
};

}  // namespace velo::discovery
