// SPDX-License-Identifier: Apache-2.0
// The one source with Boost.Beast: its parser without its sockets.

#include "http_request.hpp"

#include <velo/telemetry/limits.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>

#include <utility>

namespace velo::telemetry {
namespace http = boost::beast::http;

struct HttpRequest::Parser {
  http::request_parser<http::empty_body> beast;
  std::string unparsed;  ///< an incomplete head, which Beast wants again with more; then the rest

  Parser() {
    beast.header_limit(limits::request_head_bytes_max);
    beast.body_limit(0);
  }
};

HttpRequest::HttpRequest() : parser_(std::make_unique<Parser>()) {}
HttpRequest::HttpRequest(HttpRequest&&) noexcept = default;
HttpRequest& HttpRequest::operator=(HttpRequest&&) noexcept = default;
HttpRequest::~HttpRequest() = default;

unsigned HttpRequest::feed(std::string_view bytes) {
  Parser& parser = *parser_;
  parser.unparsed.append(bytes);
  if (parser.beast.is_done() || parser.unparsed.empty()) return 0;
  boost::beast::error_code code;
  const std::size_t used =
      parser.beast.put(boost::asio::buffer(parser.unparsed.data(), parser.unparsed.size()), code);
  parser.unparsed.erase(0, used);
  if (code == http::error::need_more) {
    return parser.unparsed.size() > limits::request_head_bytes_max ? 431 : 0;
  }
  if (code == http::error::header_limit) return 431;
  if (code == http::error::body_limit || code == http::error::unexpected_body) return 413;
  if (code == http::error::bad_version) return 505;
  if (code) return 400;
  return parser.beast.is_done() ? 0 : 413;
}

bool HttpRequest::complete() const noexcept { return parser_->beast.is_done(); }

HttpRequest::Method HttpRequest::method() const noexcept {
  switch (parser_->beast.get().method()) {
    case http::verb::get: return Method::get;
    case http::verb::head: return Method::head;
    default: return Method::other;
  }
}

std::string_view HttpRequest::path() const noexcept {
  const auto target = parser_->beast.get().target();
  const std::string_view whole(target.data(), target.size());
  return whole.substr(0, whole.find('?'));
}

bool HttpRequest::keep_alive() const noexcept { return parser_->beast.keep_alive(); }
std::string HttpRequest::take_rest() { return std::exchange(parser_->unparsed, {}); }

}  // namespace velo::telemetry
