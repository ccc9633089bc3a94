// SPDX-License-Identifier: Apache-2.0
// Key pairs: reading, making, signing, verifying.

#include <velo/crypto/key.hpp>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include "handles.hpp"
#include "pem.hpp"
#include "wiped.hpp"

namespace velo::crypto {
namespace key_detail {

constexpr const char* private_label = "PRIVATE KEY";
constexpr std::size_t ed25519_bytes = 32;

// A key has one encoding, or it would have several NodeIds: what precedes the 32 bytes of an
// Ed25519 key (RFC 8410), and the 64 of an uncompressed point of the named curve P-256 (RFC 5480).
constexpr std::array<unsigned char, 12> ed25519_prefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                       0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
constexpr std::array<unsigned char, 27> p256_prefix{
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

static bool is(ByteSpan der, std::span<const unsigned char> prefix, std::size_t key_bytes) {
  return der.size() == prefix.size() + key_bytes &&
         std::ranges::equal(der.first(prefix.size()), std::as_bytes(prefix));
}

static std::optional<KeyKind> kind_of(ByteSpan der) {
  if (is(der, ed25519_prefix, ed25519_bytes)) return KeyKind::ed25519;
  if (is(der, p256_prefix, 64)) return KeyKind::p256;
  return std::nullopt;
}

static bool is_any_key(ByteSpan der) {
  const unsigned char* at = input(der);
  const std::unique_ptr<X509_PUBKEY, Deleter<X509_PUBKEY_free>> key(
      d2i_X509_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  return key != nullptr && at == input(der) + der.size();
}

/// Private and public part of a P-256 key are both written in its encoding, and could differ.
static bool is_pair(EVP_PKEY* key) {
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context != nullptr && EVP_PKEY_pairwise_check(context.get()) == 1;
}

}  // namespace key_detail

Result<PublicKey> PublicKey::from_der(ByteSpan der) {
  const ErrorScope scope;
  if (der.size() > limits::key_bytes_max) {
    return make_error(Errc::malformed, "a public key is too large");
  }
  const auto kind = key_detail::kind_of(der);
  if (!kind.has_value()) {
    if (!key_detail::is_any_key(der)) return failure(Errc::malformed, "a public key");
    return make_error(Errc::unsupported_key, "neither Ed25519 nor P-256 in their usual encoding");
  }
  const unsigned char* at = input(der);
  PkeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (key == nullptr) return failure(Errc::malformed, "a public key");
  PublicKey result;
  result.handle_ = std::make_shared<const KeyHandle>(KeyHandle{std::move(key), *kind});
  result.der_ = Bytes::copy(der);
  return result;
}

Result<PublicKey> PublicKey::ed25519(ByteSpan raw) {
  if (raw.size() != key_detail::ed25519_bytes) {
    return make_error(Errc::malformed, "an Ed25519 key has 32 bytes");
  }
  std::array<std::byte, key_detail::ed25519_prefix.size() + key_detail::ed25519_bytes> der{};
  std::ranges::copy(std::as_bytes(std::span(key_detail::ed25519_prefix)), der.begin());
  std::ranges::copy(raw, der.begin() + key_detail::ed25519_prefix.size());
  return from_der(der);
}

KeyKind PublicKey::kind() const noexcept { return handle_ ? handle_->kind : KeyKind::ed25519; }

Bytes PublicKey::raw() const {
  if (!valid() || kind() != KeyKind::ed25519) return {};
  return der_.slice(key_detail::ed25519_prefix.size());
}

Result<void> PublicKey::verify(ByteSpan message, ByteSpan signature) const {
  const ErrorScope scope;
  if (!valid()) return make_error(velo::Errc::invalid_argument, "an empty key");
  const DigestContextPtr context(EVP_MD_CTX_new());
  if (context == nullptr || EVP_DigestVerifyInit(context.get(), nullptr, digest_of(handle_->kind),
                                                 nullptr, handle_->key.get()) != 1) {
    return internal_failure("verifying");
  }
  if (EVP_DigestVerify(context.get(), input(signature), signature.size(), input(message),
                       message.size()) != 1) {
    return failure(Errc::bad_signature, "not signed by this key");
  }
  return {};
}

Result<PrivateKey> PrivateKey::adopt(std::shared_ptr<KeyHandle> handle) {
  const Bytes der = encoded<i2d_PUBKEY>(handle->key.get());
  if (der.empty()) return failure(Errc::unsupported_key, "a private key");
  auto public_key = PublicKey::from_der(der);
  if (!public_key.has_value()) return public_key.error();
  handle->kind = public_key->kind();
  PrivateKey result;
  result.handle_ = std::move(handle);
  result.public_key_ = std::move(*public_key);
  return result;
}

Result<PrivateKey> PrivateKey::generate(KeyKind kind) {
  const ErrorScope scope;
  PkeyPtr key(kind == KeyKind::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                       : EVP_EC_gen("P-256"));
  if (key == nullptr) return internal_failure("making a key");
  return adopt(std::make_shared<KeyHandle>(KeyHandle{std::move(key), kind}));
}

Result<PrivateKey> PrivateKey::ed25519_from_seed(std::span<const std::byte, 32> seed) {
  const ErrorScope scope;
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, input(seed), seed.size()));
  if (key == nullptr) return internal_failure("making a key");
  return adopt(std::make_shared<KeyHandle>(KeyHandle{std::move(key), KeyKind::ed25519}));
}

Result<PrivateKey> PrivateKey::from_der(ByteSpan der) {
  const ErrorScope scope;
  if (der.size() > limits::key_bytes_max) {
    return make_error(Errc::malformed, "a private key is too large");
  }
  const unsigned char* at = input(der);
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>> parsed(
      d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
  if (parsed == nullptr || at != input(der) + der.size()) {
    return failure(Errc::malformed, "no PKCS #8 private key");
  }
  const ASN1_OBJECT* algorithm = nullptr;
  PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, parsed.get());
  const int kind = OBJ_obj2nid(algorithm);
  if (kind != NID_ED25519 && kind != NID_X9_62_id_ecPublicKey) {
    return make_error(Errc::unsupported_key, "a private key neither of Ed25519 nor of P-256");
  }
  PkeyPtr key(EVP_PKCS82PKEY(parsed.get()));
  if (key == nullptr) return failure(Errc::malformed, "a private key");
  auto result = adopt(std::make_shared<KeyHandle>(KeyHandle{std::move(key), KeyKind::ed25519}));
  if (result.has_value() && result->kind() == KeyKind::p256 &&
      !key_detail::is_pair(native_key(*result))) {
    return failure(Errc::malformed, "its public part is another key's");
  }
  return result;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const auto blocks = read_pem(pem, key_detail::private_label, 1, limits::key_bytes_max);
  if (!blocks.has_value()) return blocks.error();
  return from_der(blocks->front());
}

KeyKind PrivateKey::kind() const noexcept { return handle_ ? handle_->kind : KeyKind::ed25519; }

Result<Bytes> PrivateKey::sign(ByteSpan message) const {
  const ErrorScope scope;
  if (!valid()) return make_error(velo::Errc::invalid_argument, "an empty key");
  const DigestContextPtr context(EVP_MD_CTX_new());
  std::array<unsigned char, 128> signature{};
  std::size_t size = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, digest_of(handle_->kind), nullptr,
                         handle_->key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, input(message), message.size()) != 1) {
    return internal_failure("signing");
  }
  return Bytes::copy(output(signature.data(), size));
}

Bytes PrivateKey::to_der() const {
  const ErrorScope scope;
  if (!valid()) return {};
  const std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>> parsed(
      EVP_PKEY2PKCS8(handle_->key.get()));
  unsigned char* memory = nullptr;
  const int size = parsed == nullptr ? 0 : i2d_PKCS8_PRIV_KEY_INFO(parsed.get(), &memory);
  if (size <= 0) return {};
  Bytes der = wiped_copy(output(memory, static_cast<std::size_t>(size)));
  OPENSSL_clear_free(memory, static_cast<std::size_t>(size));
  return der;
}

std::string PrivateKey::to_pem() const {
  return valid() ? write_pem(key_detail::private_label, to_der()) : std::string();
}

void* PrivateKey::native() const noexcept { return handle_ ? handle_->key.get() : nullptr; }

}  // namespace velo::crypto
