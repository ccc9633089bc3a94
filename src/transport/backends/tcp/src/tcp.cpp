// SPDX-License-Identifier: Apache-2.0
// Addresses of the TCP transport.

#include <velo/transport/backends/tcp.hpp>

#include <velo/base/log.hpp>
#include <velo/transport/stream_transport.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace tcp_detail {

class TcpTransport final : public StreamTransport {
 public:
  explicit TcpTransport(TcpOptions options)
      : StreamTransport("tcp", options.gate), options_(std::move(options)) {}

  Reach assess(ByteSpan entry) const override {
    if (world() == nullptr) return {};
    const Result<Endpoint> endpoint = choose(*world(), entry);
    return endpoint ? reach_of_ip(endpoint->host, interfaces_) : Reach();
  }

 private:
  Result<std::optional<Listening>> listening(World& world, const InstanceId& /*self*/) override {
    interfaces_ = world.network().interfaces();
    if (!options_.bind) return std::optional<Listening>();
    const Endpoint& bind = *options_.bind;
    if (bind.kind != Endpoint::Kind::tcp) {
      return velo::make_error(velo::Errc::invalid_argument, bind.to_string() + " is not TCP");
    }
    if (!bind.is_loopback()) {
      if (!options_.allow_plaintext_beyond_loopback) {
        return velo::make_error(velo::Errc::permission_denied,
                                bind.to_string() +
                                    " is beyond loopback and TCP is not encrypted; "
                                    "set allow_plaintext_beyond_loopback");
      }
      VELO_LOG_WARN(transport, "listening unencrypted beyond loopback",
                    {"endpoint", std::string_view(bind.to_string())});
    }
    Listening listening;
    listening.endpoint = bind;
    listening.options.socket_buffer_bytes = options_.socket_buffer_bytes;
    return std::optional<Listening>(std::move(listening));
  }

  Result<Bytes> advertise(World& /*world*/, const Endpoint& local) override {
    return interface_entry(local, options_.advertise, interfaces_);
  }

  Result<Endpoint> choose(World& /*world*/, ByteSpan entry) const override {
    Result<std::vector<InterfaceEndpoint>> remote = parse_interface_endpoints(entry, "tcp");
    if (!remote) return remote.error();
    if (!options_.allow_plaintext_beyond_loopback) {
      std::erase_if(*remote, [this](const auto& each) { return is_beyond_here(each); });
      if (remote->empty()) {
        return velo::make_error(velo::Errc::permission_denied,
                                "beyond this host TCP is not encrypted; "
                                "set allow_plaintext_beyond_loopback");
      }
    }
    const InterfaceEndpoint& best = select_best_endpoint(*remote, interfaces_, options_.numa_hint);
    if (is_beyond_here(best) && !warned_.exchange(true)) {
      VELO_LOG_WARN(transport, "connecting unencrypted beyond this host", {"ip", best.ip});
    }
    return Endpoint::tcp(best.ip, best.port);
  }

  Result<std::shared_ptr<const StreamGuard>> guard(const TransportContext& /*context*/) override {
    return make_plain_guard();
  }

  ConnectOptions connect_options() const override {
    ConnectOptions connect;
    connect.timeout = options_.connect_timeout;
    connect.socket_buffer_bytes = options_.socket_buffer_bytes;
    return connect;
  }

  bool is_beyond_here(const InterfaceEndpoint& endpoint) const {
    return !reach_of_ip(endpoint.ip, interfaces_).is_private;
  }

  const TcpOptions options_;
  mutable std::atomic<bool> warned_{false};   ///< once is enough
  std::vector<InterfaceAddress> interfaces_;  ///< of this host, as they were at start()
};

}  // namespace tcp_detail

std::unique_ptr<Transport> make_tcp(TcpOptions options) {
  return std::make_unique<tcp_detail::TcpTransport>(std::move(options));
}

}  // namespace velo::transport
