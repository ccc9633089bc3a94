// SPDX-License-Identifier: Apache-2.0
// Boost.Beast's parser of responses without its sockets.

#include <velo/codec/error.hpp>
#include <velo/codec/http_response.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/parser.hpp>

#include <array>
#include <utility>

namespace velo::codec {
namespace http = boost::beast::http;

struct HttpResponse::Parser {
  http::response_parser<http::buffer_body> beast;
  const HttpResponseLimits limits;
  std::string unparsed;  ///< an incomplete head or chunk head; Beast wants it again with more
  std::string body;
  bool started = false;
  bool in_chunk_head = false;  ///< of which Beast wants more
  std::size_t head_bytes = 0;  ///< parsed of the head

  explicit Parser(const HttpResponseLimits& given) : limits(given) {
    // One element at a time, whose length is known then.
    beast.eager(false);
    // Beast's own limit depends on where the pieces end.
    beast.header_limit(static_cast<std::uint32_t>(2 * limits.head_bytes));
    beast.body_limit(boost::none);  // what counts is how much is held
  }

  Result<void> parse();
  /// Whether what was parsed of the head, or the head of a chunk, is longer than it may be.
  bool head_too_long(bool in_head, std::size_t used, std::size_t got);
};

namespace http_response_detail {

/// Asked again with less than a last chunk's head ("0", and two ends of lines), Beast gives up the
/// process. After any incomplete one at least this much is to come.
constexpr std::size_t chunk_head_bytes_min = 5;

static Error head_too_long() {
  return velo::make_error(velo::Errc::overloaded, "HTTP: a head is too long");
}

static Error refused(const boost::beast::error_code& code) {
  if (code == http::error::header_limit || code == http::error::body_limit) {
    return velo::make_error(velo::Errc::overloaded, "HTTP: " + code.message());
  }
  return make_error(Errc::malformed, "HTTP: " + code.message());
}

}  // namespace http_response_detail

bool HttpResponse::Parser::head_too_long(bool in_head, std::size_t used, std::size_t got) {
  if (in_head) head_bytes += used;
  const std::size_t length = in_head ? head_bytes : used;
  return got == 0 && length > limits.head_bytes;
}

Result<void> HttpResponse::Parser::parse() {
  if (in_chunk_head && unparsed.size() < http_response_detail::chunk_head_bytes_min) return {};
  in_chunk_head = false;
  std::array<char, 16384> piece;
  std::string_view rest = unparsed;
  while (!rest.empty()) {
    if (beast.is_done()) {
      return make_error(Errc::malformed, "HTTP: bytes after the response");
    }
    auto& target = beast.get().body();
    target.data = piece.data();
    target.size = piece.size();
    target.more = true;
    const bool in_head = !beast.is_header_done();
    boost::beast::error_code code;
    const std::size_t used = beast.put(boost::asio::buffer(rest.data(), rest.size()), code);
    const std::size_t got = piece.size() - target.size;
    if (body.size() + got > limits.body_bytes) {
      return velo::make_error(velo::Errc::overloaded, "HTTP: the body is too long");
    }
    if (head_too_long(in_head, used, got)) return http_response_detail::head_too_long();
    body.append(piece.data(), got);
    rest.remove_prefix(used);
    if (code == http::error::need_more) {
      in_chunk_head = beast.is_header_done();
      break;
    }
    if (code && code != http::error::need_buffer) return http_response_detail::refused(code);
    if (used == 0 && got == 0) break;
  }
  const std::size_t before = beast.is_header_done() ? 0 : head_bytes;
  if (before + rest.size() > limits.head_bytes) {
    return http_response_detail::head_too_long();
  }
  unparsed.erase(0, unparsed.size() - rest.size());
  return {};
}

HttpResponse::HttpResponse(const HttpResponseLimits& limits)
    : parser_(std::make_unique<Parser>(limits)) {}
HttpResponse::HttpResponse(HttpResponse&&) noexcept = default;
HttpResponse& HttpResponse::operator=(HttpResponse&&) noexcept = default;
HttpResponse::~HttpResponse() = default;

Result<void> HttpResponse::feed(std::string_view bytes) {
  if (bytes.empty()) return {};
  parser_->started = true;
  parser_->unparsed.append(bytes);
  return parser_->parse();
}

Result<void> HttpResponse::finish() {
  if (complete()) return {};
  if (!started()) return make_error(Errc::malformed, "HTTP: no response");
  boost::beast::error_code code;
  parser_->beast.put_eof(code);
  if (code) return http_response_detail::refused(code);
  return {};
}

bool HttpResponse::started() const noexcept { return parser_->started; }
bool HttpResponse::has_head() const noexcept { return parser_->beast.is_header_done(); }
bool HttpResponse::complete() const noexcept { return parser_->beast.is_done(); }
unsigned HttpResponse::status() const noexcept { return parser_->beast.get().result_int(); }
bool HttpResponse::keep_alive() const noexcept { return parser_->beast.keep_alive(); }
std::optional<std::string_view> HttpResponse::field(std::string_view name) const noexcept {
  const auto& fields = parser_->beast.get();
  const auto found = fields.find(boost::beast::string_view(name.data(), name.size()));
  if (found == fields.end()) return std::nullopt;
  return std::string_view(found->value().data(), found->value().size());
}
std::string HttpResponse::take_body() { return std::exchange(parser_->body, {}); }

}  // namespace velo::codec
