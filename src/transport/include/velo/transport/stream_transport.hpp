// SPDX-License-Identifier: Apache-2.0
// A Transport over the byte streams of a World: everything that tcp, tls and uds share. A backend
// adds its addresses, and a guard that says whom it lets through. Not for applications: they call
// make_tcp(), make_tls() or make_uds().
// Threading: as Transport says.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {

class StreamEnvironment;
class StreamArrivals;

/// Hands a wrapped ByteStream over as a Connection, on the stream's shard; for tests and for
/// backends with their own accept. What it holds is charged to `budget`.
ConnectionPtr make_stream_connection(std::unique_ptr<ByteStream> stream, std::string transport_key,
                                     std::shared_ptr<MemoryBudget> budget);

using SecurityPtr = std::shared_ptr<const ConnectionSecurity>;

/// A stream that may carry frames, and what is known of its other end.
struct SecuredStream {
  std::unique_ptr<ByteStream> stream;
  SecurityPtr security;
};

/// Why a stream may not.
struct StreamRefusal {
  GateRefusal reason;
  Error error;
};

/// Called once, on the stream's shard; may destroy the Securing that calls it.
using SecuredHandler =
    std::move_only_function<void(std::expected<SecuredStream, StreamRefusal> outcome)>;

/// A stream that is being made secure. Destroying it on the stream's shard gives up, and its
/// handler never runs.
class Securing {
 public:
  virtual ~Securing() = default;
};

/// Which end of a stream this is.
enum class StreamRole : std::uint8_t { accepted, dialled };

/// What stands between a stream that was connected and its first frame. Shared by a transport and
/// whatever it has pending; immutable.
class StreamGuard {
 public:
  virtual ~StreamGuard() = default;

  /// What is known of the other end without asking it. An error refuses the stream
  /// (Errc::not_authenticated).
  virtual Result<SecurityPtr> inspect(const ByteStream& stream) const = 0;

  /// Whether streams are to be made secure first; then inspect() is not asked.
  virtual bool secures() const noexcept { return false; }
  /// `done` never runs inside this call. It gives up at `deadline`.
  virtual std::unique_ptr<Securing> secure(std::unique_ptr<ByteStream> stream, StreamRole role,
                                           TimePoint deadline, SecuredHandler done) const;
};

/// That of a transport without secrets: all it knows is whether the other end is on this host.
std::shared_ptr<const StreamGuard> make_plain_guard();
/// That of a transport within this host: lets processes of the `allowed` users through, or any, and
/// says whose they are.
std::shared_ptr<const StreamGuard> make_user_guard(std::vector<std::uint32_t> allowed,
                                                   bool allow_any);

class StreamTransport : public Transport {
 public:
  explicit StreamTransport(std::string key, const GateOptions& gate = GateOptions());
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
  GateCounts gate_counts() const final { return keeper_->counts(); }

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
  /// The time is for connecting and securing together.
  virtual ConnectOptions connect_options() const = 0;
  /// Where streams come from: the World's, unless the backend has its own.
  virtual Result<std::unique_ptr<Listener>> open_listener(World& world, Shard& shard,
                                                          const Listening& listening,
                                                          StreamHandler on_accept);
  virtual std::unique_ptr<Connecting> open_stream(World& world, Shard& shard,
                                                  const Endpoint& remote, StreamHandler done) const;
  /// Asked once, by start().
  virtual Result<std::shared_ptr<const StreamGuard>> guard(const TransportContext& context) = 0;

  /// Null before start().
  World* world() const noexcept { return world_; }

 private:
  const std::shared_ptr<StreamEnvironment> environment_;
  const std::shared_ptr<Gatekeeper> keeper_;
  std::shared_ptr<const StreamGuard> guard_;
  std::shared_ptr<StreamArrivals> arrivals_;  ///< used on the listener's shard
  World* world_ = nullptr;
  std::unique_ptr<Listener> listener_;
  Bytes entry_;
};

}  // namespace velo::transport
