// SPDX-License-Identifier: Apache-2.0
// Named limits shared by several rooms, each with its policy (docs/limits.md is made from these
// comments). A room's own limits stand in its own limits.hpp.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::limits {

/// Header and payload of one frame (protocol limit of the public velo). Policy: a larger one is not
/// sent (messenger::Errc::too_large), and one that arrives closes its connection before anything is
/// allocated.
constexpr std::size_t frame_bytes_max = std::size_t{16} << 20;
/// Time that a call has, unless the caller says otherwise. Policy: then it ends as
/// deadline_exceeded, and its handler is told to stop.
constexpr Duration call_deadline_default = std::chrono::seconds(30);
/// The longest time that a call may have. Policy: a longer one is clamped to this.
constexpr Duration call_deadline_max = std::chrono::hours(24);

}  // namespace velo::limits
