// SPDX-License-Identifier: Apache-2.0
// Names to lanes.

#include "lanes.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace velo::messenger {

std::uint32_t lane_of(std::string_view handler) noexcept {
  if (handler.starts_with('_')) return 0;
  return 1 +
         static_cast<std::uint32_t>(XXH3_64bits(handler.data(), handler.size()) % request_lanes);
}

}  // namespace velo::messenger
