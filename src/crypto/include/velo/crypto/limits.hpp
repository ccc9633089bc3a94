// SPDX-License-Identifier: Apache-2.0
// Crypto's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <cstddef>

namespace velo::crypto::limits {

/// One key, public or private, in DER. Policy: a larger one is Errc::malformed, unread.
constexpr std::size_t key_bytes_max = 1024;
/// One certificate. Policy: a larger one is Errc::malformed, unread.
constexpr std::size_t certificate_bytes_max = std::size_t{16} << 10;
/// Names of one certificate. Policy: one with more is Errc::malformed; issue() answers
/// velo::Errc::invalid_argument.
constexpr std::size_t names_max = 128;
/// One name of a certificate. Policy: as with names_max.
constexpr std::size_t name_bytes_max = 1024;
/// A common name that issue() writes (RFC 5280's bound). Policy: a longer one is
/// velo::Errc::invalid_argument.
constexpr std::size_t common_name_bytes_max = 64;
/// Certificates that a peer may send, or a file of a chain may hold. Policy: more are
/// Errc::malformed.
constexpr std::size_t chain_length_max = 8;
/// Authorities that a store may trust. Policy: more are velo::Errc::invalid_argument.
constexpr std::size_t authorities_max = 256;
/// Revocation lists that a store may hold. Policy: more are velo::Errc::invalid_argument.
constexpr std::size_t revocation_lists_max = 256;
/// Nodes that a store may pin, and that it may deny. Policy: more are velo::Errc::invalid_argument.
constexpr std::size_t node_list_max = 65'536;
/// Certificates on one revocation list. Policy: more are Errc::malformed.
constexpr std::size_t revoked_max = 65'536;
/// One file of an identity store, one revocation list. Policy: a larger one is not read.
constexpr std::size_t file_bytes_max = std::size_t{8} << 20;
/// What seal() takes. Policy: more is velo::Errc::invalid_argument.
constexpr std::size_t sealed_bytes_max = std::size_t{64} << 20;
/// What a seal is bound to. Policy: a longer one is velo::Errc::invalid_argument.
constexpr std::size_t seal_context_bytes_max = 1024;
/// Binary logarithm of scrypt's N, as written in a seal. Policy: a larger one is Errc::malformed,
/// before any memory is taken (32 MiB at most).
constexpr unsigned scrypt_log_n_max = 15;
/// scrypt's r. Policy: as with scrypt_log_n_max.
constexpr unsigned scrypt_r_max = 8;
/// scrypt's p. Policy: as with scrypt_log_n_max.
constexpr unsigned scrypt_p_max = 1;

}  // namespace velo::crypto::limits
