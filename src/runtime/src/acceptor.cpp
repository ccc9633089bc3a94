// SPDX-License-Identifier: Apache-2.0
// The accept loop.

#include "acceptor.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "socket_address.hpp"
#include "socket_stream.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace acceptor_detail {

/// The rest of a burst waits for the next turn, so that a flood of connections does not starve
/// those that exist.
constexpr int accepts_per_turn_max = 64;
/// How long to stop accepting when descriptors or memory ran out: the backlog stays readable, and
/// would spin.
constexpr Duration pause_length = std::chrono::milliseconds(100);

// why: the shard keeps it while one of its events is being handled.
class Acceptor final : public EventSource, public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(EpollShard& shard, Descriptor socket, Endpoint local, StreamHandler on_accept)
      : shard_(shard),
        socket_(std::move(socket)),
        local_(std::move(local)),
        on_accept_(std::move(on_accept)) {}

  int start() noexcept { return shard_.watch(socket_.get(), EPOLLIN, *this); }
  void close() noexcept {
    if (closed_) return;
    closed_ = true;
    shard_.unwatch(socket_.get(), *this);
    if (resume_ != 0) shard_.cancel_timer(resume_);
    socket_.reset();
  }
  const Endpoint& local() const noexcept { return local_; }

  void on_events(std::uint32_t events) override;

 private:
  enum class Next : std::uint8_t { go_on, wait, pause };
  static Next after(int accept_error) noexcept;
  void hand_over(Descriptor socket, const SocketAddress& remote);
  void pause_after(int accept_error);

  EpollShard& shard_;
  Descriptor socket_;
  Endpoint local_;
  StreamHandler on_accept_;
  bool closed_ = false;
  Shard::TimerId resume_ = 0;
};

Acceptor::Next Acceptor::after(int accept_error) noexcept {
  switch (accept_error) {
    case EAGAIN: return Next::wait;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return Next::pause;
    // What is left went wrong with the one connection, such as ECONNABORTED, or with its network.
    default: return Next::go_on;
  }
}

void Acceptor::on_events(std::uint32_t /*events*/) {
  const auto self = shared_from_this();  // on_accept may destroy the listener
  for (int i = 0; i < accepts_per_turn_max && !closed_; ++i) {
    SocketAddress remote = SocketAddress::empty();
    Descriptor socket(
        ::accept4(socket_.get(), remote.get(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      hand_over(std::move(socket), remote);
      continue;
    }
    const int accept_error = errno;
    const Next next = after(accept_error);
    if (next == Next::wait) return;
    if (next == Next::pause) return pause_after(accept_error);
  }
}

void Acceptor::hand_over(Descriptor socket, const SocketAddress& remote) {
  // Who connects to a Unix socket has no address: they met at the listener's.
  Endpoint from = remote.family() == AF_UNIX ? local_ : to_endpoint(remote);
  on_accept_(std::make_unique<SocketStream>(shard_, std::move(socket), std::move(from)));
}

void Acceptor::pause_after(int accept_error) {
  shard_.rewatch(socket_.get(), 0, *this);
  resume_ = shard_.start_timer(shard_.now() + pause_length,
                               Task0{[](void* argument) {
                                       auto& self = *static_cast<Acceptor*>(argument);
                                       self.resume_ = 0;
                                       self.shard_.rewatch(self.socket_.get(), EPOLLIN, self);
                                     },
                                     this});
  on_accept_(system_error("accept on " + local_.to_string(), accept_error));
}

class AcceptingListener final : public Listener {
 public:
  AcceptingListener(std::shared_ptr<Acceptor> acceptor, UnixPath path)
      : acceptor_(std::move(acceptor)), path_(std::move(path)) {}
  ~AcceptingListener() override {
    // While the socket is open its file's inode number cannot be another's: the path's owner check
    // needs that.
    {
      const UnixPath removed = std::move(path_);
    }
    acceptor_->close();
  }
  Endpoint local() const override { return acceptor_->local(); }

 private:
  std::shared_ptr<Acceptor> acceptor_;
  UnixPath path_;
};

}  // namespace acceptor_detail

Result<std::unique_ptr<Listener>> start_accepting(EpollShard& shard, Descriptor socket,
                                                  Endpoint local, UnixPath path,
                                                  StreamHandler on_accept) {
  auto acceptor = std::make_shared<acceptor_detail::Acceptor>(
      shard, std::move(socket), std::move(local), std::move(on_accept));
  if (const int code = acceptor->start(); code != 0) return system_error("epoll_ctl", code);
  return std::make_unique<acceptor_detail::AcceptingListener>(std::move(acceptor), std::move(path));
}

}  // namespace velo::runtime
