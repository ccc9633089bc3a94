// SPDX-License-Identifier: Apache-2.0
// Endpoints as the kernel's socket addresses, and back. Numeric only: no name is looked up.
// Threading: value types; any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>

#include <sys/socket.h>

#include <cstddef>

namespace velo::runtime {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  /// Room for the kernel to write any address.
  static SocketAddress empty() noexcept;

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;
};

/// What sockaddr_un holds with its terminator.
constexpr std::size_t unix_path_bytes_max = 107;

/// IPv6 scopes ("fe80::1%eth0", "fe80::1%2") are understood. Errc::invalid_argument for names and
/// long paths.
Result<SocketAddress> to_socket_address(const Endpoint& endpoint);

SocketAddress to_socket_address(const NetAddress& address) noexcept;

/// IPv4 or IPv6; anything else is all zeros.
NetAddress to_net_address(const SocketAddress& address) noexcept;

/// Of an address that the kernel wrote. An unnamed Unix socket has an empty path.
Endpoint to_endpoint(const SocketAddress& address);

/// The numeric text of an IPv4 or IPv6 address, without port and scope.
std::string address_text(const sockaddr* address);

}  // namespace velo::runtime
