// SPDX-License-Identifier: Apache-2.0
// The contract of a transport: it listens, says under which address entry it can be reached, and
// connects to the entries of others. It moves frames and decides nothing: no retries, no choice
// between transports, no meaning of headers.
// Threading: start() and stop() from the owner's thread; connect() from any; see each function for callbacks.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/connection.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/reach.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace velo::transport {

enum class Errc : std::uint16_t {
  connection_lost = 1,  ///< the other end closed or reset it; retry elsewhere or later
  connect_failed = 2,   ///< nobody listens there, or it took too long
  malformed_frame = 3,  ///< the other end broke the framing; the connection was closed
  frame_too_large = 4,  ///< over limits::frame_bytes_max
  invalid_address = 5,  ///< the address entry cannot be understood
  no_endpoint = 6,      ///< the entry has no address that is reachable from here
  queue_full = 7,       ///< the connection's outgoing queue is full
  peer_too_slow = 8,    ///< even the part reserved for replies is full; the connection was closed
  not_started = 9,
  closed_locally = 10,    ///< this side closed the connection
  handshake_failed = 11,  ///< the other end speaks no protocol that is accepted here, or broke off
  not_authenticated =
      12,  ///< the other end did not prove who it is, or is not trusted; the context says why
  too_many_handshakes = 13,  ///< a limit of connections that are not authenticated yet is reached
  no_room = 14,  ///< what all connections of this kind may hold is used up; another kind may do
};

ErrorCode error_code(Errc value) noexcept;
Error make_error(Errc value, std::string context = {});

/// Receives the connections that others make to us.
class AcceptHandler {
 public:
  /// On the connection's shard. Call connection->start(...) before returning, or drop it to refuse.
  virtual void on_accepted(ConnectionPtr connection) = 0;

 protected:
  ~AcceptHandler() = default;
};

using ConnectHandler = std::move_only_function<void(Result<ConnectionPtr>)>;

/// A connecting attempt. Destroying it on its shard's thread abandons the attempt; the handler then
/// never runs.
class Dial {
 public:
  virtual ~Dial() = default;
};

/// What a transport is started with.
struct TransportContext {
  World& world;  ///< outlives stop()
  InstanceId self;
  AcceptHandler& accepts;  ///< outlives stop()
  /// What connections hold, to be written or being read, is charged to it. Never null.
  std::shared_ptr<MemoryBudget> budget;

  TransportContext(World& w, const InstanceId& id, AcceptHandler& handler,
                   std::shared_ptr<MemoryBudget> memory)
      : world(w), self(id), accepts(handler), budget(std::move(memory)) {}
};

class Transport {
 public:
  virtual ~Transport() = default;

  /// The key under which WorkerAddress carries this transport's entry: "tcp", "uds", "inproc", ...
  virtual std::string_view key() const noexcept = 0;

  /// Begins listening, on shard 0. Once.
  virtual Result<void> start(const TransportContext& context) = 0;

  /// What others need to reach us; valid after start(). Empty for a transport that only connects.
  virtual Bytes address_entry() const = 0;

  /// Whether an entry of this transport's kind can be understood and looks reachable from this
  /// host.
  virtual Result<void> check_entry(ByteSpan entry) const = 0;

  /// Where an entry that check_entry() accepts leads to, as far as that can be said without asking
  /// anybody; what is not known counts as far away and readable by others.
  virtual Reach assess(ByteSpan entry) const;

  /// `done` runs exactly once on `shard`, never inside this call; it must start() the connection or
  /// drop it.
  virtual std::unique_ptr<Dial> connect(Shard& shard, ByteSpan entry, ConnectHandler done) = 0;

  /// Who came to this transport's listener, and who was refused and why. Any thread.
  virtual GateCounts gate_counts() const { return {}; }

  /// No more accepts; existing connections stay with their owners. Idempotent. Call it before the
  /// World's threads stop; blocks only until the listener's shard let go of it, and may be called
  /// from that shard.
  virtual void stop() noexcept = 0;
};

}  // namespace velo::transport
