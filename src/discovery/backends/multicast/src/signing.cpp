// SPDX-License-Identifier: Apache-2.0
// Signing with the crypto room.

#include <velo/discovery/backends/multicast/signing.hpp>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace velo::discovery::multicast {
namespace signing_detail {

static Result<RawKey> raw_key(const crypto::PublicKey& key) {
  const Bytes raw = key.raw();
  RawKey made{};
  if (raw.size() != made.size()) {
    return velo::make_error(velo::Errc::invalid_argument, "discovery signs with Ed25519 keys");
  }
  std::memcpy(made.data(), raw.data(), made.size());
  return made;
}

class KeySigning final : public Signing {
 public:
  KeySigning(crypto::PrivateKey key, const RawKey& raw) : key_(std::move(key)), raw_(raw) {}
  RawKey key() const override { return raw_; }
  Result<Signature> sign(ByteSpan message) const override {
    const Result<Bytes> made = key_.sign(message);
    if (!made) return made.error();
    Signature signature{};
    if (made->size() != signature.size()) {
      return velo::make_error(velo::Errc::internal, "a signature of another length");
    }
    std::memcpy(signature.data(), made->data(), signature.size());
    return signature;
  }
  bool verify(const RawKey& key, ByteSpan message, ByteSpan signature) const override {
    const auto theirs = crypto::PublicKey::ed25519(std::as_bytes(std::span(key)));
    return theirs && theirs->verify(message, signature).has_value();
  }

 private:
  crypto::PrivateKey key_;
  RawKey raw_;
};

class StoreTrust final : public Trust {
 public:
  explicit StoreTrust(std::shared_ptr<const crypto::TrustStore> store) : store_(std::move(store)) {}
  Result<BelievedKey> judge(std::span<const Bytes> chain, WallTime now) const override {
    std::vector<crypto::Certificate> certificates;
    for (const Bytes& der : chain) {
      auto read = crypto::Certificate::from_der(der);
      if (!read) return std::move(read).error();
      certificates.push_back(std::move(*read));
    }
    const auto identity = store_->verify(certificates, crypto::Purpose::peer, now);
    if (!identity) return identity.error();
    const auto key = raw_key(certificates.front().public_key());
    if (!key) return key.error();
    return BelievedKey{*key, identity->expires};
  }

 private:
  std::shared_ptr<const crypto::TrustStore> store_;
};

}  // namespace signing_detail

Result<std::shared_ptr<const Signing>> make_signing(crypto::PrivateKey key) {
  if (!key.valid()) return velo::make_error(velo::Errc::invalid_argument, "discovery needs a key");
  const auto raw = signing_detail::raw_key(key.public_key());
  if (!raw) return raw.error();
  return std::shared_ptr<const Signing>(
      std::make_shared<signing_detail::KeySigning>(std::move(key), *raw));
}

std::shared_ptr<const Trust> make_trust(std::shared_ptr<const crypto::TrustStore> store) {
  return std::make_shared<signing_detail::StoreTrust>(std::move(store));
}

}  // namespace velo::discovery::multicast
