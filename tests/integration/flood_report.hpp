// SPDX-License-Identifier: Apache-2.0
// What flood_node tells flooding_test, and what both know.
// Threading: value types.
#pragma once

#include <velo/codec/describe.hpp>

#include <cstddef>
#include <cstdint>

namespace velo::flooding {

constexpr std::size_t budget_bytes = std::size_t{64} << 20;
constexpr std::size_t offered_bytes = std::size_t{1} << 30;

/// What came of the offer.
struct FloodReport {
  std::uint64_t offered_bytes = 0;
  std::uint64_t accepted = 0;
  std::uint64_t over_budget = 0;
  std::uint64_t otherwise = 0;  ///< refused with any other error
  std::uint64_t resident_bytes_max = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t before_ns = 0;  ///< median of a call to another peer
  std::uint64_t during_ns = 0;
};
VELO_DESCRIBE(FloodReport, offered_bytes, accepted, over_budget, otherwise, resident_bytes_max,
              used_bytes, before_ns, during_ns);

/// How the accepted ones ended.
struct DrainReport {
  std::uint64_t well = 0;
  std::uint64_t otherwise = 0;
  std::uint64_t used_bytes = 0;
  bool balanced = false;
};
VELO_DESCRIBE(DrainReport, well, otherwise, used_bytes, balanced);

}  // namespace velo::flooding
