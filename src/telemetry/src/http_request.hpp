// SPDX-License-Identifier: Apache-2.0
// The head of one HTTP/1.1 request, fed as its bytes arrive; requests with bodies are refused. A
// thin hull around Boost.Beast's parser, which only the source beside this includes.
// Threading: a value; belongs to one owner.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace velo::telemetry {

class HttpRequest {
 public:
  HttpRequest();
  HttpRequest(HttpRequest&&) noexcept;
  HttpRequest& operator=(HttpRequest&&) noexcept;
  ~HttpRequest();

  /// 0, or the HTTP status to refuse it with; then nothing more can be fed. What follows a complete
  /// request is kept for take_rest().
  unsigned feed(std::string_view bytes);
  bool complete() const noexcept;

  // Of a complete one.
  enum class Method : unsigned char { get, head, other };
  Method method() const noexcept;
  /// Without the query.
  std::string_view path() const noexcept;
  bool keep_alive() const noexcept;
  std::string take_rest();

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace velo::telemetry
