// SPDX-License-Identifier: Apache-2.0
// HTTP requests in pieces: whatever comes, what is kept stays bounded, and the pieces do not
// matter.

#include "http_request.hpp"

#include <velo/base/check.hpp>
#include <velo/telemetry/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

using velo::telemetry::HttpRequest;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 4 * velo::telemetry::limits::request_head_bytes_max) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t step = data[0] == 0 ? text.size() + 1 : data[0];
  HttpRequest request;
  unsigned status = 0;
  for (std::size_t at = 0; at < text.size() && status == 0; at += step) {
    status = request.feed(text.substr(at, step));
  }
  if (status == 0 && request.complete()) {
    VELO_CHECK(request.path().size() <= velo::telemetry::limits::request_head_bytes_max);
    static_cast<void>(request.method());
    static_cast<void>(request.keep_alive());
    VELO_CHECK(request.take_rest().size() <= text.size());
  }
  return 0;
}
