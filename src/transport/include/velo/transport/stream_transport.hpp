// SPDX-License-Identifier: Apache-2.0
// A Transport over the byte streams of a World: everything that tcp and uds share. A backend adds
// its addresses. Not for applications: they call make_tcp() or make_uds().
// Threading: as Transport says.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace velo::transport {

class StreamEnvironment;

/// Hands a wrapped ByteStream over as a Connection, on the stream's shard; for tests and for
/// backends with their own accept. What it holds is charged to `budget`.
ConnectionPtr make_stream_connection(std::unique_ptr<ByteStream> stream, std::string transport_key,
                                     std::shared_ptr<MemoryBudget> budget);

class StreamTransport : public Transport {
 public:
  explicit StreamTransport(std::string key);
  /// stop() must have been called if start() was.
  ~StreamTransport() override;

  std::string_view key() const noexcept final;
  Result<void> start(const TransportContext& context) final;
  Bytes address_entry() const final { return entry_; }
  Result<void> check_entry(ByteSpan entry) const final;
  /// Unix sockets and loopback are this host; whoever knows its interfaces can say more.
  Reach assess(ByteSpan entry) const override;
  std::unique_ptr<Dial> connect(Shard& shard, ByteSpan entry, ConnectHandler done) final;
  void stop() noexcept final;

  /// Connections that exist, accepted or dialled.
  std::size_t connection_count() const noexcept;

 protected:
  struct Listening {
    Endpoint endpoint;
    ListenOptions options;
  };

  /// Where to listen; nothing for a transport that only connects. Refuses what the options do not
  /// allow.
  virtual Result<std::optional<Listening>> listening(World& world, const InstanceId& self) = 0;
  /// The entry under which `local`, the listener's address, is advertised.
  virtual Result<Bytes> advertise(World& world, const Endpoint& local) = 0;
  /// Which address of the entry to connect to. Any thread, after start().
  virtual Result<Endpoint> choose(World& world, ByteSpan entry) const = 0;
  virtual ConnectOptions connect_options() const = 0;
  /// Where streams come from: the World's, unless the backend has its own.
  virtual Result<std::unique_ptr<Listener>> open_listener(World& world, Shard& shard,
                                                          const Listening& listening,
                                                          StreamHandler on_accept);
  virtual std::unique_ptr<Connecting> open_stream(World& world, Shard& shard,
                                                  const Endpoint& remote, StreamHandler done) const;

  /// Null before start().
  World* world() const noexcept { return world_; }

 private:
  const std::shared_ptr<StreamEnvironment> environment_;
  World* world_ = nullptr;
  std::unique_ptr<Listener> listener_;
  Bytes entry_;
};

}  // namespace velo::transport
