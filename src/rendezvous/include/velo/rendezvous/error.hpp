// SPDX-License-Identifier: Apache-2.0
// How work with registered data can end other than well, beside the messenger's errors.
// Threading: value types; functions are thread-safe.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::rendezvous {

/// Never renumber: these cross the wire.
enum class Errc : std::uint16_t {
  unknown_handle = 1,  ///< never registered there, freed, or expired
  not_for_you = 2,     ///< bound to another instance
  lease_lapsed = 3,    ///< the lease is unknown, ended, or nobody used it for too long
  too_large = 4,       ///< more than the reader has room for, or wants
  store_full = 5,      ///< a limit of the owner's store is reached
  no_room = 6,         ///< a memory budget has no room for it
  source_failed = 7,   ///< the owner cannot read its file any longer
  sink_failed = 8,     ///< the reader's writer refused what came
  bad_peer = 9,        ///< the owner's answers make no sense
  stalled = 10,        ///< nothing came for too long
};

ErrorCode error_code(Errc value) noexcept;
/// With the retry class that the code usually has.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::rendezvous
