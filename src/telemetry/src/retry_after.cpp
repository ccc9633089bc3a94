// SPDX-License-Identifier: Apache-2.0
// Seconds only.

#include "retry_after.hpp"

#include <charconv>
#include <chrono>
#include <system_error>

namespace velo::telemetry {

std::optional<Duration> parse_retry_after(std::string_view value) noexcept {
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace velo::telemetry
