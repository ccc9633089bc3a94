// SPDX-License-Identifier: Apache-2.0
// What the handshakes of one generation of credentials share: OpenSSL's contexts, TLS 1.3 only, and
// the credentials themselves. ContextCache makes them when the credentials were replaced.
// Threading: a Context is immutable; ContextCache from any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/transport/stream_transport.hpp>

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

namespace velo::transport::tls {

/// What both ends must offer and choose (ALPN).
constexpr std::string_view protocol_name = "velo/1";

class Context {
 public:
  /// Errc::... of OpenSSL's refusal as velo::Errc::invalid_argument.
  static Result<std::shared_ptr<const Context>> create(
      std::shared_ptr<const crypto::Credentials> credentials);

  SSL_CTX* of(StreamRole role) const noexcept {
    return role == StreamRole::accepted ? server_.get() : client_.get();
  }
  const crypto::Credentials& credentials() const noexcept { return *credentials_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  using Handle = std::unique_ptr<SSL_CTX, Free>;

  explicit Context(std::shared_ptr<const crypto::Credentials> credentials)
      : credentials_(std::move(credentials)) {}
  Result<void> prepare(SSL_CTX* context) const;

  const std::shared_ptr<const crypto::Credentials> credentials_;
  Handle server_;
  Handle client_;
};

class ContextCache {
 public:
  explicit ContextCache(std::shared_ptr<crypto::CredentialSource> source)
      : source_(std::move(source)) {}

  /// Of the current credentials.
  Result<std::shared_ptr<const Context>> current();

 private:
  const std::shared_ptr<crypto::CredentialSource> source_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::uint64_t generation_ = 0;
  std::shared_ptr<const Context> context_;
};

}  // namespace velo::transport::tls
