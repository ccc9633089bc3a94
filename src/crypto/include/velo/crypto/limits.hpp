// SPDX-License-Identifier: Apache-2.0
// Crypto's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <cstddef>

namespace velo::crypto::limits {

/// One certificate. Policy: a larger one is Errc::malformed, unread.
constexpr std::size_t certificate_bytes_max = std::size_t{16} << 10;
/// Certificates that a peer may send, or a file of a chain may hold. Policy: more are
/// Errc::malformed.
constexpr std::size_t chain_length_max = 8;
/// Authorities that a store may trust. Policy: more are velo::Errc::invalid_argument.
constexpr std::size_t authorities_max = 256;
/// Certificates on one revocation list. Policy: more are Errc::malformed.
constexpr std::size_t revoked_max = 65'536;
/// One file of an identity store, one revocation list. Policy: a larger one is not read.
constexpr std::size_t file_bytes_max = std::size_t{8} << 20;
/// What seal() takes. Policy: more is velo::Errc::invalid_argument.
constexpr std::size_t sealed_bytes_max = std::size_t{64} << 20;

}  // namespace velo::crypto::limits
