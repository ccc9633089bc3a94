// SPDX-License-Identifier: Apache-2.0
// Makes sockets and sets their options.

#include "sockets.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "system_error.hpp"

namespace velo::runtime {
namespace sockets_detail {

constexpr int keepalive_idle_seconds = 60;
constexpr int keepalive_interval_seconds = 10;
constexpr int keepalive_probes_max = 6;

static bool set(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static Result<Descriptor> make(int family, int type) {
  Descriptor socket(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("socket", errno);
  // An IPv6 listener on a port leaves the same IPv4 port to another.
  if (family == AF_INET6 && !set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return system_error("IPV6_V6ONLY", errno);
  }
  return socket;
}

}  // namespace sockets_detail

Result<Descriptor> make_stream_socket(int family, std::size_t socket_buffer_bytes) {
  using sockets_detail::set;
  auto socket = sockets_detail::make(family, SOCK_STREAM);
  if (!socket.has_value()) return socket;
  const int fd = socket->get();
  bool good = true;
  if (family != AF_UNIX) {
    good = set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
           set(fd, IPPROTO_TCP, TCP_KEEPIDLE, sockets_detail::keepalive_idle_seconds) &&
           set(fd, IPPROTO_TCP, TCP_KEEPINTVL, sockets_detail::keepalive_interval_seconds) &&
           set(fd, IPPROTO_TCP, TCP_KEEPCNT, sockets_detail::keepalive_probes_max);
  }
  if (socket_buffer_bytes > 0) {
    const int bytes = static_cast<int>(std::min<std::size_t>(socket_buffer_bytes, INT_MAX / 2));
    good = good && set(fd, SOL_SOCKET, SO_SNDBUF, bytes) && set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (!good) return system_error("setsockopt", errno);
  return socket;
}

Result<Descriptor> make_datagram_socket(int family) {
  return sockets_detail::make(family, SOCK_DGRAM);
}

SocketAddress local_address(int fd) noexcept {
  SocketAddress address = SocketAddress::empty();
  if (::getsockname(fd, address.get(), &address.size) != 0) return {};
  return address;
}

}  // namespace velo::runtime
