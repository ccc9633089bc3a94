// SPDX-License-Identifier: Apache-2.0
// Who the two ends of a measurement over an encrypted medium are: keys that everybody knows, so for
// measuring only.
// Threading: pure.
#pragma once

#include <velo/crypto/credentials.hpp>

#include <memory>
#include <string_view>

namespace velo::bench {

/// Of "server", or of anybody else; each believes the other, whatever process made them.
std::shared_ptr<crypto::CredentialSource> bench_credentials(std::string_view name);

}  // namespace velo::bench
