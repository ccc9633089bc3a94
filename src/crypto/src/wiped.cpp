// SPDX-License-Identifier: Apache-2.0
// Memory for secrets.

#include "wiped.hpp"

#include <openssl/crypto.h>
#include <velo/crypto/seal.hpp>

#include <algorithm>

namespace velo::crypto {

WipedBuffer::WipedBuffer(std::size_t size)
    : memory_(new std::byte[size](),
              [size](std::byte* bytes) {
                OPENSSL_cleanse(bytes, size);
                delete[] bytes;
              }),
      size_(size) {}

Bytes wiped_copy(ByteSpan secret) {
  const WipedBuffer copy(secret.size());
  std::ranges::copy(secret, copy.span().begin());
  return copy.bytes();
}

void wipe(std::string& secret) noexcept {
  // What was once longer lies behind the end still.
  secret.resize(secret.capacity());
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

void wipe(SecretKey& secret) noexcept { OPENSSL_cleanse(secret.data(), secret.size()); }

void wipe(std::span<std::byte> secret) noexcept { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace velo::crypto
