// SPDX-License-Identifier: Apache-2.0
// A connection to an HTTP server with one request at a time: connects, writes, reads, and tells its
// owner what came. It keeps no time and repeats nothing.
// Threading: on its shard's thread only.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/codec/http_response.hpp>
#include <velo/discovery/backends/etcd.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::discovery::etcd {

class HttpExchange final : public StreamEvents,
                           // why: its owner may let it go in the middle of on_exchange().
                           public std::enable_shared_from_this<HttpExchange> {
 public:
  class Owner {
   public:
    /// More of the response came, it is complete, or failed() became true. May send() or close().
    virtual void on_exchange(HttpExchange& exchange) = 0;

   protected:
    ~Owner() = default;
  };

  /// Connects. Call close() before letting go of it.
  static std::shared_ptr<HttpExchange> open(Shard& shard, const EtcdConnect& connect,
                                            const Endpoint& endpoint, Duration connect_timeout,
                                            Owner& owner);
  explicit HttpExchange(Owner& owner);
  HttpExchange(const HttpExchange&) = delete;

  /// A whole request; the one before must have been answered completely.
  void send(std::string request, std::size_t body_bytes_max);
  /// No further call of the owner.
  void close() noexcept;

  bool failed() const noexcept { return error_.has_value(); }
  const Error& error() const noexcept { return *error_; }
  /// After send().
  codec::HttpResponse& response() noexcept { return *response_; }
  /// Responses that came whole, before the present one.
  std::size_t answered() const noexcept { return answered_; }

  void on_readable() override;
  void on_writable() override { write(); }

 private:
  void connected(Result<std::unique_ptr<ByteStream>> stream);
  void write();
  void fail(Error error);

  Owner& owner_;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<ByteStream> stream_;
  std::optional<codec::HttpResponse> response_;
  std::optional<Error> error_;
  std::string out_;
  std::size_t written_ = 0;
  std::size_t answered_ = 0;
  std::vector<std::byte> scratch_;
  bool closed_ = false;
};

/// "POST path", with the body and what etcd's gateway needs to know; `token` may be empty.
std::string http_post(const Endpoint& endpoint, std::string_view path, std::string_view body,
                      std::string_view token);

}  // namespace velo::discovery::etcd
