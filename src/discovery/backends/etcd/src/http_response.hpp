// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 response, fed as its bytes arrive. A thin hull around Boost.Beast's parser, whose
// headers take five seconds to compile and stay in the one source beside this. Not a client: no
// sockets, no time.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace velo::discovery::etcd {

class HttpResponse {
 public:
  /// Holds at most `body_bytes_max` bytes of body at a time; what was taken does not count.
  explicit HttpResponse(std::size_t body_bytes_max);
  HttpResponse(HttpResponse&&) noexcept;
  HttpResponse& operator=(HttpResponse&&) noexcept;
  ~HttpResponse();

  /// Errc::malformed_entry for what is no response, or more than one; velo::Errc::overloaded when
  /// the head or the body is too long. Nothing can be fed after an error.
  Result<void> feed(std::string_view bytes);
  /// The stream has ended. An error unless that is how this response ends.
  Result<void> finish();

  bool started() const noexcept;  ///< its first byte has come
  bool has_head() const noexcept;
  bool complete() const noexcept;
  /// After the head.
  unsigned status() const noexcept;
  /// Whether another request may follow on the connection; once complete.
  bool keep_alive() const noexcept;
  /// What has come of the body since it was last taken.
  std::string take_body();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace velo::discovery::etcd
