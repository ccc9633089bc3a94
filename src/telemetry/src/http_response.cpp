// SPDX-License-Identifier: Apache-2.0
// Boost.Beast's parser without its sockets, for the answers of a collector.

#include "http_response.hpp"

#include <velo/telemetry/limits.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <charconv>
#include <chrono>
#include <string>

namespace velo::telemetry {
namespace http = boost::beast::http;

struct HttpResponse::Parser {
  http::response_parser<http::string_body> beast;
  std::string unparsed;  ///< an incomplete part, which Beast wants again with more
  std::size_t fed = 0;
  bool in_chunk_head = false;  ///< of which Beast wants more
  bool failed = false;

  Parser() {
    beast.header_limit(limits::response_bytes_max);
    beast.body_limit(limits::response_bytes_max);
    beast.eager(true);
  }
};

namespace http_response_detail {

/// Asked again with less than a last chunk's head ("0", and two ends of lines), Beast gives up the
/// process. After any incomplete one at least this much is to come.
constexpr std::size_t chunk_head_bytes_min = 5;

}  // namespace http_response_detail

HttpResponse::HttpResponse() : parser_(std::make_unique<Parser>()) {}
HttpResponse::HttpResponse(HttpResponse&&) noexcept = default;
HttpResponse& HttpResponse::operator=(HttpResponse&&) noexcept = default;
HttpResponse::~HttpResponse() = default;

bool HttpResponse::feed(std::string_view bytes) {
  Parser& parser = *parser_;
  if (parser.failed) return false;
  parser.fed += bytes.size();
  parser.failed = parser.fed > limits::response_bytes_max;
  parser.unparsed.append(bytes);
  if (parser.in_chunk_head && parser.unparsed.size() < http_response_detail::chunk_head_bytes_min) {
    return !parser.failed;
  }
  parser.in_chunk_head = false;
  while (!parser.failed && !parser.beast.is_done() && !parser.unparsed.empty()) {
    boost::beast::error_code code;
    const std::size_t used =
        parser.beast.put(boost::asio::buffer(parser.unparsed.data(), parser.unparsed.size()), code);
    parser.unparsed.erase(0, used);
    if (code == http::error::need_more) {
      parser.in_chunk_head = parser.beast.is_header_done();
      return true;
    }
    parser.failed = static_cast<bool>(code);
    if (used == 0) break;
  }
  return !parser.failed;
}

bool HttpResponse::feed_end() {
  Parser& parser = *parser_;
  if (parser.failed) return false;
  if (parser.beast.is_done()) return true;
  if (!parser.beast.got_some()) return false;
  boost::beast::error_code code;
  parser.beast.put_eof(code);
  parser.failed = static_cast<bool>(code) || !parser.beast.is_done();
  return !parser.failed;
}

bool HttpResponse::complete() const noexcept {
  return !parser_->failed && parser_->beast.is_done();
}
unsigned HttpResponse::status() const noexcept { return parser_->beast.get().result_int(); }
bool HttpResponse::keep_alive() const noexcept {
  return parser_->beast.get().keep_alive() && parser_->unparsed.empty();
}

std::optional<Duration> HttpResponse::retry_after() const noexcept {
  const auto& message = parser_->beast.get();
  const auto field = message.find(http::field::retry_after);
  if (field == message.end()) return std::nullopt;
  const auto value = field->value();
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace velo::telemetry
