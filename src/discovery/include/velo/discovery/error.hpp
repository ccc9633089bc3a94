// SPDX-License-Identifier: Apache-2.0
// What can be wrong with an announcement that others wrote. Absence is velo::Errc::not_found, not
// one of these.
// Threading: thread-safe.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <string>

namespace velo::discovery {

/// The numbers cross the wire: never renumber.
enum class Errc : std::uint16_t {
  malformed_entry = 1,  ///< not an announcement; the context has the codec's complaint
  unknown_format = 2,   ///< an announcement of a version that this one cannot read
  foreign_entry = 3,    ///< of another cluster, or of another instance than its place says
  no_source = 4,        ///< a directory over no sources
};

ErrorCode error_code(Errc value) noexcept;

/// Retry::never.
Error make_error(Errc value, std::string context = {});

}  // namespace velo::discovery
