// SPDX-License-Identifier: Apache-2.0
// HTTP responses in pieces: whatever comes, what is kept stays bounded, and the pieces do not
// matter.

#include "http_response.hpp"

#include <velo/base/check.hpp>
#include <velo/telemetry/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

using velo::telemetry::HttpResponse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 2 * velo::telemetry::limits::response_bytes_max) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t step = data[0] == 0 ? text.size() + 1 : data[0];
  HttpResponse response;
  bool good = true;
  for (std::size_t at = 0; at < text.size() && good; at += step) {
    good = response.feed(text.substr(at, step));
  }
  if (good && !response.complete()) good = response.feed_end();
  VELO_CHECK(good == response.complete());
  if (!good) return 0;
  VELO_CHECK(text.size() <= velo::telemetry::limits::response_bytes_max);
  VELO_CHECK(response.status() < 1000);
  static_cast<void>(response.keep_alive());
  if (const auto after = response.retry_after()) VELO_CHECK(after->count() >= 0);
  return 0;
}
