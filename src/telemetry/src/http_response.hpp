// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 response, fed as its bytes arrive. A thin hull around Boost.Beast's parser, which
// only the source beside this includes.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>

#include <memory>
#include <optional>
#include <string_view>

namespace velo::telemetry {

class HttpResponse {
 public:
  HttpResponse();
  HttpResponse(HttpResponse&&) noexcept;
  HttpResponse& operator=(HttpResponse&&) noexcept;
  ~HttpResponse();

  /// False for what is no response, or more than limits::response_bytes_max; then nothing more can
  /// be fed.
  bool feed(std::string_view bytes);
  /// The connection ended, which completes a response without a length. False: in the middle.
  bool feed_end();
  bool complete() const noexcept;

  // Of a complete one.
  unsigned status() const noexcept;
  /// Whether the connection can take another request.
  bool keep_alive() const noexcept;
  /// Retry-After in seconds; nothing when there is none, or it is a date.
  std::optional<Duration> retry_after() const noexcept;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace velo::telemetry
