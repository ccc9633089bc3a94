// SPDX-License-Identifier: Apache-2.0
// Addresses as the QUIC library compares paths by them, and as the World names them.
// Threading: value types.
#pragma once

#include <velo/base/network.hpp>

#include <ngtcp2/ngtcp2.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace velo::transport {

/// One address as a socket address.
class QuicAddress {
 public:
  QuicAddress() noexcept = default;
  explicit QuicAddress(const NetAddress& address) noexcept {
    if (address.v6) {
      auto& v6 = *new (&storage_) sockaddr_in6{};
      v6.sin6_family = AF_INET6;
      v6.sin6_port = __builtin_bswap16(address.port);
      v6.sin6_scope_id = address.scope;
      std::memcpy(&v6.sin6_addr, address.ip.data(), sizeof v6.sin6_addr);
      size_ = sizeof v6;
    } else {
      auto& v4 = *new (&storage_) sockaddr_in{};
      v4.sin_family = AF_INET;
      v4.sin_port = __builtin_bswap16(address.port);
      std::memcpy(&v4.sin_addr, address.ip.data(), sizeof v4.sin_addr);
      size_ = sizeof v4;
    }
  }

  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  ngtcp2_addr native() noexcept { return {get(), size_}; }

  static NetAddress read(const ngtcp2_addr& from) noexcept {
    NetAddress address;
    if (from.addr->sa_family == AF_INET6) {
      sockaddr_in6 v6;
      std::memcpy(&v6, from.addr, sizeof v6);
      address.v6 = true;
      address.port = __builtin_bswap16(v6.sin6_port);
      address.scope = v6.sin6_scope_id;
      std::memcpy(address.ip.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    } else {
      sockaddr_in v4;
      std::memcpy(&v4, from.addr, sizeof v4);
      address.port = __builtin_bswap16(v4.sin_port);
      std::memcpy(address.ip.data(), &v4.sin_addr, sizeof v4.sin_addr);
    }
    return address;
  }

 private:
  sockaddr_in6 storage_{};  ///< the larger of the two
  socklen_t size_ = 0;
};

/// Where something came from or goes to, and the address of ours at which.
struct QuicRoute {
  NetAddress here;
  NetAddress there;

  static QuicRoute read(const ngtcp2_path& from) noexcept {
    return {QuicAddress::read(from.local), QuicAddress::read(from.remote)};
  }
  friend bool operator==(const QuicRoute&, const QuicRoute&) = default;
};

/// Both ends of a path; native() borrows from it.
class QuicPath {
 public:
  explicit QuicPath(const QuicRoute& route) noexcept : local_(route.here), remote_(route.there) {}
  ngtcp2_path native() noexcept { return {local_.native(), remote_.native(), nullptr}; }

 private:
  QuicAddress local_;
  QuicAddress remote_;
};

}  // namespace velo::transport
