// SPDX-License-Identifier: Apache-2.0
// Listening on each kind of endpoint; the rest is forwarded.

#include "network.hpp"

#include <velo/base/world.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <utility>

#include "acceptor.hpp"
#include "connector.hpp"
#include "datagram.hpp"
#include "interfaces.hpp"
#include "shared_memory_handshake.hpp"
#include "socket_address.hpp"
#include "sockets.hpp"
#include "system_error.hpp"
#include "unix_path.hpp"

namespace velo::runtime {
namespace network_detail {

/// A World is only ever given its own shards.
static EpollShard& own(Shard& shard) noexcept { return static_cast<EpollShard&>(shard); }

static Result<void> bind_and_listen(const Descriptor& socket, const SocketAddress& address,
                                    const Endpoint& local, int backlog) {
  if (::bind(socket.get(), address.get(), address.size) != 0) {
    return system_error("bind " + local.to_string(), errno);
  }
  if (::listen(socket.get(), backlog) != 0) {
    return system_error("listen " + local.to_string(), errno);
  }
  return {};
}

/// Of this run of the host; empty where the system does not tell.
static const std::string& boot_id() {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    std::erase(text, '-');
    return text;
  }();
  return id;
}

}  // namespace network_detail

Result<std::unique_ptr<Listener>> KernelNetwork::listen(Shard& shard, const Endpoint& local,
                                                        const ListenOptions& options,
                                                        StreamHandler on_accept) {
  const auto address = to_socket_address(local);
  if (!address.has_value()) return address.error();
  auto socket = make_stream_socket(address->family(), options.socket_buffer_bytes);
  if (!socket.has_value()) return socket.error();

  UnixPath path;
  Endpoint bound = local;
  if (local.kind == Endpoint::Kind::unix_socket && local.host.front() != '@') {
    auto taken = listen_at_path(*socket, local.host, options.unix_mode, options.backlog);
    if (!taken.has_value()) return taken.error();
    path = std::move(*taken);
  } else {
    // A restarted process may bind while connections of its last run linger in TIME_WAIT.
    const int one = 1;
    ::setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    auto listening = network_detail::bind_and_listen(*socket, *address, local, options.backlog);
    if (!listening.has_value()) return listening.error();
    bound = to_endpoint(local_address(socket->get()));
  }
  return start_accepting(network_detail::own(shard), std::move(*socket), std::move(bound),
                         std::move(path), std::move(on_accept));
}

std::unique_ptr<Connecting> KernelNetwork::connect(Shard& shard, const Endpoint& remote,
                                                   const ConnectOptions& options,
                                                   StreamHandler done) {
  return start_connecting(network_detail::own(shard), remote, options, std::move(done));
}

Result<std::unique_ptr<DatagramSocket>> KernelNetwork::open_datagram(Shard& shard,
                                                                     const Endpoint& local,
                                                                     const DatagramOptions& options,
                                                                     DatagramEvents& events) {
  return open_udp(network_detail::own(shard), local, options, events);
}

PeerCredentials KernelNetwork::own_credentials() const {
  PeerCredentials own;
  own.user = ::geteuid();
  own.group = ::getegid();
  own.process = ::getpid();
  return own;
}

std::vector<InterfaceAddress> KernelNetwork::interfaces() { return interface_addresses(); }

bool KernelNetwork::unix_socket_visible(const std::string& path) {
  if (path.starts_with('@')) return true;
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

std::string KernelNetwork::unix_socket_identity(const std::string& path) {
  const std::string& boot = network_detail::boot_id();
  if (boot.empty()) return {};
  // A file has the same device and number in every container that sees it, and another has others;
  // an abstract name belongs to a network namespace.
  struct stat status{};
  const bool is_abstract = path.starts_with('@');
  if (::stat(is_abstract ? "/proc/self/ns/net" : path.c_str(), &status) != 0) return {};
  if (!is_abstract && !S_ISSOCK(status.st_mode)) return {};
  return boot + '-' + std::to_string(status.st_dev) + '-' + std::to_string(status.st_ino);
}

Result<std::unique_ptr<Listener>> KernelNetwork::listen_shared_memory(
    Shard& shard, const Endpoint& local, const SharedMemoryOptions& options,
    SharedMemoryHandler on_accept) {
  return listen_for_links(*this, network_detail::own(shard), local, options, std::move(on_accept));
}

std::unique_ptr<Connecting> KernelNetwork::connect_shared_memory(Shard& shard,
                                                                 const Endpoint& remote,
                                                                 const SharedMemoryOptions& options,
                                                                 SharedMemoryHandler done) {
  return connect_link(*this, network_detail::own(shard), remote, options, std::move(done));
}

}  // namespace velo::runtime
