// SPDX-License-Identifier: Apache-2.0
// The system's randomness, for secrets, nonces and serial numbers: what has to be unpredictable,
// and therefore cannot be replayed from a seed.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <span>

namespace velo::crypto {

/// velo::Errc::internal if the system has none.
Result<void> fill_from_system(std::span<std::uint8_t> out);

}  // namespace velo::crypto
