// SPDX-License-Identifier: Apache-2.0
// One end of a bare exchange over QUIC: ngtcp2 and GnuTLS directly, one connection, one stream, one
// thread with epoll; packets leave by segmentation offload and arrive by receive offload. What is
// sent are bytes of a constant buffer, and what arrives is copied and counted: nothing is cheaper.
// Threading: one thread.
#pragma once

#include <velo/bench/measure.hpp>

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <netinet/in.h>
#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace velo::bench::floor_quic_detail {

class QuicEnd {
 public:
  /// A socket on loopback; connected if `port` is not 0.
  explicit QuicEnd(std::uint16_t port);
  QuicEnd(const QuicEnd&) = delete;
  QuicEnd& operator=(const QuicEnd&) = delete;
  ~QuicEnd() = default;  // the process ends with it

  std::uint16_t port() const;
  /// Waits for a client's first packet; with a certificate made just now.
  void accept();
  /// Until the handshake is complete and the stream is open.
  void connect();

  void send(std::uint64_t bytes) { pending_ += bytes; }
  /// A byte that ends a batch, behind everything.
  void send_mark() { mark_ = true; }
  std::uint64_t pending() const noexcept { return pending_ + (mark_ ? 1 : 0); }
  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t marks() const noexcept { return marks_; }
  /// Writes what there is to write.
  void flush();
  /// Waits for packets or a timer, takes them in, and flushes.
  void step();

 private:
  friend struct QuicEndCallbacks;

  void begin(bool server, const ngtcp2_pkt_hd* first);
  void start_tls(bool server);
  void take(const std::uint8_t* packet, std::size_t size);
  void receive();
  void add(std::size_t size);
  void hand_over();
  ngtcp2_path path();

  int fd_ = -1;
  int epoll_ = -1;
  sockaddr_in local_{};
  sockaddr_in remote_{};
  ngtcp2_conn* native_ = nullptr;
  gnutls_session_t tls_ = nullptr;
  ngtcp2_crypto_conn_ref reference_{};
  bool complete_ = false;
  std::int64_t stream_ = -1;
  std::uint64_t pending_ = 0;
  bool mark_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t marks_ = 0;

  std::vector<std::uint8_t> out_ = std::vector<std::uint8_t>(std::size_t{64} << 10);
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t segment_ = 0;
  std::vector<std::uint8_t> in_ = std::vector<std::uint8_t>(std::size_t{64} << 10);
};

}  // namespace velo::bench::floor_quic_detail
