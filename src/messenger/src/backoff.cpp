// SPDX-License-Identifier: Apache-2.0
// Pauses between dials.

#include "backoff.hpp"

#include <velo/messenger/limits.hpp>

#include <limits>

namespace velo::messenger {

Duration Backoff::longest_next() const noexcept {
  Duration longest = limits::redial_pause_first;
  for (std::uint32_t i = 0; i < failures_ && longest < limits::redial_pause_longest; ++i) {
    longest *= 2;
  }
  return longest < limits::redial_pause_longest ? longest : limits::redial_pause_longest;
}

Duration Backoff::failed(std::uint64_t random) noexcept {
  const auto longest = static_cast<std::uint64_t>(longest_next().count());
  if (failures_ < std::numeric_limits<std::uint32_t>::max()) ++failures_;
  // The upper half of the product: uniform without a division.
  const auto drawn = static_cast<unsigned __int128>(random) * (longest + 1) >> 64U;
  return Duration(static_cast<std::int64_t>(drawn));
}

}  // namespace velo::messenger
