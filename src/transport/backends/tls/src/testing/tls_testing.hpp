// SPDX-License-Identifier: Apache-2.0
// What the tests of TLS share: OpenSSL as the foreign peer, over a pair of memory buffers or a
// blocking socket; a raw stream of what TLS carries.
// Threading: the test's own thread; streams on their shard.
#pragma once

#include "environment.hpp"
#include "securing.hpp"

#include <velo/base/network.hpp>
#include <velo/transport/conformance/identities.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::tls::testing {

namespace conf = velo::transport::conformance;

/// How a foreign peer presents itself; what is wrong with it is what a test changes.
struct ForeignOptions {
  std::optional<conf::Identity> identity;
  std::vector<crypto::Certificate> chain;
  int version = TLS1_3_VERSION;
  std::string protocol = "velo/1";  ///< empty: none is offered
  bool is_server = false;

  ForeignOptions() = default;
};

/// OpenSSL, as anybody has it, at the other end. Believes everybody.
class Foreign {
 public:
  explicit Foreign(const ForeignOptions& options)
      : context_(SSL_CTX_new(options.is_server ? TLS_server_method() : TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    if (options.identity) {
      SSL_CTX_use_certificate(context_.get(),
                              static_cast<X509*>(options.identity->certificate.native()));
      SSL_CTX_use_PrivateKey(context_.get(),
                             static_cast<EVP_PKEY*>(options.identity->key.native()));
    }
    for (const crypto::Certificate& each : options.chain) {
      SSL_CTX_add1_chain_cert(context_.get(), static_cast<X509*>(each.native()));
    }
    ssl_.reset(SSL_new(context_.get()));
    if (!options.protocol.empty()) {
      std::string offer(1, static_cast<char>(options.protocol.size()));
      offer += options.protocol;
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                          static_cast<unsigned>(offer.size()));
    }
    if (options.is_server) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
    }
  }

  SSL* ssl() noexcept { return ssl_.get(); }

  /// Over memory: give() what came, take() what is to be sent.
  void use_memory() {
    BIO* in = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl_.get(), in, BIO_new(BIO_s_mem()));
  }
  void give(ByteSpan bytes) {
    if (!bytes.empty()) {
      BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    }
  }
  std::string take() {
    std::string all(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())), '\0');
    if (!all.empty()) BIO_read(SSL_get_wbio(ssl_.get()), all.data(), static_cast<int>(all.size()));
    return all;
  }
  /// A step of the handshake; true once it is over.
  bool step() { return SSL_do_handshake(ssl_.get()) == 1; }
  /// The alert that the other end sent, or -1.
  int alert() {
    char byte = 0;
    SSL_read(ssl_.get(), &byte, 1);
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
      const int reason = ERR_GET_REASON(code);
      if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        alert_ = reason - SSL_AD_REASON_OFFSET;
      }
    }
    return alert_;
  }

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  std::unique_ptr<SSL, Free> ssl_;
  int alert_ = -1;
};

inline ForeignOptions foreign_node(std::uint8_t number) {
  ForeignOptions options;
  options.identity =
      conf::make_identity(conf::test_authority(), number, conf::issue_options("foreign"));
  return options;
}

/// Connects and makes secure; hands over the stream of what is carried.
class RawConnecting final : public Connecting {
 public:
  RawConnecting(World& world, const Endpoint& endpoint,
                std::shared_ptr<crypto::CredentialSource> as, StreamHandler done)
      : guard_(GuardParts{world, std::make_shared<MemoryBudget>(),
                          std::make_shared<ContextCache>(std::move(as)),
                          std::make_shared<Environment>(std::make_shared<MemoryBudget>()),
                          limits::handshake_bytes_max}),
        done_(std::move(done)) {
    Shard& shard = world.shard(0);
    attempt_ = world.network().connect(
        shard, endpoint, ConnectOptions(),
        [this, &shard](Result<std::unique_ptr<ByteStream>> stream) {
          if (!stream) return done_(stream.error());
          securing_ = guard_.secure(std::move(*stream), StreamRole::dialled,
                                    shard.now() + limits::handshake_time_max,
                                    [this](std::expected<SecuredStream, StreamRefusal> outcome) {
                                      if (!outcome) return done_(outcome.error().error);
                                      done_(std::move(outcome->stream));
                                    });
        });
  }

 private:
  TlsGuard guard_;
  StreamHandler done_;
  std::unique_ptr<Securing> securing_;
  std::unique_ptr<Connecting> attempt_;
};

}  // namespace velo::transport::tls::testing
