// SPDX-License-Identifier: Apache-2.0
// PEM: labelled base64 between dashes (RFC 7468). Text around the blocks is passed over, as are
// blocks of other labels.
// Threading: pure.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace velo::crypto {

/// The blocks of `label`, in their order: at least one, at most `blocks_max`, each of at most
/// `block_bytes_max`; the text at most limits::file_bytes_max. Errc::malformed. Their memory is
/// wiped with their last copy.
Result<std::vector<Bytes>> read_pem(std::string_view text, const char* label,
                                    std::size_t blocks_max, std::size_t block_bytes_max);
/// Empty if there is no memory.
std::string write_pem(const char* label, ByteSpan contents);

}  // namespace velo::crypto
