// SPDX-License-Identifier: Apache-2.0
// The TLS 1.3 inside QUIC, by GnuTLS: this end's certificate as GnuTLS keeps it, made anew when the
// credentials were replaced, and one session for each handshake. Who is believed is decided by
// crypto::TrustStore, as for every transport.
// Threading: TlsCache from any thread; a TlsSession belongs to its connection's shard.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/transport/security.hpp>

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace velo::transport {

/// Immutable; kept by each session that was made with it.
class TlsCredentials {
 public:
  static Result<std::shared_ptr<const TlsCredentials>> create(
      std::shared_ptr<const crypto::Credentials> credentials);
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;
  ~TlsCredentials();

  gnutls_certificate_credentials_t native() const noexcept { return native_; }
  const crypto::Credentials& credentials() const noexcept { return *credentials_; }

 private:
  explicit TlsCredentials(std::shared_ptr<const crypto::Credentials> credentials);

  std::shared_ptr<const crypto::Credentials> credentials_;
  gnutls_certificate_credentials_t native_ = nullptr;
};

/// What new handshakes use.
class TlsCache {
 public:
  explicit TlsCache(std::shared_ptr<crypto::CredentialSource> source)
      : source_(std::move(source)) {}
  Result<std::shared_ptr<const TlsCredentials>> current();

 private:
  const std::shared_ptr<crypto::CredentialSource> source_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const TlsCredentials> made_;
  std::uint64_t generation_ = 0;
};

/// What an alert says, in GnuTLS's words; empty for an unknown one.
std::string_view alert_text(std::uint64_t alert) noexcept;

/// One handshake, and what came of it.
class TlsSession {
 public:
  /// `protocol` is what both ends must speak; `reference` leads from here to the QUIC connection,
  /// `clock` to the time that certificates are judged at. All of them outlive the session.
  TlsSession(bool server, std::shared_ptr<const TlsCredentials> credentials,
             std::string_view protocol, ngtcp2_crypto_conn_ref& reference, Clock& clock);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  gnutls_session_t native() const noexcept { return native_; }
  /// False if the session could not be made.
  bool valid() const noexcept { return valid_; }
  /// Why the peer was refused: its certificate, or transport::Errc::handshake_failed for one that
  /// speaks another protocol.
  const std::optional<Error>& refused() const noexcept { return refused_; }
  /// The alert that tells the peer why.
  std::uint8_t alert() const noexcept { return alert_; }
  /// After the handshake.
  ConnectionSecurity security() const;

  /// The certificate chain that the peer has shown, judged; and the protocol that both speak, which
  /// a peer that names none has not agreed to.
  int verify();

 private:
  bool configure();
  bool agreed() const noexcept;

  const bool server_;
  const std::shared_ptr<const TlsCredentials> credentials_;
  const std::string_view protocol_;
  ngtcp2_crypto_conn_ref& reference_;
  Clock& clock_;
  gnutls_session_t native_ = nullptr;
  bool valid_ = false;
  std::shared_ptr<const crypto::PeerIdentity> peer_;
  std::optional<Error> refused_;
  std::uint8_t alert_ = 0;
};

}  // namespace velo::transport
