// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a key, a certificate or something sealed. The codes cross the wire.
// Threading: value types; functions are thread-safe.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::crypto {

enum class Errc : std::uint16_t {
  malformed = 1,            ///< bytes that are no key, certificate, list or seal
  unsupported_key = 2,      ///< a key that is neither Ed25519 nor P-256
  bad_signature = 3,        ///< a signature that this key did not make
  untrusted = 4,            ///< no path to an authority that is trusted here
  expired = 5,              ///< a certificate, or a revocation list, after its time
  not_yet_valid = 6,        ///< a certificate before its time
  wrong_purpose = 7,        ///< not made for this use: a server's as a client's, a leaf that issues
  revoked = 8,              ///< withdrawn by its issuer
  wrong_secret = 9,         ///< the passphrase or key does not open it, or it was changed
  name_mismatch = 10,       ///< a valid certificate of somebody else
  unsafe_permissions = 11,  ///< a secret file that other users can read
};

ErrorCode error_code(Errc value) noexcept;
/// Retry::never for all of them.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::crypto
