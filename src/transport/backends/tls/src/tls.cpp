// SPDX-License-Identifier: Apache-2.0
// Addresses of the TLS transport.

#include <velo/transport/backends/tls.hpp>

#include "securing.hpp"

#include <velo/transport/stream_transport.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace tls_transport_detail {

class TlsTransport final : public StreamTransport {
 public:
  explicit TlsTransport(TlsOptions options)
      : StreamTransport("tls", options.gate), options_(std::move(options)) {}

  Reach assess(ByteSpan entry) const override {
    if (world() == nullptr) return {};
    const Result<Endpoint> endpoint = choose(*world(), entry);
    if (!endpoint) return {};
    Reach reach = reach_of_ip(endpoint->host, interfaces_);
    reach.is_private = true;
    return reach;
  }

 private:
  Result<std::optional<Listening>> listening(World& world, const InstanceId& /*self*/) override {
    interfaces_ = world.network().interfaces();
    if (!options_.bind) return std::optional<Listening>();
    if (options_.bind->kind != Endpoint::Kind::tcp) {
      return velo::make_error(velo::Errc::invalid_argument,
                              options_.bind->to_string() + " is not TCP");
    }
    Listening listening;
    listening.endpoint = *options_.bind;
    listening.options.socket_buffer_bytes = options_.socket_buffer_bytes;
    return std::optional<Listening>(std::move(listening));
  }

  Result<Bytes> advertise(World& /*world*/, const Endpoint& local) override {
    return interface_entry(local, options_.advertise, interfaces_);
  }

  Result<Endpoint> choose(World& /*world*/, ByteSpan entry) const override {
    return choose_endpoint(entry, "tls", interfaces_, options_.numa_hint);
  }

  ConnectOptions connect_options() const override {
    ConnectOptions connect;
    connect.timeout = options_.connect_timeout;
    connect.socket_buffer_bytes = options_.socket_buffer_bytes;
    return connect;
  }

  Result<std::shared_ptr<const StreamGuard>> guard(const TransportContext& context) override {
    if (options_.credentials == nullptr) {
      return velo::make_error(velo::Errc::invalid_argument, "tls needs credentials");
    }
    auto contexts = std::make_shared<tls::ContextCache>(options_.credentials);
    // What cannot be used is to be found now, and not by the first peer.
    if (const auto usable = contexts->current(); !usable) return usable.error();
    tls::GuardParts parts{context.world, context.budget, std::move(contexts),
                          std::make_shared<tls::Environment>(context.budget),
                          options_.gate.handshake_bytes_max};
    return std::make_shared<const tls::TlsGuard>(std::move(parts));
  }

  const TlsOptions options_;
  std::vector<InterfaceAddress> interfaces_;  ///< of this host, as they were at start()
};

}  // namespace tls_transport_detail

std::unique_ptr<Transport> make_tls(TlsOptions options) {
  return std::make_unique<tls_transport_detail::TlsTransport>(std::move(options));
}

}  // namespace velo::transport
