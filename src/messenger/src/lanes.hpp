// SPDX-License-Identifier: Apache-2.0
// Lanes: which of a connection's requests keep their order where the transport lets others overtake
// (transport::OutFrame::lane). Requests of one handler's name share a lane, so that they arrive as
// they were sent; `_cancel` takes the lane of the request that it is about; answers take none. What
// is velo's own has lane 0.
// Threading: pure functions.
#pragma once

#include <velo/transport/frame.hpp>

#include <cstdint>
#include <string_view>

namespace velo::messenger {

/// Lanes of requests; names that share one wait for each other.
constexpr std::uint32_t request_lanes = 16;

/// 1 to request_lanes, always the same for a name; 0 for velo's own.
std::uint32_t lane_of(std::string_view handler) noexcept;

}  // namespace velo::messenger
