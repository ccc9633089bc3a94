// SPDX-License-Identifier: Apache-2.0
// Names in certificates: reading them with bounds, and writing them by their form. Names are
// printable; a zero within one, which would end it for some readers, makes it malformed.
// Threading: pure.
#pragma once

#include <velo/base/error.hpp>
#include <velo/crypto/certificate.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "openssl.hpp"

namespace velo::crypto {

/// The last one, which is the most specific; empty if there is none.
Result<std::string> common_name_of(const X509_NAME* name);
/// DNS names, then addresses as text, then URIs; other kinds are passed over.
Result<std::vector<std::string>> alternative_names_of(X509* certificate);
/// Adds DNS names, addresses and URIs, told apart by their form. velo::Errc::invalid_argument.
Result<void> add_alternative_names(X509* certificate, const std::vector<std::string>& names);

/// As Certificate::chain_from_pem(), with a limit of the caller's.
Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::size_t count_max);
/// One or more, in their order; at most limits::revocation_lists_max.
Result<std::vector<RevocationList>> read_revocation_lists(std::string_view pem);

}  // namespace velo::crypto
