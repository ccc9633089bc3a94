// SPDX-License-Identifier: Apache-2.0
// How statements are signed and checked, and which keys are believed, as pure functions that the
// cores of multicast discovery are given.
// Threading: immutable; any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/trust.hpp>
#include <velo/discovery/backends/multicast/message.hpp>

#include <memory>
#include <span>

namespace velo::discovery::multicast {

class Signing {
 public:
  virtual ~Signing() = default;
  virtual RawKey key() const = 0;
  virtual Result<Signature> sign(ByteSpan message) const = 0;
  virtual bool verify(const RawKey& key, ByteSpan message, ByteSpan signature) const = 0;
};

/// A key that a chain vouches for, and until when.
struct BelievedKey {
  RawKey key{};
  WallTime until;
};

class Trust {
 public:
  virtual ~Trust() = default;
  virtual Result<BelievedKey> judge(std::span<const Bytes> chain, WallTime now) const = 0;
};

/// Ed25519. Errc::invalid_argument for a key of another kind.
Result<std::shared_ptr<const Signing>> make_signing(crypto::PrivateKey key);

/// Chains that the store believes for Purpose::peer, with an Ed25519 leaf.
std::shared_ptr<const Trust> make_trust(std::shared_ptr<const crypto::TrustStore> store);

}  // namespace velo::discovery::multicast
