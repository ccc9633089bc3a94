// SPDX-License-Identifier: Apache-2.0
// One QUIC connection: the library's state, its TLS session, the streams that it sends and reads.
// The QUIC library is touched here only, on the shard only, and never from within what it calls.
// Everything that it calls leads to QuicConnection, which has what other threads may touch.
// Threading: the shard's thread.
#pragma once

#include "address.hpp"
#include "lanes.hpp"
#include "memory_count.hpp"
#include "tls.hpp"

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/frame_reader.hpp>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::transport {

class QuicConnection;
class QuicEndpoint;

/// Codes of the application with which a connection is closed (docs/protocols/quic.md).
constexpr std::uint64_t quic_code_closed = 0;
constexpr std::uint64_t quic_code_malformed = 1;

class QuicSession {
 public:
  /// A first packet that was let in.
  struct Arrival {
    ngtcp2_pkt_hd header{};
    ngtcp2_cid original_dcid{};  ///< what the client chose first
    bool after_retry = false;
  };

  /// Null when the library or TLS refuse.
  static std::unique_ptr<QuicSession> dial(QuicConnection& owner, QuicEndpoint& endpoint,
                                           std::shared_ptr<const TlsCredentials> credentials,
                                           const QuicRoute& route);
  static std::unique_ptr<QuicSession> accept(QuicConnection& owner, QuicEndpoint& endpoint,
                                             std::shared_ptr<const TlsCredentials> credentials,
                                             const QuicRoute& route, const Arrival& arrival);
  QuicSession(const QuicSession&) = delete;
  QuicSession& operator=(const QuicSession&) = delete;
  ~QuicSession();

  /// A datagram that is for this connection.
  void receive(const QuicRoute& from, ByteSpan datagram);
  /// Writes what there is to write, as far as the other end, the network and the socket take it.
  void flush();
  /// get_expiry() has come.
  void expire();
  /// When expire() is to be called.
  TimePoint expiry() const noexcept;
  /// When to look whether it is: later by up to a millisecond, where only an acknowledgement waits.
  TimePoint alarm() const noexcept;
  /// What was read into the shared buffer is saved: another reader begins there.
  void park();

  /// The last packet, which tells the other end that it is over; empty if there is nobody to tell.
  /// Nothing is written afterwards.
  std::vector<std::uint8_t> last_words();
  /// The ids under which the other end may still send.
  const std::vector<ngtcp2_cid>& ids() const noexcept { return ids_; }
  /// Those that the client chose for its first packets.
  const std::vector<ngtcp2_cid>& first_ids() const noexcept { return first_ids_; }

  TlsSession& tls() noexcept { return *tls_; }
  bool is_server() const noexcept { return server_; }
  /// Everything that was accepted has arrived at the other end.
  bool drained() const noexcept;
  /// What is accepted and not in a packet, and the highest place that is.
  std::uint64_t unsent() const noexcept;
  std::uint64_t sent_position() const noexcept;
  /// Where the other end is now, and where it reaches this one.
  QuicRoute route() const noexcept;

 private:
  friend class QuicCallbacks;

  /// What came before the other end was known to have believed this one.
  struct Early {
    std::int64_t stream;
    std::vector<std::byte> bytes;
    Charge charge;
  };

  QuicSession(QuicConnection& owner, QuicEndpoint& endpoint, bool server);
  bool begin(std::shared_ptr<const TlsCredentials> credentials, const QuicRoute& route,
             const Arrival* arrival);
  void fill_settings(ngtcp2_settings& settings) const;
  void fill_parameters(ngtcp2_transport_params& parameters, const Arrival* arrival,
                       const ngtcp2_cid& own);
  ngtcp2_cid new_id();
  void establish();

  // Reading (session_read.cpp).
  void read(std::int64_t stream, ByteSpan bytes);
  void read_datagram(ByteSpan bytes);
  void explain_end(int code);
  void fail(int code);
  void fail_framing(const Error& error);

  // Writing (session_write.cpp).
  void collect();
  void add_datagram(QueuedFrame&& frame);
  bool datagrams_possible() const noexcept;
  bool open(SendStream& stream);
  ngtcp2_ssize write_packet(std::uint8_t* out, ngtcp2_path_storage& path);
  ngtcp2_ssize write_datagram(std::uint8_t* out, ngtcp2_path_storage& path, bool& again);
  ngtcp2_ssize write_stream(SendStream& stream, std::uint8_t* out, ngtcp2_path_storage& path,
                            bool& again);
  bool all_said(std::size_t packet_bytes) noexcept;
  void finish_sentence();
  void tell_written();

  QuicConnection& owner_;
  QuicEndpoint& endpoint_;
  const bool server_;
  MemoryCount memory_;
  ngtcp2_crypto_conn_ref reference_{};
  std::unique_ptr<TlsSession> tls_;
  ngtcp2_conn* native_ = nullptr;
  std::vector<ngtcp2_cid> ids_;
  std::vector<ngtcp2_cid> first_ids_;
  bool paced_ = false;  ///< beyond this host
  bool confirmed_ = false;
  bool over_ = false;    ///< failed, or told so: nothing more is written
  bool silent_ = false;  ///< the other end needs no last words
  bool was_reset_ = false;
  std::optional<ngtcp2_connection_close_error> farewell_;
  std::uint64_t now_ = 0;
  std::uint64_t handshake_bytes_ = 0;

  Lanes lanes_;
  bool ends_with_data_ = false;  ///< the packet that was written last
  std::vector<QueuedFrame> collected_;
  std::uint64_t collected_position_ = 0;
  std::deque<QueuedFrame> datagrams_;  ///< those that may be lost
  std::size_t datagram_bytes_ = 0;
  std::uint64_t datagrams_sent_position_ = 0;
  std::uint64_t next_datagram_id_ = 1;
  std::map<std::int64_t, FrameReader> readers_;
  std::map<std::int64_t, SendStream*> opened_;
  FrameReader* reading_ = nullptr;  ///< the one that has the shared buffer
  std::vector<Early> early_;
  std::size_t early_bytes_ = 0;
};

}  // namespace velo::transport
