// SPDX-License-Identifier: Apache-2.0
// The transport's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>
#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::transport::limits {

/// Size from which a payload is shared instead of copied, when the sender gave its owner. Policy:
/// smaller ones are copied together.
constexpr std::size_t shared_payload_bytes_min = std::size_t{16} << 10;
/// What one block of an outgoing queue holds of small frames. Policy: more goes to the next block.
constexpr std::size_t write_block_bytes = std::size_t{64} << 10;
/// The scratch buffer that all stream connections of one shard read into. Policy: the rest waits
/// for the next read; a larger frame gets a block of its own.
constexpr std::size_t read_buffer_bytes = std::size_t{256} << 10;
/// Header of a frame (name 65,535 + headers 16,384 + fixed part). Policy: a longer one is not sent,
/// and one that arrives closes its connection before it is buffered.
constexpr std::size_t header_bytes_max = 65'535 + 16'384 + 64;
/// An address entry. Policy: a longer one is refused (Errc::invalid_address).
constexpr std::size_t address_entry_bytes_max = std::size_t{16} << 10;
/// Endpoints of one address entry. Policy: an entry with more is refused (Errc::invalid_address).
constexpr std::size_t address_endpoints_max = 256;

// Of one listener, unless its options say otherwise. "Source": an IPv4 address, the /64 of an IPv6
// address; loopback and Unix sockets are not told apart, and have no limits per source.

/// Connections of one listener at once. Policy: further ones are closed at once and counted.
constexpr std::size_t accepted_connections_max = 16'384;
/// Of these, from one source. Policy: further ones are closed at once and counted.
constexpr std::size_t accepted_per_source_max = 1024;
/// Connections of one listener whose other end has not proved who it is yet. Policy: further ones
/// are closed at once and counted.
constexpr std::size_t unauthenticated_max = 256;
/// Of these, from one source. Policy: further ones are closed at once and counted.
constexpr std::size_t unauthenticated_per_source_max = 64;
/// Handshakes that one source may begin in a second, once its burst is used up. Policy: further
/// ones are closed at once and counted.
constexpr std::uint32_t handshakes_per_source_per_second = 64;
/// Handshakes that one source may begin at once after a pause. Policy: as above.
constexpr std::uint32_t handshakes_burst_per_source = 256;
/// Sources without a connection whose recent handshakes are remembered. Policy: the one that is
/// silent for longest is forgotten.
constexpr std::size_t handshake_sources_max = 4096;
/// Bytes that an end which has not proved who it is may send. Policy: with more, the connection is
/// closed and counted.
constexpr std::size_t handshake_bytes_max = std::size_t{64} << 10;
/// Time for the other end to prove who it is. Policy: then the connection is closed and counted.
constexpr Duration handshake_time_max = std::chrono::seconds(5);

/// TLS: full records of ciphertext that a connection has under way while the other end does not
/// read; charged to the memory budget, as is the part of a record that has come. Policy: without
/// room it goes on in records of 746 bytes.
constexpr std::size_t tls_batch_records = 4;
/// TLS: records in a row that carry no data. Policy: with more, the connection is closed.
constexpr unsigned tls_idle_records_max = 32;

/// One direction of a connection over shared memory. Policy: who writes waits for room; a longer
/// frame passes in parts.
constexpr std::size_t shm_ring_bytes_default = std::size_t{1} << 20;
/// The shortest ring. Policy: with less, a transport does not start, and a region that a peer
/// offers is refused.
constexpr std::size_t shm_ring_bytes_min = std::size_t{4} << 10;
/// The longest ring. Policy: with more, a transport does not start, and a region that a peer offers
/// is refused.
constexpr std::size_t shm_ring_bytes_max = std::size_t{16} << 20;
/// Rings of all connections of one transport; what is free is shared by quarters, so that 125
/// connections with rings of the default length have room. Not of the node's budget, which idle
/// rings would use up. Policy: further connections are refused (Errc::no_room, and counted);
/// the peer is reached by another transport.
constexpr std::size_t shm_memory_bytes_default = std::size_t{256} << 20;

// Of QUIC.

/// Streams on which lanes other than 0 are ordered. Policy: lanes whose numbers agree modulo this
/// share one, and wait for each other.
constexpr std::size_t quic_ordered_streams_max = 16;
/// Streams for frames in no order. Policy: when all of them have something under way, the one with
/// the least takes the next frame.
constexpr std::size_t quic_unordered_streams_max = 31;
/// Streams that the other end may open. Policy: the QUIC library closes a connection with more.
constexpr std::size_t quic_streams_max = 64;
/// What one stream may have under way to here. Policy: the sender waits.
constexpr std::size_t quic_stream_window_bytes = std::size_t{8} << 20;
/// What all streams of a connection may have under way to here; it may have to be kept while
/// something before it is missing, and is charged then. Policy: the sender waits.
constexpr std::size_t quic_connection_window_bytes = std::size_t{16} << 20;
/// What the QUIC library holds for a connection without charging it. Policy: more is charged to the
/// budget.
constexpr std::size_t quic_uncharged_bytes = std::size_t{128} << 10;
/// What may arrive on streams before the other end has confirmed the handshake; charged. Policy:
/// with more, the connection is closed.
constexpr std::size_t quic_early_bytes_max = std::size_t{1} << 20;
/// A frame that may be lost and is at most so long, preamble included, travels as a datagram.
/// Policy: a longer one travels on its lane's stream.
constexpr std::size_t quic_datagram_bytes_max = 1100;
/// Frames that may be lost and wait to be sent. Policy: further ones are dropped and counted.
constexpr std::size_t quic_datagrams_queued_max = 256;
/// Connection ids of the other end that are kept. Policy: it is told not to send more.
constexpr std::size_t quic_ids_max = 4;
/// Handshakes under way from which on everybody is first asked to show where he is (Retry). Policy:
/// nothing is kept for who has not.
constexpr std::size_t quic_retry_from_handshakes = 32;
/// How long the answer to that question is good. Policy: a later one is refused.
constexpr Duration quic_token_time = std::chrono::seconds(10);
/// Connections that are over and whose goodbye is said again to packets that come late. Policy: the
/// oldest is forgotten.
constexpr std::size_t quic_closed_kept_max = 1024;
/// For so long. Policy: afterwards they are answered as any unknown connection is.
constexpr Duration quic_closed_kept_time = std::chrono::seconds(5);
/// Stateless resets in a second. Policy: further packets of unknown connections are not answered.
constexpr std::uint32_t quic_resets_per_second = 100;

}  // namespace velo::transport::limits
