// SPDX-License-Identifier: Apache-2.0
// What a secure transport presents and believes: a key, its certificate chain, and whom it trusts;
// and the holder through which they are replaced while connections go on. New handshakes use what
// is current; established connections keep what they were made with.
// Threading: CredentialSource from any thread; Credentials are immutable.
#pragma once

#include <velo/base/error.hpp>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace velo::crypto {

struct Credentials {
  PrivateKey key;
  std::vector<Certificate> chain;  ///< the leaf first; its key is `key`'s
  std::shared_ptr<const TrustStore> trust;
};

class CredentialSource {
 public:
  /// Errc::invalid_argument if something is missing, or key and leaf do not belong together.
  static Result<std::shared_ptr<CredentialSource>> create(Credentials credentials);

  std::shared_ptr<const Credentials> current() const;
  /// Grows with each replace(); what was derived from older ones is to be made again.
  std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }
  /// The old ones stay if the new ones are wrong.
  Result<void> replace(Credentials credentials);

 private:
  explicit CredentialSource(std::shared_ptr<const Credentials> first);

  mutable std::mutex mutex_;
  std::shared_ptr<const Credentials> current_;
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace velo::crypto
