// SPDX-License-Identifier: Apache-2.0
// Numeric addresses as bytes and as text, and what datagram sockets of every World have in common.

#include <velo/base/network.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

namespace velo {

Result<NetAddress> to_net_address(const Endpoint& endpoint) {
  if (endpoint.kind != Endpoint::Kind::tcp) {
    return make_error(Errc::invalid_argument, endpoint.to_string() + " has no IP address");
  }
  NetAddress address;
  address.port = endpoint.port;
  if (::inet_pton(AF_INET, endpoint.host.c_str(), address.ip.data()) == 1) return address;
  std::string host = endpoint.host;
  if (const std::size_t percent = host.find('%'); percent != std::string::npos) {
    const char* end = host.data() + host.size();
    const auto [rest, error] = std::from_chars(host.data() + percent + 1, end, address.scope);
    if (error != std::errc() || rest != end) {
      return make_error(Errc::invalid_argument, host + ": the scope is an interface's number");
    }
    host.resize(percent);
  }
  if (::inet_pton(AF_INET6, host.c_str(), address.ip.data()) != 1) {
    return make_error(Errc::invalid_argument, endpoint.host + " is no numeric address");
  }
  address.v6 = true;
  return address;
}

Endpoint to_endpoint(const NetAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.ip.data(), text.data(), text.size());
  std::string host = text.data();
  if (address.v6 && address.scope != 0) host += '%' + std::to_string(address.scope);
  return Endpoint::tcp(std::move(host), address.port);
}

bool is_multicast(const NetAddress& address) noexcept {
  return address.v6 ? address.ip[0] == 0xff : (address.ip[0] & 0xf0) == 0xe0;
}

IoResult DatagramSocket::try_send_segments(const NetAddress& to, ByteSpan datagrams,
                                           std::size_t segment_bytes) noexcept {
  if (segment_bytes == 0) return {IoResult::Status::error, 0, EINVAL};
  const Endpoint endpoint = to_endpoint(to);
  std::size_t taken = 0;
  while (taken < datagrams.size()) {
    const std::size_t size = std::min(segment_bytes, datagrams.size() - taken);
    const IoResult sent = try_send(endpoint, datagrams.subspan(taken, size));
    if (sent.status != IoResult::Status::ok) {
      return taken > 0 ? IoResult{IoResult::Status::ok, taken, 0} : sent;
    }
    taken += size;
  }
  return {IoResult::Status::ok, taken, 0};
}

IoResult DatagramSocket::try_send_segments_from(const NetAddress& /*from*/, const NetAddress& to,
                                                ByteSpan datagrams,
                                                std::size_t segment_bytes) noexcept {
  return try_send_segments(to, datagrams, segment_bytes);
}

void DatagramSocket::want_write(std::move_only_function<void()> writable) {
  if (writable) writable();
}

namespace net_address_detail {

/// A socket whose datagrams go to a function, which may destroy the socket.
class HandledSocket final : public DatagramSocket, private DatagramEvents {
 public:
  explicit HandledSocket(DatagramHandler handler)
      : handler_(std::make_shared<DatagramHandler>(std::move(handler))) {}

  Result<void> open(Network& network, Shard& shard, const Endpoint& local) {
    auto opened = network.open_datagram(shard, local, DatagramOptions(), *this);
    if (!opened.has_value()) return opened.error();
    socket_ = std::move(*opened);
    return {};
  }

  Endpoint local() const override { return socket_->local(); }
  IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept override {
    return socket_->try_send(to, datagram);
  }
  IoResult try_send_segments(const NetAddress& to, ByteSpan datagrams,
                             std::size_t segment_bytes) noexcept override {
    return socket_->try_send_segments(to, datagrams, segment_bytes);
  }
  IoResult try_send_segments_from(const NetAddress& from, const NetAddress& to, ByteSpan datagrams,
                                  std::size_t segment_bytes) noexcept override {
    return socket_->try_send_segments_from(from, to, datagrams, segment_bytes);
  }
  void want_write(std::move_only_function<void()> writable) override {
    socket_->want_write(std::move(writable));
  }

 private:
  void on_datagram(const NetAddress& from, const NetAddress& /*to*/, ByteSpan datagram) override {
    if (from != last_from_ || last_endpoint_.host.empty()) {
      last_from_ = from;
      last_endpoint_ = to_endpoint(from);
    }
    const auto handler = handler_;
    const Endpoint endpoint = last_endpoint_;
    if (*handler) (*handler)(endpoint, datagram);
  }

  std::shared_ptr<DatagramHandler> handler_;
  NetAddress last_from_;  ///< most datagrams come from where the one before came from
  Endpoint last_endpoint_;
  std::unique_ptr<DatagramSocket> socket_;
};

}  // namespace net_address_detail

Result<std::unique_ptr<DatagramSocket>> Network::bind_datagram(Shard& shard, const Endpoint& local,
                                                               DatagramHandler on_datagram) {
  auto socket = std::make_unique<net_address_detail::HandledSocket>(std::move(on_datagram));
  auto opened = socket->open(*this, shard, local);
  if (!opened.has_value()) return opened.error();
  return std::unique_ptr<DatagramSocket>(std::move(socket));
}

}  // namespace velo
