// SPDX-License-Identifier: Apache-2.0
// A client over QUIC with a certificate that is believed, made of ngtcp2 and GnuTLS directly, which
// says on its streams and in its datagrams whatever it is told to.
// Threading: one thread.
#pragma once

#include <velo/crypto/credentials.hpp>
#include <velo/sim/simulation.hpp>

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "address.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {

class QuicLiar {
 public:
  QuicLiar(sim::SimNode& node, std::uint16_t port, const Endpoint& server,
           const crypto::Credentials& credentials);
  QuicLiar(const QuicLiar&) = delete;
  QuicLiar& operator=(const QuicLiar&) = delete;
  ~QuicLiar();

  bool connected() const noexcept { return connected_; }
  /// The other end has closed, or there is nothing more to be said.
  bool over() const noexcept { return over_; }

  /// On its `index`th stream; false when it cannot have so many.
  bool say(std::size_t index, std::string_view bytes, bool and_end = false);
  void say_datagram(std::string_view bytes);
  void reset(std::size_t index, std::uint64_t code);
  /// Asks the other end to stop sending on the first stream that it opened; false if there is none.
  bool refuse_theirs(std::uint64_t code);
  void close(bool in_the_applications_name, std::uint64_t code, std::string_view reason);
  /// Timers and what is to be sent; to be called as time goes on.
  void tick();

 private:
  friend struct QuicLiarCallbacks;
  struct Chunk {
    std::int64_t stream;      ///< -1: a datagram
    std::vector<char> bytes;  ///< stays where it is when this is moved
    std::size_t sent = 0;
    bool end = false;
  };

  void begin_tls(const crypto::Credentials& credentials);
  void hear(ByteSpan datagram);
  void flush();
  ngtcp2_ssize write(std::uint8_t* out, std::size_t room, bool& blocked);
  std::uint64_t now() const;

  sim::SimNode& node_;
  const Endpoint server_;
  std::unique_ptr<DatagramSocket> socket_;
  QuicPath path_;
  ngtcp2_conn* native_ = nullptr;
  gnutls_session_t tls_ = nullptr;
  gnutls_certificate_credentials_t certificate_ = nullptr;
  ngtcp2_crypto_conn_ref reference_{};
  bool connected_ = false;
  bool over_ = false;
  std::vector<std::int64_t> streams_;
  std::int64_t theirs_ = -1;
  std::deque<Chunk> chunks_;
  std::deque<Chunk> said_;  ///< kept until the end: the library keeps pointers
};

}  // namespace velo::transport
