// SPDX-License-Identifier: Apache-2.0
// What can go wrong with a queue, beyond what every room knows.
// Threading: thread-safe.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::queue {

/// The numbers cross the wire: never renumber.
enum class Errc : std::uint16_t {
  full = 1,        ///< no room, and the queue refuses rather than waits
  closed = 2,      ///< takes nothing any longer
  lease_lost = 3,  ///< the lease ran out, or the item was settled: somebody else may have it
  too_large = 4,   ///< one item is over limits::payload_bytes_max
  unknown = 5,     ///< there is no queue of that name
};

ErrorCode error_code(Errc value) noexcept;

/// full: Retry::later; others: Retry::never.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::queue
