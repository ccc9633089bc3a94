// SPDX-License-Identifier: Apache-2.0
// Plain non-blocking sockets with epoll, as the floor and the ladder's lower rungs use them: one
// connection, one thread at each end, an eight-byte header.
// Threading: one thread.
#pragma once

#include <velo/bench/measure.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace velo::bench::floor_detail {

struct Header {
  std::uint32_t length;
  std::uint32_t id;
};
constexpr std::uint32_t end_of_stream = 0xffffffff;
constexpr std::size_t read_bytes = std::size_t{256} << 10U;
/// Frames of this size are sent from where they were received.
constexpr std::size_t large_frame_bytes = std::size_t{16} << 10U;
constexpr std::size_t one_way_batch = 64;
constexpr std::size_t one_way_batch_bytes = std::size_t{1} << 20;

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  ::_exit(3);
}

/// A connected socket with its own epoll instance and a receive buffer.
class Peer {
 public:
  Peer(int fd, bool uds, std::size_t frame_bytes)
      : fd_(fd), buffer_(read_bytes + 4 * frame_bytes + sizeof(Header)) {
    const int one = 1;
    if (!uds) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void send(iovec* parts, int count) {
    while (count > 0) {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = static_cast<std::size_t>(count);
      ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) ::_exit(0);
        pollfd wait{fd_, POLLOUT, 0};
        ::poll(&wait, 1, -1);
        continue;
      }
      while (count > 0 && static_cast<std::size_t>(sent) >= parts->iov_len) {
        sent -= static_cast<ssize_t>(parts->iov_len);
        ++parts;
        --count;
      }
      if (count == 0) break;
      parts->iov_base = static_cast<char*>(parts->iov_base) + sent;
      parts->iov_len -= static_cast<std::size_t>(sent);
    }
  }
  void send_bytes(const char* data, std::size_t size) {
    iovec part{const_cast<char*>(data), size};
    send(&part, 1);
  }
  /// Takes in what arrives meanwhile: two ends that both only write would wait for each other.
  /// Moves what front() points to.
  void send_while_reading(const char* data, std::size_t size) {
    while (size > 0) {
      const std::size_t sent = send_some(data, size);
      data += sent;
      size -= sent;
    }
  }
  /// The same with the first `size` bytes received, which are gone afterwards.
  void send_back(std::size_t size) {
    while (size > 0) {
      const std::size_t sent = send_some(front(), size);
      begin_ += sent;
      size -= sent;
    }
  }
  void send_frame(Header header, const char* payload) {
    std::array<iovec, 2> parts{iovec{&header, sizeof header},
                               iovec{const_cast<char*>(payload), header.length}};
    send(parts.data(), header.length > 0 ? 2 : 1);
  }

  /// Waits, then receives once.
  void fill() {
    if (begin_ == end_) begin_ = end_ = 0;
    make_room();
    epoll_event events[8];
    ::epoll_wait(epoll_, events, 8, -1);
    for (;;) {
      const ssize_t got = ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, 0);
      if (got > 0) {
        end_ += static_cast<std::size_t>(got);
        return;
      }
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) ::_exit(0);
      ::epoll_wait(epoll_, events, 8, -1);
    }
  }
  bool have(Header* header) const {
    if (end_ - begin_ < sizeof(Header)) return false;
    std::memcpy(header, buffer_.data() + begin_, sizeof(Header));
    return end_ - begin_ >= sizeof(Header) + header->length;
  }
  const char* front() const { return buffer_.data() + begin_; }
  void pop(const Header& header) { begin_ += sizeof(Header) + header.length; }
  Header next(const char** payload) {
    Header header{};
    while (!have(&header)) fill();
    *payload = front() + sizeof(Header);
    pop(header);
    return header;
  }

 private:
  /// For a read. Moves only where at least as much is free, so that each byte is moved about once.
  void make_room() {
    if (buffer_.size() - end_ >= read_bytes / 2) return;
    if (begin_ < end_ - begin_) return buffer_.resize(2 * buffer_.size());
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  /// Sends what fits; when nothing does, waits and reads.
  std::size_t send_some(const char* data, std::size_t size) {
    const ssize_t sent = ::send(fd_, data, size, MSG_NOSIGNAL);
    if (sent > 0) return static_cast<std::size_t>(sent);
    if (errno != EAGAIN && errno != EINTR) ::_exit(0);
    pollfd wait{fd_, POLLIN | POLLOUT, 0};
    ::poll(&wait, 1, -1);
    if ((wait.revents & POLLIN) == 0) return 0;
    make_room();
    const ssize_t got = ::recv(fd_, buffer_.data() + end_, buffer_.size() - end_, 0);
    if (got > 0) end_ += static_cast<std::size_t>(got);
    return 0;
  }

  int fd_;
  int epoll_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

inline Address address_of(const Spec& spec, const std::string& where) {
  Address address;
  if (spec.medium == Medium::uds) {
    auto* path = reinterpret_cast<sockaddr_un*>(&address.storage);
    path->sun_family = AF_UNIX;
    std::memcpy(path->sun_path + 1, where.data(),
                std::min(where.size(), sizeof path->sun_path - 2));
    address.length = static_cast<socklen_t>(sizeof(sa_family_t) + 1 + where.size());
  } else {
    auto* ip = reinterpret_cast<sockaddr_in*>(&address.storage);
    ip->sin_family = AF_INET;
    ip->sin_port = htons(static_cast<std::uint16_t>(std::strtoul(where.c_str(), nullptr, 10)));
    ip->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.length = sizeof(sockaddr_in);
  }
  return address;
}

inline int new_socket(const Spec& spec) {
  const int fd =
      ::socket(spec.medium == Medium::uds ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

/// Writes where it listens to `ready`, and accepts one connection.
inline int accept_one(const Spec& spec, int ready) {
  const int listener = new_socket(spec);
  const std::string name = "velo-floor-" + std::to_string(::getpid());
  Address address = address_of(spec, spec.medium == Medium::uds ? name : "0");
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address.storage), address.length) != 0 ||
      ::listen(listener, 8) != 0) {
    fail("listen");
  }
  std::string where = name;
  if (spec.medium == Medium::tcp) {
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address.storage), &address.length);
    where = std::to_string(ntohs(reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port));
  }
  where += '\n';
  if (::write(ready, where.data(), where.size()) < 0) fail("ready");
  return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
}

inline int connect_to(const Spec& spec, const std::string& where) {
  const int fd = new_socket(spec);
  const Address address = address_of(spec, where);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0) {
    fail("connect");
  }
  return fd;
}

/// After a warm-up, times `once` again and again.
template <class F>
Measurement time_round_trips(const Spec& spec, F once) {
  Measurement result;
  const std::int64_t warm = now_ns() + static_cast<std::int64_t>(spec.warm_up_seconds * 1e9);
  while (now_ns() < warm) once();
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(spec.seconds * 1e9);
  std::int64_t last = begin;
  while (last < end) {
    once();
    const std::int64_t now = now_ns();
    result.samples_ns.push_back(static_cast<std::uint32_t>(now - last));
    last = now;
  }
  result.messages = static_cast<double>(result.samples_ns.size());
  result.seconds = static_cast<double>(last - begin) / 1e9;
  return result;
}

}  // namespace velo::bench::floor_detail
