// SPDX-License-Identifier: Apache-2.0
// Receiving and sending UDP datagrams.

#include "datagram.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "descriptor.hpp"
#include "multicast.hpp"
#include "segments.hpp"
#include "socket_address.hpp"
#include "sockets.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace datagram_detail {

/// The rest waits for the next turn.
constexpr int calls_per_turn_max = 16;

static bool set(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static IoResult send_one(int fd, const SocketAddress& to, ByteSpan datagram) noexcept {
  for (;;) {
    const ssize_t size =
        ::sendto(fd, datagram.data(), datagram.size(), MSG_NOSIGNAL, to.get(), to.size);
    if (size >= 0) return {IoResult::Status::ok, static_cast<std::size_t>(size), 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {IoResult::Status::would_block, 0, 0};
    return {IoResult::Status::error, 0, errno};
  }
}

// why: the shard keeps it while one of its events is being handled.
class UdpEndpoint final : public EventSource, public std::enable_shared_from_this<UdpEndpoint> {
 public:
  UdpEndpoint(EpollShard& shard, Descriptor socket, DatagramEvents& events)
      : shard_(shard),
        socket_(std::move(socket)),
        events_(events),
        local_(to_net_address(local_address(socket_.get()))) {}

  int start() noexcept { return shard_.watch(socket_.get(), EPOLLIN, *this); }
  void close() noexcept {
    closed_ = true;
    writable_ = nullptr;
    shard_.unwatch(socket_.get(), *this);
  }
  int descriptor() const noexcept { return socket_.get(); }
  const NetAddress& local() const noexcept { return local_; }

  void want_write(std::move_only_function<void()> writable) {
    if (closed_) return;
    writable_ = std::move(writable);
    shard_.rewatch(socket_.get(), EPOLLIN | EPOLLOUT, *this);
  }

  void on_events(std::uint32_t events) override {
    const auto self = shared_from_this();  // what is told may destroy the socket
    if ((events & EPOLLOUT) != 0 && writable_) {
      shard_.rewatch(socket_.get(), EPOLLIN, *this);
      auto writable = std::exchange(writable_, nullptr);
      writable();
    }
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 && !closed_) receive();
  }

 private:
  void receive() {
    bool told = false;
    for (int calls = 0; calls < calls_per_turn_max && !closed_; ++calls) {
      const int count = reader_.receive(socket_.get());
      if (count == -EAGAIN || count == 0) break;
      if (count < 0) continue;  // an error that an earlier datagram left behind
      told = true;
      for (std::size_t i = 0; i < static_cast<std::size_t>(count) && !closed_; ++i) tell(i);
      if (!reader_.was_full(count)) break;
    }
    if (told && !closed_) events_.on_batch_end();
  }

  void tell(std::size_t index) {
    const NetAddress from = to_net_address(reader_.from(index));
    const NetAddress to = destination(reader_.message(index));
    ByteSpan rest = reader_.contents(index);
    const std::size_t segment = reader_.segment_bytes(index);
    do {
      const ByteSpan datagram = rest.first(std::min(segment, rest.size()));
      rest = rest.subspan(datagram.size());
      events_.on_datagram(from, to, datagram);
    } while (!rest.empty() && !closed_);
  }

  NetAddress destination(msghdr& message) const noexcept {
    NetAddress to;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
      if (one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_PKTINFO) {
        in_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(one), sizeof info);
        std::memcpy(to.ip.data(), &info.ipi_addr, sizeof info.ipi_addr);
        to.port = local_.port;
      } else if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(one), sizeof info);
        std::memcpy(to.ip.data(), &info.ipi6_addr, sizeof info.ipi6_addr);
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&info.ipi6_addr)) {
          to.scope = info.ipi6_ifindex;
        }
        to.port = local_.port;
        to.v6 = true;
      }
    }
    return to;
  }

  EpollShard& shard_;
  Descriptor socket_;
  DatagramEvents& events_;
  const NetAddress local_;
  bool closed_ = false;
  std::move_only_function<void()> writable_;
  SegmentReader reader_;
};

class UdpSocket final : public DatagramSocket {
 public:
  explicit UdpSocket(std::shared_ptr<UdpEndpoint> endpoint)
      : endpoint_(std::move(endpoint)),
        local_(runtime::to_endpoint(local_address(endpoint_->descriptor()))) {}
  ~UdpSocket() override { endpoint_->close(); }

  Endpoint local() const override { return local_; }

  IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept override {
    const auto address = to_socket_address(to);
    if (!address.has_value()) return {IoResult::Status::error, 0, EINVAL};
    return send_one(endpoint_->descriptor(), *address, datagram);
  }

  IoResult try_send_segments(const NetAddress& to, ByteSpan datagrams,
                             std::size_t segment_bytes) noexcept override {
    return sender_.send(endpoint_->descriptor(), {nullptr, to_socket_address(to)}, datagrams,
                        segment_bytes);
  }

  IoResult try_send_segments_from(const NetAddress& from, const NetAddress& to, ByteSpan datagrams,
                                  std::size_t segment_bytes) noexcept override {
    return sender_.send(endpoint_->descriptor(), {&from, to_socket_address(to)}, datagrams,
                        segment_bytes);
  }

  void want_write(std::move_only_function<void()> writable) override {
    endpoint_->want_write(std::move(writable));
  }

 private:
  std::shared_ptr<UdpEndpoint> endpoint_;
  Endpoint local_;
  SegmentSender sender_;
};

static Result<void> prepare(int fd, bool v6, const DatagramOptions& options) {
  bool good = v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (options.never_fragment) {
    good = good && (v6 ? set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
                       : set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE));
  }
  // An older kernel does not glue, and that is all.
  static_cast<void>(set(fd, SOL_UDP, UDP_GRO, 1));
  if (options.share_port) good = good && set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.socket_buffer_bytes > 0) {
    const int bytes =
        static_cast<int>(std::min<std::size_t>(options.socket_buffer_bytes, INT_MAX / 2));
    good = good && set(fd, SOL_SOCKET, SO_SNDBUF, bytes) && set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (!good) return system_error("setsockopt", errno);
  return set_multicast(fd, v6, options);
}

}  // namespace datagram_detail

Result<std::unique_ptr<DatagramSocket>> open_udp(EpollShard& shard, const Endpoint& local,
                                                 const DatagramOptions& options,
                                                 DatagramEvents& events) {
  if (local.kind != Endpoint::Kind::tcp) {
    return make_error(Errc::unsupported, "datagrams need a numeric address and a port");
  }
  const auto address = to_socket_address(local);
  if (!address.has_value()) return address.error();
  auto socket = make_datagram_socket(address->family());
  if (!socket.has_value()) return socket.error();
  auto prepared = datagram_detail::prepare(socket->get(), address->family() == AF_INET6, options);
  if (!prepared.has_value()) return prepared.error();
  if (::bind(socket->get(), address->get(), address->size) != 0) {
    return system_error("bind udp " + local.to_string(), errno);
  }
  auto endpoint = std::make_shared<datagram_detail::UdpEndpoint>(shard, std::move(*socket), events);
  if (const int code = endpoint->start(); code != 0) return system_error("epoll_ctl", code);
  return std::make_unique<datagram_detail::UdpSocket>(std::move(endpoint));
}

}  // namespace velo::runtime
