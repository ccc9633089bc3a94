// SPDX-License-Identifier: Apache-2.0
// GnuTLS sessions, and the judgement of what the peer shows.

#include "tls.hpp"

#include "session.hpp"

#include <velo/base/world.hpp>
#include <velo/crypto/limits.hpp>
#include <velo/transport/transport.hpp>

#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport {
namespace tls_detail {

/// TLS 1.3 only, forward secret key exchanges that everybody has, authenticated encryption only.
constexpr const char* priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE";

static gnutls_datum_t datum(ByteSpan bytes) noexcept {
  // GnuTLS reads only.
  auto* data = const_cast<std::byte*>(bytes.data());
  return {reinterpret_cast<unsigned char*>(data), static_cast<unsigned>(bytes.size())};
}

struct Imported {
  std::vector<gnutls_x509_crt_t> chain;
  gnutls_x509_privkey_t key = nullptr;

  Imported() = default;
  Imported(const Imported&) = delete;
  Imported& operator=(const Imported&) = delete;
  ~Imported() {
    for (gnutls_x509_crt_t certificate : chain) gnutls_x509_crt_deinit(certificate);
    if (key != nullptr) gnutls_x509_privkey_deinit(key);
  }

  int read(const crypto::Credentials& from) {
    for (const crypto::Certificate& certificate : from.chain) {
      gnutls_x509_crt_t made = nullptr;
      if (const int code = gnutls_x509_crt_init(&made); code < 0) return code;
      chain.push_back(made);
      const gnutls_datum_t der = datum(certificate.der());
      if (const int code = gnutls_x509_crt_import(made, &der, GNUTLS_X509_FMT_DER); code < 0) {
        return code;
      }
    }
    if (const int code = gnutls_x509_privkey_init(&key); code < 0) return code;
    const Bytes secret = from.key.to_der();
    const gnutls_datum_t der = datum(secret);
    return gnutls_x509_privkey_import_pkcs8(key, &der, GNUTLS_X509_FMT_DER, nullptr,
                                            GNUTLS_PKCS_PLAIN);
  }
};

/// Alerts of RFC 8446, section 6.2.
static std::uint8_t alert_for(const Error& error) {
  if (error.is(crypto::Errc::expired) || error.is(crypto::Errc::not_yet_valid)) {
    return GNUTLS_A_CERTIFICATE_EXPIRED;
  }
  if (error.is(crypto::Errc::revoked)) return GNUTLS_A_CERTIFICATE_REVOKED;
  if (error.is(crypto::Errc::untrusted)) return GNUTLS_A_UNKNOWN_CA;
  if (error.is(crypto::Errc::wrong_purpose)) return GNUTLS_A_UNSUPPORTED_CERTIFICATE;
  return GNUTLS_A_BAD_CERTIFICATE;
}

static Result<std::vector<crypto::Certificate>> shown_by_peer(gnutls_session_t session) {
  unsigned count = 0;
  const gnutls_datum_t* list = gnutls_certificate_get_peers(session, &count);
  std::vector<crypto::Certificate> chain;
  if (list == nullptr || count == 0) {
    return crypto::make_error(crypto::Errc::untrusted, "no certificate was shown");
  }
  if (count > crypto::limits::chain_length_max) {
    return crypto::make_error(crypto::Errc::malformed, "too long a chain");
  }
  for (const gnutls_datum_t& one : std::span(list, count)) {
    auto certificate =
        crypto::Certificate::from_der({reinterpret_cast<const std::byte*>(one.data), one.size});
    if (!certificate) return certificate.error();
    chain.push_back(std::move(*certificate));
  }
  return chain;
}

static int verify_peer(gnutls_session_t session) {
  auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
  return static_cast<QuicSession*>(reference->user_data)->tls().verify();
}

}  // namespace tls_detail

TlsCredentials::TlsCredentials(std::shared_ptr<const crypto::Credentials> credentials)
    : credentials_(std::move(credentials)) {}

