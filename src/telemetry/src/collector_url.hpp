// SPDX-License-Identifier: Apache-2.0
// Where a collector is: an http URL with a numeric host. Core: values in, values out.
// Threading: pure functions.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>

#include <string>
#include <string_view>

namespace velo::telemetry {

struct CollectorUrl {
  Endpoint endpoint;
  std::string host;  ///< as the Host header says it
  std::string path;  ///< "/" at least, with the query
};

/// velo::Errc::unsupported for https; velo::Errc::invalid_argument for anything else that is not
/// "http://ADDRESS[:PORT][/PATH]" (port 80 unless given).
Result<CollectorUrl> parse_collector_url(std::string_view url);

}  // namespace velo::telemetry
