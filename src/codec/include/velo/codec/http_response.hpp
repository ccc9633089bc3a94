// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 response, fed as its bytes arrive. A thin hull around Boost.Beast's parser, whose
// headers take five seconds to compile and stay in one source. Not a client: no sockets, no time.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace velo::codec {

struct HttpResponseLimits {
  std::size_t head_bytes = 0;  ///< of the head, and of the head of each chunk
  std::size_t body_bytes = 0;  ///< held at a time; what was taken does not count

  constexpr HttpResponseLimits(std::size_t head, std::size_t body) noexcept
      : head_bytes(head), body_bytes(body) {}
};

class HttpResponse {
 public:
  explicit HttpResponse(const HttpResponseLimits& limits);
  HttpResponse(HttpResponse&&) noexcept;
  HttpResponse& operator=(HttpResponse&&) noexcept;
  ~HttpResponse();

  /// Errc::malformed for what is no response, or more than one; velo::Errc::overloaded when a head
  /// or the body is too long. Nothing can be fed after an error.
  Result<void> feed(std::string_view bytes);
  /// The stream has ended. Errc::malformed unless that is how this response ends.
  Result<void> finish();

  bool started() const noexcept;  ///< its first byte has come
  bool has_head() const noexcept;
  bool complete() const noexcept;
  /// After the head.
  unsigned status() const noexcept;
  /// Whether another request may follow on the connection; once complete.
  bool keep_alive() const noexcept;
  /// After the head: the value of its first field of that name, in any case of letters.
  std::optional<std::string_view> field(std::string_view name) const noexcept;
  /// What has come of the body since it was last taken.
  std::string take_body();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace velo::codec
