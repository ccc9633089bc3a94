// SPDX-License-Identifier: Apache-2.0
// Connecting, writing a request and reading its response over a ByteStream.

#include "http_exchange.hpp"

#include <velo/base/check.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>
#include <sys/uio.h>

#include <span>
#include <utility>

namespace velo::discovery::etcd {
namespace http_exchange_detail {

constexpr std::size_t scratch_bytes = 16384;

static Error broken(const char* what, int system_error) {
  return velo::make_error(velo::Errc::io,
                          fmt::format("the connection to etcd {} ({})", what, system_error));
}

}  // namespace http_exchange_detail

HttpExchange::HttpExchange(Owner& owner)
    : owner_(owner), scratch_(http_exchange_detail::scratch_bytes) {}

std::shared_ptr<HttpExchange> HttpExchange::open(Shard& shard, const EtcdConnect& connect,
                                                 const Endpoint& endpoint, Duration connect_timeout,
                                                 Owner& owner) {
  auto exchange = std::make_shared<HttpExchange>(owner);
  ConnectOptions options;
  options.timeout = connect_timeout;
  exchange->connecting_ =
      connect(shard, endpoint, options,
              [weak = std::weak_ptr(exchange)](Result<std::unique_ptr<ByteStream>> stream) {
                if (const auto self = weak.lock()) self->connected(std::move(stream));
              });
  return exchange;
}

void HttpExchange::connected(Result<std::unique_ptr<ByteStream>> stream) {
  if (closed_) return;
  if (!stream) return fail(std::move(stream).error());
  stream_ = std::move(*stream);
  stream_->attach(*this);
  write();
}

void HttpExchange::send(std::string request, std::size_t body_bytes_max) {
  VELO_DCHECK(!response_ || response_->complete());
  if (response_) ++answered_;
  response_.emplace(codec::HttpResponseLimits(limits::etcd_head_bytes_max, body_bytes_max));
  out_ = std::move(request);
  written_ = 0;
  if (stream_) write();
}

void HttpExchange::write() {
  const auto self = shared_from_this();
  while (!closed_ && !error_ && written_ < out_.size()) {
    const iovec rest{out_.data() + written_, out_.size() - written_};
    const IoResult result = stream_->try_write(std::span(&rest, 1));
    if (result.status == IoResult::Status::ok) {
      written_ += result.bytes;
    } else if (result.status == IoResult::Status::would_block) {
      return stream_->want_write();
    } else {
      return fail(http_exchange_detail::broken("broke while writing", result.system_error));
    }
  }
}

void HttpExchange::on_readable() {
  const auto self = shared_from_this();
  while (!closed_ && !error_) {
    const IoResult result = stream_->try_read(scratch_);
    if (result.status == IoResult::Status::would_block) return;
    if (result.status == IoResult::Status::error) {
      return fail(http_exchange_detail::broken("broke", result.system_error));
    }
    if (result.status == IoResult::Status::end) {
      const bool asked = response_.has_value() && !response_->complete();
      if (asked && response_->has_head() && response_->finish()) return owner_.on_exchange(*this);
      return fail(http_exchange_detail::broken("was closed", 0));
    }
    if (!response_) {
      return fail(make_error(Errc::malformed_entry, "HTTP: a response without a request"));
    }
    const std::string_view bytes = as_text(ByteSpan(scratch_).first(result.bytes));
    if (Result<void> fed = response_->feed(bytes); !fed) return fail(std::move(fed).error());
    owner_.on_exchange(*this);
    if (result.bytes < scratch_.size()) return;
  }
}

void HttpExchange::fail(Error error) {
  const auto self = shared_from_this();
  if (closed_ || error_) return;
  error_ = std::move(error);
  if (stream_) stream_->close();
  owner_.on_exchange(*this);
}

void HttpExchange::close() noexcept {
  closed_ = true;
  connecting_.reset();
  if (stream_) stream_->close();
}

std::string http_post(const Endpoint& endpoint, std::string_view path, std::string_view body,
                      std::string_view token) {
  // With "hasleader" a watch ends when its member has lost its cluster, instead of falling silent.
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nContent-Type: application/json\r\n"
      "Grpc-Metadata-hasleader: true\r\n{}{}{}Content-Length: {}\r\n\r\n{}",
      path, v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port,
      token.empty() ? "" : "Authorization: ", token, token.empty() ? "" : "\r\n", body.size(),
      body);
}

}  // namespace velo::discovery::etcd