TlsCredentials::~TlsCredentials() {
  if (native_ != nullptr) gnutls_certificate_free_credentials(native_);
}

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::create(
    std::shared_ptr<const crypto::Credentials> credentials) {
  std::shared_ptr<TlsCredentials> made(new TlsCredentials(std::move(credentials)));
  tls_detail::Imported imported;
  int code = imported.read(*made->credentials_);
  if (code >= 0) code = gnutls_certificate_allocate_credentials(&made->native_);
  if (code >= 0) {
    code = gnutls_certificate_set_x509_key(made->native_, imported.chain.data(),
                                           static_cast<int>(imported.chain.size()), imported.key);
  }
  if (code < 0) {
    return velo::make_error(velo::Errc::invalid_argument,
                            std::string("credentials: ") + gnutls_strerror(code));
  }
  gnutls_certificate_set_verify_function(made->native_, &tls_detail::verify_peer);
  return std::shared_ptr<const TlsCredentials>(std::move(made));
}

Result<std::shared_ptr<const TlsCredentials>> TlsCache::current() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t generation = source_->generation();
  if (made_ != nullptr && generation == generation_) return made_;
  auto made = TlsCredentials::create(source_->current());
  if (!made) return made.error();
  made_ = std::move(*made);
  generation_ = generation;
  return made_;
}

std::string_view alert_text(std::uint64_t alert) noexcept {
  const char* text = alert <= 0xff
                         ? gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(alert))
                         : nullptr;
  return text != nullptr ? text : "";
}

TlsSession::TlsSession(bool server, std::shared_ptr<const TlsCredentials> credentials,
                       std::string_view protocol, ngtcp2_crypto_conn_ref& reference, Clock& clock)
    : server_(server),
      credentials_(std::move(credentials)),
      protocol_(protocol),
      reference_(reference),
      clock_(clock),
      valid_(configure()) {}

TlsSession::~TlsSession() {
  if (native_ != nullptr) gnutls_deinit(native_);
}

bool TlsSession::configure() {
  // Neither tickets nor early data: no resumption, so nothing that could be replayed.
  const unsigned flags =
      (server_ ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;
  if (gnutls_init(&native_, flags) < 0) return false;
  gnutls_session_set_ptr(native_, &reference_);
  if (gnutls_priority_set_direct(native_, tls_detail::priorities, nullptr) < 0) return false;
  const int configured = server_ ? ngtcp2_crypto_gnutls_configure_server_session(native_)
                                 : ngtcp2_crypto_gnutls_configure_client_session(native_);
  if (configured != 0) return false;
  if (gnutls_credentials_set(native_, GNUTLS_CRD_CERTIFICATE, credentials_->native()) < 0) {
    return false;
  }
  if (server_) gnutls_certificate_server_set_request(native_, GNUTLS_CERT_REQUIRE);
  if (protocol_.empty()) return true;
  const gnutls_datum_t protocol = tls_detail::datum(as_bytes(protocol_));
  return gnutls_alpn_set_protocols(native_, &protocol, 1, GNUTLS_ALPN_MANDATORY) >= 0;
}

/// GnuTLS refuses who offers others, but lets those pass who say nothing of protocols.
bool TlsSession::agreed() const noexcept {
  gnutls_datum_t selected{};
  if (gnutls_alpn_get_selected_protocol(native_, &selected) < 0) return protocol_.empty();
  return std::string_view(reinterpret_cast<const char*>(selected.data), selected.size) == protocol_;
}

int TlsSession::verify() {
  if (!agreed()) {
    refused_ = transport::make_error(transport::Errc::handshake_failed,
                                     "does not speak " + std::string(protocol_));
    alert_ = GNUTLS_A_NO_APPLICATION_PROTOCOL;
    return GNUTLS_E_NO_APPLICATION_PROTOCOL;
  }
  auto chain = tls_detail::shown_by_peer(native_);
  Result<crypto::PeerIdentity> judged =
      chain ? credentials_->credentials().trust->verify(
                  *chain, server_ ? crypto::Purpose::client : crypto::Purpose::server,
                  clock_.wall_now())
            : Result<crypto::PeerIdentity>(chain.error());
  if (judged) {
    peer_ = std::make_shared<const crypto::PeerIdentity>(std::move(*judged));
    return 0;
  }
  refused_ = judged.error();
  alert_ = tls_detail::alert_for(judged.error());
  return GNUTLS_E_CERTIFICATE_ERROR;
}

ConnectionSecurity TlsSession::security() const {
  ConnectionSecurity security;
  security.is_private = true;
  security.peer = peer_;
  security.own_public_key = credentials_->credentials().chain.front().public_key().der();
  const char* suite = gnutls_ciphersuite_get(native_);
  security.protocol = std::string("TLS 1.3, ") + (suite != nullptr ? suite : "unknown");
  return security;
}

}  // namespace velo::transport
