// SPDX-License-Identifier: Apache-2.0
// The transport over QUIC (RFC 9000, version 1), key "quic": always encrypted, both ends prove who
// they are. Frames of different lanes travel on streams of their own, so that one that is large or
// was lost delays no other; frames that may be lost travel as datagrams. 0-RTT is never offered nor
// accepted: what arrives in it could be replayed.
// Threading: options are values; counts from any thread; see Transport for the rest.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/limits.hpp>
#include <velo/transport/transport.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace velo::transport {

struct QuicOptions {
  /// Who this end is, and whom it believes. start() refuses to begin without. What is replaced in
  /// it holds for the handshakes that follow.
  std::shared_ptr<crypto::CredentialSource> credentials;
  /// Where to listen; nothing: only connects.
  std::optional<Endpoint> bind = Endpoint::tcp("127.0.0.1", 0);
  InterfaceFilter advertise;
  /// The NUMA node whose network devices are preferred when a peer offers several.
  std::optional<std::int32_t> numa_hint;
  /// Until the other end has proved who it is and has confirmed that this end did.
  Duration connect_timeout = std::chrono::seconds(5);
  /// A connection of which nothing was heard for so long is lost.
  Duration idle_timeout = std::chrono::seconds(30);
  /// A silent connection is kept alive by a ping this often; zero: it is not.
  Duration keep_alive = std::chrono::seconds(10);
  std::size_t socket_buffer_bytes = std::size_t{4} << 20;
  GateOptions gate;
  /// Everybody must show that he receives at the address that he sends from, before any state is
  /// kept for him; otherwise that is asked when many handshakes are under way.
  bool always_retry = false;

  QuicOptions() = default;
};

/// Errors appear at start(): velo::Errc::invalid_argument without credentials.
std::unique_ptr<Transport> make_quic(QuicOptions options);

/// What a transport over QUIC has seen; all of them only grow.
struct QuicCounts {
  GateCounts gate;
  std::uint64_t datagrams_received = 0;    ///< of UDP
  std::uint64_t datagrams_ignored = 0;     ///< of these, what belongs to no connection
  std::uint64_t retries_sent = 0;          ///< asked to show where they are
  std::uint64_t versions_sent = 0;         ///< told which versions are spoken here
  std::uint64_t resets_sent = 0;           ///< told that their connection is unknown
  std::uint64_t refusals_sent = 0;         ///< told that they are not let in
  std::uint64_t unvalidated_bytes_in = 0;  ///< from addresses before they were validated
  std::uint64_t stateless_bytes_out = 0;   ///< sent without a connection, all of the above
};
/// Nothing if it is no transport over QUIC.
std::optional<QuicCounts> quic_counts(const Transport& transport);

/// What became of a connection's frames that may be lost, and where its peer is now.
struct QuicConnectionCounts {
  std::uint64_t datagrams_sent = 0;          ///< frames that left as datagrams
  std::uint64_t datagrams_acknowledged = 0;  ///< of these, arrived
  std::uint64_t datagrams_lost = 0;          ///< of these, given up
  std::uint64_t datagrams_dropped = 0;       ///< frames that found no room before they were sent
  std::uint64_t datagrams_received = 0;
  std::uint64_t streams_opened = 0;
  std::uint64_t packets_lost = 0;  ///< packets with frames of streams: sent again
  std::uint64_t path_changes = 0;  ///< the peer's address changed, and was validated
};
/// Nothing if it is no connection over QUIC.
std::optional<QuicConnectionCounts> quic_counts(const Connection& connection);

}  // namespace velo::transport
