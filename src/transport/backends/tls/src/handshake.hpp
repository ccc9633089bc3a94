// SPDX-License-Identifier: Apache-2.0
// One TLS 1.3 handshake, with both ends authenticated, as a core: bytes in, bytes out, and at the
// end the secrets of both directions and who the other end is. OpenSSL negotiates; whom to believe
// is the TrustStore's judgement, at the `now` that is passed in.
//
// It ends when this end knows that the other one accepts it. For the accepting end that is when the
// client's certificate was verified; it then sends an empty record, for which the dialling end
// waits: in TLS 1.3 a client is done before its certificate was looked at.
// Threading: one thread at a time.
#pragma once

#include "context.hpp"
#include "records.hpp"

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/trust.hpp>
#include <velo/transport/gate.hpp>
#include <velo/transport/stream_transport.hpp>

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport::tls {

/// What a handshake holds at most, roughly; charged while it lasts.
constexpr std::size_t handshake_memory_bytes = std::size_t{64} << 10;

/// The two ends of an established connection, and what came behind the handshake.
struct Established {
  RecordSealer sealer;
  RecordOpener opener;
  std::vector<std::byte> rest;
  ConnectionSecurity security;
};

class Handshake {
 public:
  enum class State : std::uint8_t { working, done, failed };

  Handshake(std::shared_ptr<const Context> context, StreamRole role, std::size_t bytes_max);
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake();

  /// Goes on with what was received, perhaps nothing. A dialling end has to be advanced once before
  /// it has anything to send.
  State advance(ByteSpan received, WallTime now);
  /// What is to be sent, in order; after a failure, too (it tells the other end why).
  std::vector<std::byte> take_output();
  bool has_output() const noexcept { return !output_.empty(); }

  /// With State::done, once.
  Established take_established();
  /// With State::failed.
  const StreamRefusal& refusal() const noexcept { return *refusal_; }

 private:
  friend struct HandshakeCallbacks;
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };

  State fail(GateRefusal reason, Error error);
  State fail_ssl();
  State step();
  State finish();
  State confirm();
  State refused_by_alert(int alert);
  bool plausible(ByteSpan received);
  void collect_output();
  std::optional<DirectionSecret> direction(const TrafficSecret& secret) const;
  ConnectionSecurity describe() const;

  const std::shared_ptr<const Context> context_;
  const StreamRole role_;
  const std::size_t bytes_max_;
  std::unique_ptr<SSL, Free> ssl_;
  State state_ = State::working;
  std::size_t received_bytes_ = 0;
  /// The beginning of what a client sends: what it claims to send is checked before OpenSSL makes
  /// room for it.
  std::array<std::byte, 9> opening_{};
  std::size_t opening_bytes_ = 0;
  WallTime now_;
  std::vector<std::byte> output_;
  // What OpenSSL told.
  TrafficSecret client_secret_{};
  TrafficSecret server_secret_{};
  unsigned secrets_ = 0;
  std::shared_ptr<const crypto::PeerIdentity> peer_;
  std::optional<Error> distrust_;  ///< what the TrustStore had against the other end
  // After OpenSSL's part.
  std::optional<RecordSealer> sealer_;
  std::optional<RecordOpener> opener_;
  std::vector<std::byte> rest_;
  std::optional<StreamRefusal> refusal_;
};

/// The name of an alert that ends a connection, and what it says of us.
StreamRefusal refusal_of_alert(int alert);

}  // namespace velo::transport::tls
