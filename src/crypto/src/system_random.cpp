// SPDX-License-Identifier: Apache-2.0
// Randomness of OpenSSL's generator, which the system seeds.

#include "system_random.hpp"

#include <openssl/rand.h>

#include "openssl.hpp"

namespace velo::crypto {

Result<void> fill_from_system(std::span<std::uint8_t> out) {
  const ErrorScope scope;
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    return internal_failure("randomness");
  }
  return {};
}

}  // namespace velo::crypto
