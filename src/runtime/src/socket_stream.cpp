// SPDX-License-Identifier: Apache-2.0
// Reading, writing and readiness of a connected socket.

#include "socket_stream.hpp"

#include <velo/base/check.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>

namespace velo::runtime {

SocketStream::SocketStream(EpollShard& shard, Descriptor socket, Endpoint remote) noexcept
    : shard_(shard), socket_(std::move(socket)), interest_(EPOLLIN), remote_(std::move(remote)) {}

SocketStream::~SocketStream() { stop_watching(State::closed); }

void SocketStream::attach(StreamEvents& events) {
  VELO_DCHECK(shard_.may_touch());
  VELO_CHECK(events_ == nullptr);
  events_ = &events;
  const std::scoped_lock lock(mutex_);
  if (state_ != State::detached) return;
  watch_error_ = shard_.watch(socket_.get(), interest_, *this);
  if (watch_error_ == 0) {
    state_ = State::watched;
    return;
  }
  // Out of memory or watches: the owner is told to read, and reads the error.
  notice_ = shard_.start_timer(shard_.now(), Task0{[](void* self) {
                                                     auto& stream =
                                                         *static_cast<SocketStream*>(self);
                                                     stream.notice_ = 0;
                                                     stream.events_->on_readable();
                                                   },
                                                   this});
}

IoResult SocketStream::try_read(std::span<std::byte> into) noexcept {
  if (watch_error_ != 0) [[unlikely]]
    return {IoResult::Status::error, 0, watch_error_};
  for (;;) {
    const ssize_t count = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (count > 0) return {IoResult::Status::ok, static_cast<std::size_t>(count), 0};
    if (count == 0) {
      if (into.empty()) return {IoResult::Status::would_block, 0, 0};
      // Level-triggered: the end would be reported for ever, while writing may go on.
      finished_ = true;
      change_interest(0, EPOLLIN);
      return {IoResult::Status::end, 0, 0};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {IoResult::Status::would_block, 0, 0};
    const int system_error = errno;
    finished_ = true;
    change_interest(0, EPOLLIN);
    return {IoResult::Status::error, 0, system_error};
  }
}

IoResult SocketStream::try_write(std::span<const iovec> from) noexcept {
  for (;;) {
    ssize_t count = 0;
    if (from.size() == 1) {
      count = ::send(socket_.get(), from[0].iov_base, from[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(from.data());  // the kernel only reads them
      message.msg_iovlen = from.size();
      count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    }
    if (count >= 0) return {IoResult::Status::ok, static_cast<std::size_t>(count), 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {IoResult::Status::would_block, 0, 0};
    return {IoResult::Status::error, 0, errno};
  }
}

void SocketStream::want_write() noexcept { change_interest(EPOLLOUT, 0); }

void SocketStream::close() noexcept {
  VELO_DCHECK(shard_.may_touch());
  stop_watching(State::closed);
  ::shutdown(socket_.get(), SHUT_RDWR);
}

bool SocketStream::change_interest(std::uint32_t add, std::uint32_t remove) noexcept {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t wanted = (interest_ | add) & ~remove;
  if (wanted == interest_) return false;
  interest_ = wanted;
  if (state_ == State::watched) shard_.rewatch(socket_.get(), wanted, *this);
  return true;
}

void SocketStream::stop_watching(State next) noexcept {
  const std::scoped_lock lock(mutex_);
  const State before = std::exchange(state_, next);
  if (before == State::watched) shard_.unwatch(socket_.get(), *this);
  if (notice_ != 0) shard_.cancel_timer(std::exchange(notice_, 0));
}

std::optional<PeerCredentials> SocketStream::peer_credentials() const {
  if (remote_.kind != Endpoint::Kind::unix_socket) return std::nullopt;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return std::nullopt;
  }
  PeerCredentials peer;
  peer.user = credentials.uid;
  peer.group = credentials.gid;
  peer.process = credentials.pid;
  return peer;
}

void SocketStream::on_events(std::uint32_t events) {
  // The owner may destroy this stream in either callback: afterwards only the shard can say whether
  // it still exists.
  EpollShard& shard = shard_;
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  // Disarmed before the callback: a want_write() that finds it still armed is answered by the
  // callback that follows.
  if (((events & EPOLLOUT) != 0 || broken) && change_interest(0, EPOLLOUT)) {
    events_->on_writable();
    if (!shard.is_telling(*this)) return;
  }
  if ((events & EPOLLIN) != 0 || broken) {
    if (finished_ && broken) {
      // Errors cannot be masked. The reader knows; a writer meets the error in try_write.
      stop_watching(State::detached);
      return;
    }
    if (!finished_) events_->on_readable();
  }
}

}  // namespace velo::runtime
