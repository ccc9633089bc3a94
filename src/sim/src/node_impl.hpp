// SPDX-License-Identifier: Apache-2.0
// A node's run and the machine it runs on: clock, randomness, executors, network and files of one
// incarnation.
// Threading: the simulation's thread only.
#pragma once

#include <velo/sim/node.hpp>

#include "core.hpp"
#include "disk.hpp"
#include "executors.hpp"
#include "network_impl.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::sim::detail {

/// What nodes of one machine share. Ports are told apart by who may reach them: everyone, or this
/// machine only.
struct Machine {
  std::string host;
  std::uint32_t first_node = 0;  ///< index of one that lives here
  Disk disk;
  std::map<std::uint16_t, ListenerState*> listeners;           ///< reached through `host`
  std::map<std::uint16_t, ListenerState*> loopback_listeners;  ///< reached through 127.0.0.1
  std::map<std::string, ListenerState*> unix_listeners;
  /// Several on one port when they share it; the last one gets what is sent to the machine.
  std::map<std::uint16_t, std::vector<DatagramState*>> datagram_sockets;
  std::uint16_t next_port = 49152;
  /// Memory that one node has offered to another and that was not answered yet.
  std::map<std::uint64_t, std::weak_ptr<std::vector<std::byte>>> regions;
  std::uint64_t last_region = 0;

  bool datagram_port_free(std::uint16_t port, bool share) const noexcept {
    const auto found = datagram_sockets.find(port);
    if (found == datagram_sockets.end()) return true;
    return share && found->second.back()->shares_port();
  }

  /// The next ephemeral port, taken or not.
  std::uint16_t take_port() noexcept {
    if (next_port < 49152) next_port = 49152;
    return next_port++;
  }
};

class NodeClock final : public Clock {
 public:
  explicit NodeClock(Core& core) noexcept : core_(core) {}
  TimePoint now() const noexcept override { return TimePoint(Duration(local(core_.now))); }
  WallTime wall_now() const noexcept override {
    return WallTime{core_.options.start_unix_nanoseconds + wall_offset_ + local(core_.now) -
                    offset_};
  }

  void start(std::int64_t offset, std::int64_t wall_offset, std::int32_t drift_ppm) noexcept;
  void set_drift(std::int32_t drift_ppm) noexcept;
  void jump_wall(std::int64_t by) noexcept;
  std::int64_t local(std::int64_t global) const noexcept;
  /// The first instant of the simulation at which this clock shows `local_at` or more.
  std::int64_t global(std::int64_t local_at) const noexcept;

 private:
  Core& core_;
  std::int64_t base_global_ = 0;  ///< the drift is what it is since then
  std::int64_t base_local_ = 0;
  std::int64_t offset_ = 0;
  std::int64_t wall_offset_ = 0;
  std::int32_t drift_ppm_ = 0;
};

class NodeImpl final : public SimNode {
 public:
  NodeImpl(Core& core, Machine& machine, std::string name, std::uint32_t index,
           std::uint32_t incarnation, const NodeOptions& options);
  NodeImpl(const NodeImpl&) = delete;
  NodeImpl& operator=(const NodeImpl&) = delete;
  ~NodeImpl() override;

  Clock& clock() noexcept override { return clock_; }
  Random& random() noexcept override { return random_; }
  Random& secret_random() noexcept override { return random_; }
  Network& network() noexcept override { return network_; }
  Files& files() noexcept override { return files_; }
  std::size_t shard_count() const noexcept override { return shards_.size(); }
  Shard& shard(std::size_t shard_index) noexcept override { return *shards_[shard_index]; }
  Executor& pool() noexcept override { return pool_; }

  const std::string& name() const noexcept override { return name_; }
  std::uint32_t index() const noexcept override { return index_; }
  std::uint32_t incarnation() const noexcept override { return incarnation_; }
  bool alive() const noexcept override { return alive_; }
  const std::string& host() const noexcept override { return machine_.host; }
  PeerCredentials credentials() const noexcept { return credentials_; }

  Machine& machine() const noexcept { return machine_; }
  TimePoint local_now() const noexcept { return clock_.now(); }
  std::int64_t global_at(std::int64_t local_at) const noexcept { return clock_.global(local_at); }
  NodeClock& node_clock() noexcept { return clock_; }
  void set_clock_drift(std::int32_t ppm) noexcept { clock_.set_drift(ppm); }

  bool paused() const noexcept { return paused_; }
  void pause() noexcept { paused_ = alive_; }
  void resume();
  std::uint32_t read_limit() const noexcept { return read_limit_; }
  void set_read_limit(std::uint32_t bytes_per_millisecond) noexcept {
    read_limit_ = bytes_per_millisecond;
  }
  /// Powered off and not back: its machine answers nothing.
  bool silent() const noexcept { return silent_; }

  /// Runs nothing any more except clean-up; what was queued is buried.
  void die(bool silently);
  void answer_again() noexcept { silent_ = false; }
  /// At the simulation's end: tasks posted since die() are buried too.
  void bury_tasks();
  void own(std::shared_ptr<void> service) { service_ = std::move(service); }
  std::shared_ptr<void> take_service() noexcept { return std::move(service_); }

 private:
  std::string name_;
  std::uint32_t index_;
  std::uint32_t incarnation_;
  Machine& machine_;
  PeerCredentials credentials_;
  NodeClock clock_;
  SimRandom random_;
  NetworkImpl network_;
  FilesImpl files_;
  std::vector<std::unique_ptr<ShardImpl>> shards_;
  PoolImpl pool_;
  std::shared_ptr<void> service_;
  std::uint32_t read_limit_ = 0;
  bool alive_ = true;
  bool paused_ = false;
  bool silent_ = false;
};

}  // namespace velo::sim::detail
