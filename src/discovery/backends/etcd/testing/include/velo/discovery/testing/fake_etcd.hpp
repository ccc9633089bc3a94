// SPDX-License-Identifier: Apache-2.0
// An etcd server for tests, with what the etcd backend needs of the JSON gateway: ranges,
// transactions of puts and deletions, also within others, leases that run out, watches with
// history, compaction, a user with a password. It runs in any World, the simulated one above all.
// Not a cluster, and trusting: it aborts on requests that the backend never makes.
// Threading: one shard.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery::testing {

/// What a server has on its disk.
class FakeEtcdStore {
 public:
  struct Value {
    std::string value;
    std::int64_t mod_revision = 0;
    std::int64_t lease = 0;
  };
  struct Event {
    std::int64_t revision = 0;
    bool removed = false;
    std::string key;
    std::string value;
  };
  struct Lease {
    Duration ttl{};
    TimePoint ends;
  };

  std::uint64_t cluster = 77;
  std::int64_t revision = 1;
  std::int64_t compacted = 0;
  std::int64_t last_lease = 1000;
  /// The user that may do everything; without a password everybody may.
  std::string user;
  std::string password;
  std::string token = "token.1";
  std::map<std::string, Value> keys;
  std::map<std::int64_t, Lease> leases;
  std::vector<Event> history;

  /// Each is a revision of its own.
  void put(const std::string& key, const std::string& value, std::int64_t lease = 0);
  void remove(const std::string& key);
  void revoke(std::int64_t lease);
  /// Forgets all history.
  void compact();
};

class FakeEtcd {
 public:
  /// Listens at `local`; the World outlives it.
  FakeEtcd(World& world, const Endpoint& local, std::shared_ptr<FakeEtcdStore> store);
  FakeEtcd(const FakeEtcd&) = delete;
  ~FakeEtcd();

  /// With the port that was chosen.
  Endpoint local() const;
  /// Tells watches what was changed in the store directly.
  void publish();
  /// Watches stay silent from now on, as those of a member without its cluster may.
  void mute_watches(bool muted);
  /// Every request is refused with this HTTP status; 0 ends it.
  void refuse_all(unsigned status);
  std::size_t watches() const;
  std::size_t requests() const;
  std::size_t connections() const;

 private:
  class Connection;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace velo::discovery::testing
