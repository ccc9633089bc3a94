// SPDX-License-Identifier: Apache-2.0
// The states of a connecting attempt: posted, waiting for the socket, ended.

#include "connector.hpp"

#include <velo/base/check.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "descriptor.hpp"
#include "socket_address.hpp"
#include "socket_stream.hpp"
#include "sockets.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace connector_detail {

/// A Unix socket whose backlog is full refuses at once instead of waiting; how long until it is
/// asked again.
constexpr Duration backlog_retry = std::chrono::milliseconds(5);

class Attempt final : public EventSource,
                      public StopListener,
                      // why: the shard keeps it while one of its events is being handled.
                      public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(EpollShard& shard, Endpoint remote, const ConnectOptions& options, StreamHandler done)
      : shard_(shard), remote_(std::move(remote)), options_(options), done_(std::move(done)) {}

  void start();
  void abandon() noexcept {
    VELO_DCHECK(shard_.may_touch());
    if (!ended_) release();
    done_ = nullptr;
  }
  void on_events(std::uint32_t events) override;
  void on_stop() noexcept override;

 private:
  void try_connect();
  void wait_for_backlog();
  void connected();
  /// Gives back everything but the handler; nothing calls here afterwards.
  void release() noexcept;
  void end(Result<std::unique_ptr<ByteStream>> result);
  void fail(int system_error) {
    end(connect_error("connect " + remote_.to_string(), system_error));
  }

  EpollShard& shard_;
  const Endpoint remote_;
  const ConnectOptions options_;
  StreamHandler done_;
  SocketAddress address_;
  Descriptor socket_;
  bool started_ = false;
  bool watched_ = false;
  bool stopped_ = false;  ///< its place among the stop listeners is gone
  bool ended_ = false;
  Shard::TimerId deadline_ = 0;
  Shard::TimerId retry_ = 0;
  EpollShard::StopTicket ticket_;
};

void Attempt::start() {
  if (ended_) return;
  started_ = true;
  ticket_ = shard_.add_stop_listener(*this);
  if (shard_.stopping()) return end(make_error(Errc::shutting_down, "the World stops"));
  auto address = to_socket_address(remote_);
  if (!address.has_value()) return end(address.error());
  address_ = *address;
  auto socket = make_stream_socket(address_.family(), options_.socket_buffer_bytes);
  if (!socket.has_value()) return end(socket.error());
  socket_ = std::move(*socket);
  deadline_ = shard_.start_timer(shard_.now() + options_.timeout,
                                 Task0{[](void* argument) {
                                         auto& self = *static_cast<Attempt*>(argument);
                                         self.deadline_ = 0;
                                         self.fail(ETIMEDOUT);
                                       },
                                       this});
  try_connect();
}

void Attempt::try_connect() {
  int code = 0;
  do {
    code = ::connect(socket_.get(), address_.get(), address_.size) == 0 ? 0 : errno;
  } while (code == EINTR);
  if (code == 0) return connected();
  if (code == EAGAIN && address_.family() == AF_UNIX) return wait_for_backlog();
  if (code != EINPROGRESS && code != EALREADY) return fail(code);
  if (const int refused = shard_.watch(socket_.get(), EPOLLOUT, *this); refused != 0) {
    return fail(refused);
  }
  watched_ = true;
}

void Attempt::wait_for_backlog() {
  retry_ = shard_.start_timer(shard_.now() + backlog_retry,
                              Task0{[](void* argument) {
                                      auto& self = *static_cast<Attempt*>(argument);
                                      self.retry_ = 0;
                                      self.try_connect();
                                    },
                                    this});
}

void Attempt::on_events(std::uint32_t /*events*/) {
  int code = 0;
  socklen_t size = sizeof code;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) return fail(code);
  connected();
}

void Attempt::connected() {
  // Dialing a free local port can connect a socket to itself.
  if (address_.family() != AF_UNIX && local_address(socket_.get()) == address_) {
    return fail(ECONNREFUSED);
  }
  if (watched_) {
    shard_.unwatch(socket_.get(), *this);
    watched_ = false;
  }
  end(std::make_unique<SocketStream>(shard_, std::move(socket_), remote_));
}

void Attempt::on_stop() noexcept {
  stopped_ = true;
  end(make_error(Errc::shutting_down, "the World stops"));
}

void Attempt::release() noexcept {
  ended_ = true;
  if (watched_) shard_.unwatch(socket_.get(), *this);
  watched_ = false;
  if (deadline_ != 0) shard_.cancel_timer(std::exchange(deadline_, 0));
  if (retry_ != 0) shard_.cancel_timer(std::exchange(retry_, 0));
  if (started_ && !stopped_) shard_.remove_stop_listener(ticket_);
  socket_.reset();
}

void Attempt::end(Result<std::unique_ptr<ByteStream>> result) {
  const auto self = shared_from_this();  // the handler may destroy the handle
  release();
  StreamHandler done = std::exchange(done_, nullptr);
  done(std::move(result));
}

class Handle final : public Connecting {
 public:
  explicit Handle(std::shared_ptr<Attempt> attempt) noexcept : attempt_(std::move(attempt)) {}
  ~Handle() override { attempt_->abandon(); }

 private:
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace connector_detail

std::unique_ptr<Connecting> start_connecting(EpollShard& shard, const Endpoint& remote,
                                             const ConnectOptions& options, StreamHandler done) {
  auto attempt =
      std::make_shared<connector_detail::Attempt>(shard, remote, options, std::move(done));
  post(shard, [attempt] { attempt->start(); });
  return std::make_unique<connector_detail::Handle>(std::move(attempt));
}

}  // namespace velo::runtime
