// SPDX-License-Identifier: Apache-2.0
// When a collector that is busy wants to be asked again (RFC 9110 10.2.3).
// Threading: a function without state.
#pragma once

#include <velo/base/time.hpp>

#include <optional>
#include <string_view>

namespace velo::telemetry {

/// The value of Retry-After; nothing when it is a date, or nothing of the kind.
std::optional<Duration> parse_retry_after(std::string_view value) noexcept;

}  // namespace velo::telemetry
