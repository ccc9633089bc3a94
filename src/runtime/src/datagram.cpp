// SPDX-License-Identifier: Apache-2.0
// Receiving and sending UDP datagrams.

#include "datagram.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "descriptor.hpp"
#include "socket_address.hpp"
#include "sockets.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace datagram_detail {

/// No UDP datagram is larger.
constexpr std::size_t datagram_bytes_max = 65536;
/// The rest waits for the next turn.
constexpr int datagrams_per_turn_max = 64;

// why: the shard keeps it while one of its events is being handled.
class Receiver final : public EventSource, public std::enable_shared_from_this<Receiver> {
 public:
  Receiver(EpollShard& shard, Descriptor socket, DatagramHandler on_datagram)
      : shard_(shard), socket_(std::move(socket)), on_datagram_(std::move(on_datagram)) {}

  int start() noexcept { return shard_.watch(socket_.get(), EPOLLIN, *this); }
  void close() noexcept {
    closed_ = true;
    shard_.unwatch(socket_.get(), *this);
  }
  int descriptor() const noexcept { return socket_.get(); }

  void on_events(std::uint32_t /*events*/) override {
    const auto self = shared_from_this();  // the handler may destroy the socket
    for (int i = 0; i < datagrams_per_turn_max && !closed_; ++i) {
      SocketAddress from = SocketAddress::empty();
      const ssize_t size =
          ::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), 0, from.get(), &from.size);
      if (size < 0 && errno == EAGAIN) return;
      if (size < 0) continue;  // an error that an earlier datagram left behind
      if (!(from == last_from_)) {
        last_from_ = from;
        last_endpoint_ = to_endpoint(from);
      }
      on_datagram_(last_endpoint_, ByteSpan(buffer_.data(), static_cast<std::size_t>(size)));
    }
  }

 private:
  EpollShard& shard_;
  Descriptor socket_;
  DatagramHandler on_datagram_;
  bool closed_ = false;
  SocketAddress last_from_;  ///< most datagrams come from where the one before came from
  Endpoint last_endpoint_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(datagram_bytes_max);
};

class UdpSocket final : public DatagramSocket {
 public:
  UdpSocket(std::shared_ptr<Receiver> receiver, Endpoint local)
      : receiver_(std::move(receiver)), local_(std::move(local)) {}
  ~UdpSocket() override { receiver_->close(); }

  Endpoint local() const override { return local_; }

  IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept override {
    const auto address = to_socket_address(to);
    if (!address.has_value()) return {IoResult::Status::error, 0, EINVAL};
    for (;;) {
      const ssize_t size = ::sendto(receiver_->descriptor(), datagram.data(), datagram.size(),
                                    MSG_NOSIGNAL, address->get(), address->size);
      if (size >= 0) return {IoResult::Status::ok, static_cast<std::size_t>(size), 0};
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return {IoResult::Status::would_block, 0, 0};
      return {IoResult::Status::error, 0, errno};
    }
  }

 private:
  std::shared_ptr<Receiver> receiver_;
  Endpoint local_;
};

}  // namespace datagram_detail

Result<std::unique_ptr<DatagramSocket>> bind_udp(EpollShard& shard, const Endpoint& local,
                                                 DatagramHandler on_datagram) {
  if (local.kind != Endpoint::Kind::tcp) {
    return make_error(Errc::unsupported, "datagrams need a numeric address and a port");
  }
  const auto address = to_socket_address(local);
  if (!address.has_value()) return address.error();
  auto socket = make_datagram_socket(address->family());
  if (!socket.has_value()) return socket.error();
  if (::bind(socket->get(), address->get(), address->size) != 0) {
    return system_error("bind udp " + local.to_string(), errno);
  }
  Endpoint bound = to_endpoint(local_address(socket->get()));
  auto receiver = std::make_shared<datagram_detail::Receiver>(shard, std::move(*socket),
                                                              std::move(on_datagram));
  if (const int code = receiver->start(); code != 0) return system_error("epoll_ctl", code);
  return std::make_unique<datagram_detail::UdpSocket>(std::move(receiver), std::move(bound));
}

}  // namespace velo::runtime
