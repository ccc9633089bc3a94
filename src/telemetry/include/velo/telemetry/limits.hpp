// SPDX-License-Identifier: Apache-2.0
// Limits of the telemetry room, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::telemetry::limits {

/// Connections of one scrape endpoint at once. Policy: a further one is closed when it is accepted.
constexpr std::size_t scrape_connections_max = 16;
/// The head of one HTTP request. Policy: a longer one is answered 431, and its connection closed.
constexpr std::size_t request_head_bytes_max = 8192;
/// Bytes that are read and dropped after a refusal, so that it can be heard. Policy: then the
/// connection is closed.
constexpr std::size_t discarded_bytes_max = std::size_t{1} << 20;
/// Time that a connection has for a whole request, from when it was opened or the one before was
/// answered, and for taking the answer. Policy: then it is closed.
constexpr Duration scrape_patience = std::chrono::seconds(15);

}  // namespace velo::telemetry::limits
