// SPDX-License-Identifier: Apache-2.0
// One HTTP connection: a request is read, answered, and only then the next.

#include "scrape_server.hpp"

#include <velo/telemetry/limits.hpp>

#include <fmt/format.h>
#include <sys/uio.h>

#include <array>
#include <span>
#include <utility>

namespace velo::telemetry {
namespace scrape_connection_detail {

static std::string_view reason_of(unsigned status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Bad Request";
  }
}

static std::string response(unsigned status, std::string_view type, std::string_view body,
                            bool with_body, bool last) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n{}",
                     status, reason_of(status), type, body.size(),
                     status == 405 ? "Allow: GET, HEAD\r\n" : "",
                     last ? "Connection: close\r\n" : "", with_body ? body : std::string_view());
}

constexpr std::string_view plain = "text/plain; charset=utf-8";
constexpr std::string_view exposition = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace scrape_connection_detail

ScrapeConnection::ScrapeConnection(ScrapeServer& server, std::uint64_t number,
                                   std::unique_ptr<ByteStream> stream)
    : server_(server), number_(number), stream_(std::move(stream)), patience_(server.shard()) {}

void ScrapeConnection::start() {
  wait_for_other_end();
  stream_->attach(*this);
}

void ScrapeConnection::shut() noexcept {
  patience_.cancel();
  stream_->close();
}

void ScrapeConnection::wait_for_other_end() {
  patience_.start(limits::scrape_patience, [this] { server_.end(number_); });
}

void ScrapeConnection::on_readable() { run(); }
void ScrapeConnection::on_writable() { run(); }

void ScrapeConnection::run() {
  Step step = Step::goes_on;
  while (step == Step::goes_on) step = writing_ ? write() : read();
  if (step == Step::over) server_.end(number_);
}

ScrapeConnection::Step ScrapeConnection::read() {
  std::array<std::byte, 4096> piece;
  const IoResult result = stream_->try_read(piece);
  switch (result.status) {
    case IoResult::Status::ok: break;
    case IoResult::Status::would_block: return Step::waits;
    case IoResult::Status::end:
    case IoResult::Status::error: return Step::over;
  }
  if (!refused_) return take(as_text(ByteSpan(piece).first(result.bytes)));
  discarded_ += result.bytes;
  return discarded_ > limits::discarded_bytes_max ? Step::over : Step::goes_on;
}

ScrapeConnection::Step ScrapeConnection::take(std::string_view bytes) {
  if (const unsigned status = request_.feed(bytes); status != 0) {
    refuse(status);
  } else if (request_.complete()) {
    answer();
  }
  return Step::goes_on;
}

void ScrapeConnection::refuse(unsigned status) {
  using namespace scrape_connection_detail;
  refused_ = true;
  writing_ = true;
  out_ = response(status, plain, reason_of(status), true, true);
}

void ScrapeConnection::answer() {
  using namespace scrape_connection_detail;
  last_ = !request_.keep_alive();
  writing_ = true;
  wait_for_other_end();
  const bool head = request_.method() == HttpRequest::Method::head;
  if (request_.method() == HttpRequest::Method::other) {
    out_ = response(405, plain, "GET and HEAD only\n", true, last_);
  } else if (request_.path() != server_.path()) {
    out_ = response(404, plain, "the metrics are at " + server_.path() + "\n", !head, last_);
  } else {
    const std::string page = server_.page();
    out_ = response(200, exposition, page, !head, last_);
  }
}

ScrapeConnection::Step ScrapeConnection::write() {
  const iovec rest{out_.data() + written_, out_.size() - written_};
  const IoResult result = stream_->try_write(std::span(&rest, 1));
  if (result.status == IoResult::Status::would_block) {
    stream_->want_write();
    return Step::waits;
  }
  if (result.status != IoResult::Status::ok) return Step::over;
  written_ += result.bytes;
  if (written_ < out_.size()) return Step::goes_on;
  if (last_) return Step::over;
  writing_ = false;
  // To close with bytes unread would reset the connection, and the answer be lost with it.
  if (refused_) return Step::goes_on;
  written_ = 0;
  out_ = std::string();
  const std::string next = request_.take_rest();
  request_ = HttpRequest();
  wait_for_other_end();
  return next.empty() ? Step::goes_on : take(next);
}

}  // namespace velo::telemetry
