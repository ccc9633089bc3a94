// SPDX-License-Identifier: Apache-2.0
// A node's network: what listens, attempts to connect, and sends datagrams. Established streams are
// Connection's.
// Threading: the simulation's thread only.
#pragma once

#include <velo/base/network.hpp>

#include "connection.hpp"
#include "core.hpp"
#include "executors.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::sim::detail {

class ListenerState final : public Resource {
 public:
  ListenerState(Core& core, NodeImpl& node, ShardImpl& shard, Endpoint local,
                const ListenOptions& options, StreamHandler on_accept);

  const Endpoint& local() const noexcept { return local_; }
  NodeImpl& node() const noexcept { return node_; }
  ShardImpl& shard() const noexcept { return shard_; }
  bool backlog_full() const noexcept { return waiting_ >= backlog_; }
  std::size_t window_bytes() const noexcept { return window_bytes_; }

  /// A connection is established in the kernel and waits for its turn.
  void offer(Connection& connection);
  /// Its turn has come; without `run` the node crashed before.
  void accept(Connection& connection, bool run);
  void close() noexcept;
  void node_crashed(NodeImpl& node, bool silent) override;
  void simulation_ended() override { close(); }

 private:
  NodeImpl& node_;
  ShardImpl& shard_;
  Endpoint local_;
  StreamHandler on_accept_;
  int backlog_;
  int waiting_ = 0;
  std::size_t window_bytes_;
  bool closed_ = false;
};

/// One attempt to connect: SYN out, SYN-ACK back, both repeated while the path is blocked, until
/// done or out of time.
class Attempt final : public Resource, private Ready {
 public:
  Attempt(Core& core, NodeImpl& node, ShardImpl& shard, Endpoint remote,
          const ConnectOptions& options, StreamHandler done);
  void begin();
  void abandon() noexcept;
  void node_crashed(NodeImpl& node, bool silent) override;
  void simulation_ended() override { stop(); }

 private:
  enum class Phase : std::uint8_t { reaching, returning, refused, over };
  struct Step final : Event {
    explicit Step(Attempt& a) noexcept : attempt(a) {}
    void fire() override;
    Attempt& attempt;
  };
  struct Timeout final : Event {
    explicit Timeout(Attempt& a) noexcept : attempt(a) {}
    void fire() override;
    Attempt& attempt;
  };

  void run() override;
  void discard() override;
  void reach();
  void come_back();
  void repeat_later();
  void finish(Error error);
  void stop() noexcept;
  ListenerState* find_listener() const noexcept;
  /// The node that answers: the listener's, or any of the machine; null for an address that nobody
  /// has.
  NodeImpl* peer() const noexcept;

  NodeImpl& node_;
  ShardImpl& shard_;
  Endpoint remote_;
  StreamHandler done_;
  Duration timeout_;
  std::size_t window_bytes_;
  Step step_{*this};
  Timeout timeout_event_{*this};
  Ref<Connection> connection_;
  std::optional<Error> error_;
  std::int64_t repeat_after_;
  Phase phase_ = Phase::reaching;
};

class DatagramState final : public Resource {
 public:
  DatagramState(Core& core, NodeImpl& node, ShardImpl& shard, Endpoint local,
                const DatagramOptions& options, DatagramEvents& events);
  /// Takes the port and joins the groups; on an error it is as if it had never been.
  Result<void> start();
  const Endpoint& local() const noexcept { return local_; }
  IoResult send(const Endpoint& to, ByteSpan datagram);
  /// False if the socket's buffer is full.
  bool offer(Ready& datagram);
  void receive(const NetAddress& from, const NetAddress& to, ByteSpan datagram, bool run);
  NodeImpl& node() const noexcept { return node_; }
  bool shares_port() const noexcept { return options_.share_port; }
  bool closed() const noexcept { return closed_; }
  /// A batch is over once what was ready when it began has been told.
  void end_batch(bool run);
  void close() noexcept;
  void node_crashed(NodeImpl& node, bool silent) override;
  void simulation_ended() override { close(); }

 private:
  struct BatchEnd final : Ready {
    explicit BatchEnd(DatagramState& s) noexcept : state(s) {}
    void run() override { state.end_batch(true); }
    void discard() override { state.end_batch(false); }
    DatagramState& state;
  };

  void send_to_group(const NetAddress& group, ByteSpan datagram);
  /// Lost, once or twice: one receiver's share of what was sent.
  void send_to(NodeImpl& there, const Endpoint& to, const Bytes& datagram, Machine& machine,
               DatagramState* member);
  void put_on_the_wire(NodeImpl& there, const Endpoint& to, const Bytes& datagram, Machine& machine,
                       DatagramState* member);
  bool by_loopback() const noexcept;

  NodeImpl& node_;
  ShardImpl& shard_;
  Endpoint local_;
  DatagramOptions options_;
  DatagramEvents& events_;
  std::vector<NetAddress> groups_;  ///< with this socket's port
  BatchEnd batch_end_{*this};
  int waiting_ = 0;
  bool batch_open_ = false;
  bool closed_ = false;
};

class NetworkImpl final : public Network {
 public:
  NetworkImpl(Core& core, NodeImpl& node) noexcept : core_(core), node_(node) {}

  Result<std::unique_ptr<Listener>> listen(Shard& shard, const Endpoint& local,
                                           const ListenOptions& options,
                                           StreamHandler on_accept) override;
  std::unique_ptr<Connecting> connect(Shard& shard, const Endpoint& remote,
                                      const ConnectOptions& options, StreamHandler done) override;
  Result<std::unique_ptr<DatagramSocket>> open_datagram(Shard& shard, const Endpoint& local,
                                                        const DatagramOptions& options,
                                                        DatagramEvents& events) override;
  std::string unix_socket_identity(const std::string& path) override;
  Result<std::unique_ptr<Listener>> listen_shared_memory(Shard& shard, const Endpoint& local,
                                                         const SharedMemoryOptions& options,
                                                         SharedMemoryHandler on_accept) override;
  std::unique_ptr<Connecting> connect_shared_memory(Shard& shard, const Endpoint& remote,
                                                    const SharedMemoryOptions& options,
                                                    SharedMemoryHandler done) override;
  std::vector<InterfaceAddress> interfaces() override;
  PeerCredentials own_credentials() const override;

 private:
  /// With a free port if none was asked for; an error if it is not the machine's address.
  Result<Endpoint> claim(const Endpoint& local, bool datagram, bool share = false) const;

  Core& core_;
  NodeImpl& node_;
};

}  // namespace velo::sim::detail
