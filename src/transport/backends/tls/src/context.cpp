// SPDX-License-Identifier: Apache-2.0
// How OpenSSL is set up: TLS 1.3, both ends authenticated, nothing that is kept between
// connections.

#include "context.hpp"

#include "handshake_callbacks.hpp"

#include <velo/crypto/limits.hpp>
#include <velo/transport/limits.hpp>

#include <openssl/err.h>

#include <array>
#include <string>

namespace velo::transport::tls {
namespace context_detail {

static Error refused(const char* what) {
  std::array<char, 200> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return velo::make_error(velo::Errc::invalid_argument, std::string(what) + ": " + text.data());
}

}  // namespace context_detail

Result<std::shared_ptr<const Context>> Context::create(
    std::shared_ptr<const crypto::Credentials> credentials) {
  const std::shared_ptr<Context> context(new Context(std::move(credentials)));
  context->server_.reset(SSL_CTX_new(TLS_server_method()));
  context->client_.reset(SSL_CTX_new(TLS_client_method()));
  if (!context->server_ || !context->client_) return context_detail::refused("SSL_CTX_new");
  for (SSL_CTX* each : {context->server_.get(), context->client_.get()}) {
    if (const Result<void> prepared = context->prepare(each); !prepared) return prepared.error();
  }
  SSL_CTX_set_client_hello_cb(context->server_.get(), HandshakeCallbacks::client_hello, nullptr);
  SSL_CTX_set_alpn_select_cb(context->server_.get(), HandshakeCallbacks::choose_protocol, nullptr);
  std::string offer(1, static_cast<char>(protocol_name.size()));
  offer += protocol_name;
  // Zero is success, of this function only.
  if (SSL_CTX_set_alpn_protos(context->client_.get(),
                              reinterpret_cast<const unsigned char*>(offer.data()),
                              static_cast<unsigned>(offer.size())) != 0) {
    return context_detail::refused("ALPN");
  }
  return std::shared_ptr<const Context>(context);
}

Result<void> Context::prepare(SSL_CTX* context) const {
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") !=
          1 ||
      SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1 ||
      SSL_CTX_set1_sigalgs_list(context, "ed25519:ECDSA+SHA256") != 1) {
    return context_detail::refused("TLS 1.3");
  }
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_early_data(context, 0);
  SSL_CTX_set_recv_max_early_data(context, 0);
  SSL_CTX_set_max_cert_list(context, static_cast<long>(limits::handshake_bytes_max / 2));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, HandshakeCallbacks::verify, nullptr);
  SSL_CTX_set_keylog_callback(context, HandshakeCallbacks::key_line);
  const std::vector<crypto::Certificate>& chain = credentials_->chain;
  if (SSL_CTX_use_certificate(context, static_cast<X509*>(chain.front().native())) != 1 ||
      SSL_CTX_use_PrivateKey(context, static_cast<EVP_PKEY*>(credentials_->key.native())) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return context_detail::refused("the certificate or its key");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, static_cast<X509*>(chain[i].native())) != 1) {
      return context_detail::refused("the certificate's chain");
    }
  }
  return {};
}

Result<std::shared_ptr<const Context>> ContextCache::current() {
  const std::lock_guard lock(mutex_);
  // Read before the credentials: newer ones than that are found the next time.
  const std::uint64_t generation = source_->generation();
  if (context_ != nullptr && generation == generation_) return context_;
  Result<std::shared_ptr<const Context>> made = Context::create(source_->current());
  if (!made) return made.error();
  generation_ = generation;
  context_ = std::move(*made);
  return context_;
}

}  // namespace velo::transport::tls
