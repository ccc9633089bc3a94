// SPDX-License-Identifier: Apache-2.0
// Answers to OpenSSL's questions.

#include "handshake_callbacks.hpp"

#include "handshake.hpp"

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/limits.hpp>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <charconv>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::tls {
namespace handshake_callbacks_detail {

static Handshake& handshake_of(const SSL* ssl) {
  return *static_cast<Handshake*>(SSL_get_app_data(ssl));
}

/// From which OpenSSL derives the alert that the other end is told.
static int x509_error_of(const Error& error) {
  if (error.is(crypto::Errc::expired)) return X509_V_ERR_CERT_HAS_EXPIRED;
  if (error.is(crypto::Errc::not_yet_valid)) return X509_V_ERR_CERT_NOT_YET_VALID;
  if (error.is(crypto::Errc::revoked)) return X509_V_ERR_CERT_REVOKED;
  if (error.is(crypto::Errc::wrong_purpose)) return X509_V_ERR_INVALID_PURPOSE;
  if (error.is(crypto::Errc::untrusted)) return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
  return X509_V_ERR_CERT_REJECTED;
}

static Result<std::vector<crypto::Certificate>> read_chain(STACK_OF(X509) * presented) {
  const int count = sk_X509_num(presented);
  if (count < 1 || static_cast<std::size_t>(count) > crypto::limits::chain_length_max) {
    return crypto::make_error(crypto::Errc::malformed, "a chain of " + std::to_string(count));
  }
  std::vector<crypto::Certificate> chain;
  for (int i = 0; i < count; ++i) {
    const X509* each = sk_X509_value(presented, i);
    const int size = i2d_X509(each, nullptr);
    if (size <= 0 || static_cast<std::size_t>(size) > crypto::limits::certificate_bytes_max) {
      return crypto::make_error(crypto::Errc::malformed, "a certificate's size");
    }
    std::vector<unsigned char> der(static_cast<std::size_t>(size));
    unsigned char* end = der.data();
    i2d_X509(each, &end);
    Result<crypto::Certificate> read = crypto::Certificate::from_der(std::as_bytes(std::span(der)));
    if (!read) return read.error();
    chain.push_back(std::move(*read));
  }
  return chain;
}

static bool read_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* begin = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, out[i], 16);
    if (error != std::errc() || end != begin + 2) return false;
  }
  return true;
}

}  // namespace handshake_callbacks_detail

namespace callbacks = handshake_callbacks_detail;

int HandshakeCallbacks::verify(X509_STORE_CTX* store, void* /*unused*/) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Handshake& handshake = callbacks::handshake_of(ssl);
  const auto chain = callbacks::read_chain(X509_STORE_CTX_get0_untrusted(store));
  Result<crypto::PeerIdentity> judged =
      crypto::make_error(crypto::Errc::malformed, "no certificate");
  if (chain) {
    const bool is_client = handshake.role_ == StreamRole::accepted;
    judged = handshake.context_->credentials().trust->verify(
        *chain, is_client ? crypto::Purpose::client : crypto::Purpose::server, handshake.now_);
  } else {
    judged = chain.error();
  }
  if (!judged) {
    handshake.distrust_ = judged.error();
    X509_STORE_CTX_set_error(store, callbacks::x509_error_of(judged.error()));
    return 0;
  }
  handshake.peer_ = std::make_shared<const crypto::PeerIdentity>(std::move(*judged));
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

int HandshakeCallbacks::client_hello(SSL* ssl, int* alert, void* /*unused*/) {
  const unsigned char* extension = nullptr;
  std::size_t bytes = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension,
                                &bytes) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  // An old client offers no such thing either, and is to learn that its version is the reason.
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &extension, &bytes) != 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

int HandshakeCallbacks::choose_protocol(SSL* /*ssl*/, const unsigned char** chosen,
                                        unsigned char* chosen_bytes, const unsigned char* offered,
                                        unsigned offered_bytes, void* /*unused*/) {
  for (unsigned at = 0; at < offered_bytes; at += 1U + offered[at]) {
    if (offered[at] != protocol_name.size() || offered_bytes - at - 1 < protocol_name.size()) {
      continue;
    }
    if (std::memcmp(offered + at + 1, protocol_name.data(), protocol_name.size()) != 0) continue;
    *chosen = offered + at + 1;
    *chosen_bytes = static_cast<unsigned char>(protocol_name.size());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void HandshakeCallbacks::key_line(const SSL* ssl, const char* line) {
  Handshake& handshake = callbacks::handshake_of(ssl);
  // LABEL, the client's random value, the secret.
  const std::string_view text(line);
  const std::size_t label_end = text.find(' ');
  const std::size_t secret_begin = text.rfind(' ');
  if (label_end == text.npos || secret_begin == label_end) return;
  const std::string_view label = text.substr(0, label_end);
  const std::string_view secret = text.substr(secret_begin + 1);
  if (label == "CLIENT_TRAFFIC_SECRET_0" && callbacks::read_hex(secret, handshake.client_secret_)) {
    handshake.secrets_ |= 1U;
  } else if (label == "SERVER_TRAFFIC_SECRET_0" &&
             callbacks::read_hex(secret, handshake.server_secret_)) {
    handshake.secrets_ |= 2U;
  }
}

}  // namespace velo::transport::tls
