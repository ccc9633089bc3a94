// SPDX-License-Identifier: Apache-2.0
// ChaCha20-Poly1305, HKDF and scrypt by OpenSSL.

#include "seal_primitives.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>

#include "openssl.hpp"

namespace velo::crypto {
namespace seal_primitives_detail {

using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;
using KdfPtr = std::unique_ptr<EVP_KDF, Deleter<EVP_KDF_free>>;
using KdfContextPtr = std::unique_ptr<EVP_KDF_CTX, Deleter<EVP_KDF_CTX_free>>;

static unsigned char* writable(std::span<std::byte> bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

static bool bind(EVP_CIPHER_CTX* context, std::span<const ByteSpan> bound) {
  for (const ByteSpan part : bound) {
    int written = 0;
    if (!part.empty() && EVP_CipherUpdate(context, nullptr, &written, input(part),
                                          static_cast<int>(part.size())) != 1) {
      return false;
    }
  }
  return true;
}

static bool run(EVP_CIPHER_CTX* context, ByteSpan in, std::span<std::byte> out) {
  int written = 0;
  return in.empty() || EVP_CipherUpdate(context, writable(out), &written, input(in),
                                        static_cast<int>(in.size())) == 1;
}

static bool end(EVP_CIPHER_CTX* context) {
  std::array<unsigned char, 16> none{};
  int written = 0;
  return EVP_CipherFinal_ex(context, none.data(), &written) == 1;
}

/// OSSL_PARAM takes no pointers to constants, and writes through none of these; nor null for
/// nothing.
static void* argument(ByteSpan bytes) noexcept {
  static std::byte nothing{};
  return bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());
}

}  // namespace seal_primitives_detail

Result<void> encrypt(const SecretKey& key, const SealNonce& nonce, std::span<const ByteSpan> bound,
                     ByteSpan plain, std::span<std::byte> out) {
  const ErrorScope scope;
  const seal_primitives_detail::CipherPtr context(EVP_CIPHER_CTX_new());
  const std::span<std::byte> tag = out.last(seal_tag_bytes);
  if (context == nullptr ||
      EVP_CipherInit_ex2(context.get(), EVP_chacha20_poly1305(), key.data(), nonce.data(), 1,
                         nullptr) != 1 ||
      !seal_primitives_detail::bind(context.get(), bound) ||
      !seal_primitives_detail::run(context.get(), plain, out.first(plain.size())) ||
      !seal_primitives_detail::end(context.get()) ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()),
                          tag.data()) != 1) {
    return internal_failure("sealing");
  }
  return {};
}

Result<void> decrypt(const SecretKey& key, const SealNonce& nonce, std::span<const ByteSpan> bound,
                     ByteSpan sealed, std::span<std::byte> out) {
  const ErrorScope scope;
  const seal_primitives_detail::CipherPtr context(EVP_CIPHER_CTX_new());
  std::array<std::byte, seal_tag_bytes> tag{};
  std::ranges::copy(sealed.last(seal_tag_bytes), tag.begin());
  const ByteSpan body = sealed.first(sealed.size() - seal_tag_bytes);
  if (context == nullptr ||
      EVP_CipherInit_ex2(context.get(), EVP_chacha20_poly1305(), key.data(), nonce.data(), 0,
                         nullptr) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                          tag.data()) != 1 ||
      !seal_primitives_detail::bind(context.get(), bound) ||
      !seal_primitives_detail::run(context.get(), body, out)) {
    return internal_failure("opening a seal");
  }
  if (!seal_primitives_detail::end(context.get())) {
    return failure(Errc::wrong_secret, "another secret or context, or it was changed");
  }
  return {};
}

Result<void> expand_key(ByteSpan secret, ByteSpan salt, ByteSpan info, std::span<std::byte> out) {
  const ErrorScope scope;
  const seal_primitives_detail::KdfPtr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const seal_primitives_detail::KdfContextPtr context(EVP_KDF_CTX_new(kdf.get()));
  std::array<char, 7> digest{"SHA256"};
  std::array<OSSL_PARAM, 5> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
                                        seal_primitives_detail::argument(secret), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, seal_primitives_detail::argument(salt),
                                        salt.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, seal_primitives_detail::argument(info),
                                        info.size()),
      OSSL_PARAM_construct_end()};
  if (context == nullptr || EVP_KDF_derive(context.get(), seal_primitives_detail::writable(out),
                                           out.size(), parameters.data()) != 1) {
    return internal_failure("deriving a key");
  }
  return {};
}

Result<void> stretch(std::string_view passphrase, ByteSpan salt, ScryptCost cost,
                     std::span<std::byte> out) {
  const ErrorScope scope;
  // OpenSSL's own limit is just below what the usual cost takes.
  constexpr std::uint64_t memory_max = std::uint64_t{64} << 20;
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), input(salt), salt.size(),
                     std::uint64_t{1} << cost.log_n, cost.r, cost.p, memory_max,
                     seal_primitives_detail::writable(out), out.size()) != 1) {
    return internal_failure("scrypt");
  }
  return {};
}

}  // namespace velo::crypto
