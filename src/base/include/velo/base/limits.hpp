// SPDX-License-Identifier: Apache-2.0
// Named limits shared by several rooms. Each room's own limits stand in its own limits.hpp with
// their overflow policy.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::limits {

/// Header + payload of one frame; more is refused before anything is allocated (protocol limit of
/// the public velo).
constexpr std::size_t frame_bytes_max = std::size_t{16} << 20;
/// Every call has a deadline; this one unless the caller names another.
constexpr Duration call_deadline_default = std::chrono::seconds(30);
/// A deadline is clamped to this.
constexpr Duration call_deadline_max = std::chrono::hours(24);

}  // namespace velo::limits
