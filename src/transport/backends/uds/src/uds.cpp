// SPDX-License-Identifier: Apache-2.0
// Addresses of the Unix domain socket transport.

#include <velo/transport/backends/uds.hpp>

#include <velo/base/network.hpp>
#include <velo/transport/stream_transport.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport {
namespace uds_detail {

/// Room for a terminating zero in sockaddr_un, with some to spare.
constexpr std::size_t path_bytes_max = 100;

class UdsTransport final : public StreamTransport {
 public:
  explicit UdsTransport(UdsOptions options)
      : StreamTransport("uds", options.gate), options_(std::move(options)) {}

 private:
  Result<std::optional<Listening>> listening(World& /*world*/, const InstanceId& self) override {
    if (!options_.listen) return std::optional<Listening>();
    std::string path = options_.path;
    if (path.empty()) {
      if (options_.folder.empty()) {
        return velo::make_error(velo::Errc::invalid_argument, "uds needs a path or a folder");
      }
      path = options_.folder + "/" + self.to_string() + ".sock";
    }
    if (path.size() > path_bytes_max) {
      return velo::make_error(velo::Errc::invalid_argument, "socket path too long: " + path);
    }
    Listening listening;
    listening.endpoint = Endpoint::unix_socket(std::move(path));
    listening.options.socket_buffer_bytes = options_.socket_buffer_bytes;
    listening.options.unix_mode = options_.mode;
    return std::optional<Listening>(std::move(listening));
  }

  Result<Bytes> advertise(World& /*world*/, const Endpoint& local) override {
    return Bytes::own("uds://" + local.host);
  }

  Result<Endpoint> choose(World& world, ByteSpan entry) const override {
    std::string_view path = as_text(entry);
    if (path.starts_with("uds://")) path.remove_prefix(6);
    const bool named = !path.empty() && (path.front() == '/' || path.front() == '@');
    if (!named || path.size() > path_bytes_max || path.find('\0') != std::string_view::npos) {
      return make_error(Errc::invalid_address, "needs uds:// and an absolute path");
    }
    Endpoint endpoint = Endpoint::unix_socket(std::string(path));
    if (!world.network().unix_socket_visible(endpoint.host)) {
      return make_error(Errc::no_endpoint, endpoint.host + " is not visible on this host");
    }
    return endpoint;
  }

  Result<std::shared_ptr<const StreamGuard>> guard(const TransportContext& context) override {
    std::vector<std::uint32_t> allowed = options_.allowed_users;
    if (allowed.empty()) allowed = {context.world.network().own_credentials().user, 0};
    return make_user_guard(std::move(allowed), options_.allow_any_user);
  }

  ConnectOptions connect_options() const override {
    ConnectOptions connect;
    connect.timeout = options_.connect_timeout;
    connect.socket_buffer_bytes = options_.socket_buffer_bytes;
    return connect;
  }

  const UdsOptions options_;
};

}  // namespace uds_detail

std::unique_ptr<Transport> make_uds(UdsOptions options) {
  return std::make_unique<uds_detail::UdsTransport>(std::move(options));
}

}  // namespace velo::transport
