// SPDX-License-Identifier: Apache-2.0
// Discovery by multicast in the local network, without a server: everybody says who they are,
// signed by their key, now and then and when asked; what is not repeated is over. Protocol and
// reasons: docs/protocols/multicast.md. A peer or service that fits into no datagram is said in
// parts, up to limits::large_row_bytes_max.
// Threading: any thread. The work is done on the World's shard 0.
#pragma once

#include <velo/base/world.hpp>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>
#include <velo/discovery/backends/multicast/counters.hpp>
#include <velo/discovery/discovery.hpp>
#include <velo/discovery/services.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery {

namespace multicast {
class Signing;
}

struct MulticastOptions {
  /// Groups of each family; an empty one leaves the family out.
  std::string group_v4 = "239.255.86.76";
  std::string group_v6 = "ff02::5645:4c4f";
  std::uint16_t port = 18'676;
  /// Numeric addresses of the interfaces to use. Empty: all that are up and can multicast, also
  /// those that come later.
  std::vector<std::string> interfaces;
  std::uint8_t hops = 1;  ///< 1: not beyond a router

  /// Announced rows are said again after interval_min, then ever more rarely, at least every
  /// interval_max, each time a quarter earlier or later. A row is over when three times were
  /// missed and its announcer did not answer when asked.
  Duration interval_min = std::chrono::seconds(1);
  Duration interval_max = std::chrono::seconds(10);
  /// Within which everybody answers a question to all.
  Duration answer_spread = std::chrono::milliseconds(200);
  /// How long a lookup of one peer waits for its answer.
  Duration lookup_time = std::chrono::milliseconds(250);
  /// How long a list waits for answers; also what the first snapshot of a watch waits for.
  Duration list_time = std::chrono::milliseconds(500);
  Duration interface_check = std::chrono::seconds(5);  ///< how often new interfaces are looked for

  /// Signs what is announced; Ed25519. Invalid: a key is made for this object. An instance whose id
  /// is made from a key (UUID version 8) is believed from that key only.
  crypto::PrivateKey key;
  /// With `trust`: `key`'s certificate and what leads to an authority; it fits into a datagram.
  std::vector<crypto::Certificate> chain;
  /// Only keys with a certificate that this believes. Null: any key, and an instance id belongs to
  /// the first key that announces it.
  std::shared_ptr<const crypto::TrustStore> trust;
  /// Announces without signatures, and believes what has none: whoever reaches the network can
  /// make and remove anybody. Logged.
  bool unsigned_announcements = false;
  /// Instead of `key`; for simulations of many nodes, which need cheaper signatures.
  std::shared_ptr<const multicast::Signing> signing;

  MulticastOptions() = default;
};

class MulticastDiscovery final : public PeerDiscovery, public ServiceDiscovery {
 public:
  /// Members of other clusters stay unseen. `world` outlives the object and its registrations.
  /// Errc::invalid_argument for wrong options; the network's error when none of the interfaces that
  /// the options name can be used. Without names and without any interface it waits for one.
  static Result<std::unique_ptr<MulticastDiscovery>> create(
      World& world, const std::string& cluster,
      const MulticastOptions& options = MulticastOptions());

  /// Watches and lookups end; announcements stay until their registrations are destroyed.
  ~MulticastDiscovery() override;
  MulticastDiscovery(const MulticastDiscovery&) = delete;
  MulticastDiscovery& operator=(const MulticastDiscovery&) = delete;

  std::string_view name() const noexcept override { return "multicast"; }
  /// Ends when it was said once. Errc::invalid_argument when it is longer than
  /// limits::large_row_bytes_max, Errc::overloaded. Destroying the registration says goodbye, three
  /// times in the next seconds.
  Op<std::unique_ptr<Registration>> announce(const PeerInfo& self) override;
  /// Asks, and answers with what is known of that peer when its answer does not come within
  /// lookup_time.
  Op<PeerInfo> discover_by_instance_id(const InstanceId& id) override;
  Op<PeerInfo> discover_by_worker_id(WorkerId id) override;
  /// Asks everybody and takes list_time.
  Op<std::vector<PeerInfo>> list() override;
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override;
  ServiceDiscovery* services() noexcept override { return this; }

  /// As announce(), list() and watch() of peers.
  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance& instance) override;
  Op<std::vector<std::string>> list_services() override;
  Op<std::vector<ServiceInstance>> instances(std::string_view service) override;
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override;

  multicast::Counters counters() const;

 private:
  struct State;
  explicit MulticastDiscovery(std::shared_ptr<State> state) noexcept;

  std::shared_ptr<State> state_;
};

}  // namespace velo::discovery
