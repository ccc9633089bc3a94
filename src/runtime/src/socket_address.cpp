// SPDX-License-Identifier: Apache-2.0
// Parses and prints numeric addresses.

#include "socket_address.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace velo::runtime {
namespace socket_address_detail {

static Result<SocketAddress> unix_address(const std::string& path) {
  if (path.empty() || path == "@" || path.size() > unix_path_bytes_max ||
      path.find('\0') != std::string::npos) {
    return make_error(Errc::invalid_argument, "a Unix socket needs a path of 1 to 107 bytes: \"" +
                                                  path.substr(0, 120) + '"');
  }
  SocketAddress address;
  auto* to = reinterpret_cast<sockaddr_un*>(&address.storage);
  to->sun_family = AF_UNIX;
  std::memcpy(to->sun_path, path.data(), path.size());
  std::size_t size = offsetof(sockaddr_un, sun_path) + path.size();
  if (path.front() == '@') {
    to->sun_path[0] = '\0';  // abstract: the length counts, there is no terminator
  } else {
    ++size;
  }
  address.size = static_cast<socklen_t>(size);
  return address;
}

static bool parse_ipv6(const std::string& host, sockaddr_in6& to) {
  const std::size_t percent = host.find('%');
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &to.sin6_addr) != 1) return false;
  if (percent == std::string::npos) return true;
  const char* scope = host.c_str() + percent + 1;
  const char* end = host.c_str() + host.size();
  const auto [rest, error] = std::from_chars(scope, end, to.sin6_scope_id);
  if (error != std::errc() || rest != end) to.sin6_scope_id = ::if_nametoindex(scope);
  return to.sin6_scope_id != 0;
}

}  // namespace socket_address_detail

SocketAddress SocketAddress::empty() noexcept {
  SocketAddress address;
  address.size = sizeof address.storage;
  return address;
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

Result<SocketAddress> to_socket_address(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::unix_socket) {
    return socket_address_detail::unix_address(endpoint.host);
  }
  SocketAddress address;
  auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(endpoint.port);
    address.size = sizeof *four;
    return address;
  }
  address = {};
  auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (!socket_address_detail::parse_ipv6(endpoint.host, *six)) {
    return make_error(Errc::invalid_argument,
                      "not a numeric address: \"" + endpoint.host.substr(0, 120) + '"');
  }
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(endpoint.port);
  address.size = sizeof *six;
  return address;
}

SocketAddress to_socket_address(const NetAddress& address) noexcept {
  SocketAddress result;
  if (address.v6) {
    auto* six = reinterpret_cast<sockaddr_in6*>(&result.storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(address.port);
    six->sin6_scope_id = address.scope;
    std::memcpy(&six->sin6_addr, address.ip.data(), sizeof six->sin6_addr);
    result.size = sizeof *six;
  } else {
    auto* four = reinterpret_cast<sockaddr_in*>(&result.storage);
    four->sin_family = AF_INET;
    four->sin_port = htons(address.port);
    std::memcpy(&four->sin_addr, address.ip.data(), sizeof four->sin_addr);
    result.size = sizeof *four;
  }
  return result;
}

NetAddress to_net_address(const SocketAddress& address) noexcept {
  NetAddress result;
  if (address.family() == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address.storage);
    std::memcpy(result.ip.data(), &four->sin_addr, sizeof four->sin_addr);
    result.port = ntohs(four->sin_port);
  } else if (address.family() == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    std::memcpy(result.ip.data(), &six->sin6_addr, sizeof six->sin6_addr);
    result.port = ntohs(six->sin6_port);
    result.scope = six->sin6_scope_id;
    result.v6 = true;
  }
  return result;
}

Endpoint to_endpoint(const SocketAddress& address) {
  if (address.family() == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return Endpoint::tcp(address_text(address.get()), ntohs(four->sin_port));
  }
  if (address.family() == AF_INET6) {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    std::string host = address_text(address.get());
    std::array<char, IF_NAMESIZE> name{};
    if (six->sin6_scope_id != 0 && ::if_indextoname(six->sin6_scope_id, name.data()) != nullptr) {
      host += '%';
      host += name.data();
    }
    return Endpoint::tcp(std::move(host), ntohs(six->sin6_port));
  }
  constexpr std::size_t before_path = offsetof(sockaddr_un, sun_path);
  if (address.family() != AF_UNIX || address.size <= before_path) return Endpoint::unix_socket({});
  const auto* local = reinterpret_cast<const sockaddr_un*>(&address.storage);
  std::string path(local->sun_path, address.size - before_path);
  if (path.front() == '\0') {
    path.front() = '@';
  } else {
    path.resize(::strnlen(path.data(), path.size()));
  }
  return Endpoint::unix_socket(std::move(path));
}

std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &four->sin_addr, text.data(), text.size());
  } else {
    const auto* six = reinterpret_cast<const sockaddr_in6*>(address);
    ::inet_ntop(AF_INET6, &six->sin6_addr, text.data(), text.size());
  }
  return text.data();
}

}  // namespace velo::runtime
