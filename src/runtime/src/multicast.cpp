// SPDX-License-Identifier: Apache-2.0
// Joins groups and chooses where what is sent to them leaves.

#include "multicast.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "interfaces.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace multicast_detail {

#ifdef IPV6_MULTICAST_ALL
constexpr int ipv6_multicast_all = IPV6_MULTICAST_ALL;
#else
constexpr int ipv6_multicast_all = 29;  // Linux 4.20; older C libraries do not name it
#endif

static bool set(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static Result<int> interface_of(const std::string& address) {
  if (address.starts_with('%')) {
    int index = 0;
    const char* end = address.data() + address.size();
    const auto [rest, error] = std::from_chars(address.data() + 1, end, index);
    if (error == std::errc() && rest == end && index > 0) return index;
  } else {
    const std::string bare = address.substr(0, address.find('%'));
    for (const InterfaceAddress& one : interface_addresses()) {
      if (one.address == bare && one.index != 0) return static_cast<int>(one.index);
    }
  }
  return make_error(Errc::invalid_argument, "no interface has the address " + address);
}

static std::vector<int> all_interfaces() {
  std::vector<int> found;
  for (const InterfaceAddress& one : interface_addresses()) {
    const int index = static_cast<int>(one.index);
    if (!one.up || !one.multicast || index == 0) continue;
    if (std::find(found.begin(), found.end(), index) == found.end()) found.push_back(index);
  }
  return found;
}

static bool join(int fd, const NetAddress& group, int interface) noexcept {
  if (group.v6) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, group.ip.data(), sizeof request.ipv6mr_multiaddr);
    request.ipv6mr_interface = static_cast<unsigned>(interface);
    return ::setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) == 0;
  }
  ip_mreqn request{};
  std::memcpy(&request.imr_multiaddr, group.ip.data(), sizeof request.imr_multiaddr);
  request.imr_ifindex = interface;
  return ::setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) == 0;
}

/// On every one of `interfaces` that can; an error only when none can.
static Result<void> join_on(int fd, const NetAddress& group, const std::vector<int>& interfaces) {
  int error = ENODEV;
  bool joined = false;
  for (const int interface : interfaces) {
    if (join(fd, group, interface)) {
      joined = true;
    } else {
      error = errno;
    }
  }
  if (joined) return {};
  return system_error("join " + to_endpoint(group).host, error);
}

static bool leave_by(int fd, bool v6, int interface) noexcept {
  if (v6) return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, interface);
  ip_mreqn request{};
  request.imr_ifindex = interface;
  return ::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) == 0;
}

static Result<NetAddress> group_of(const std::string& text, bool v6) {
  auto group = to_net_address(Endpoint::tcp(text, 0));
  if (!group.has_value()) return group.error();
  if (group->v6 != v6 || !is_multicast(*group)) {
    return make_error(Errc::invalid_argument, text + " is no group of the socket's family");
  }
  return *group;
}

}  // namespace multicast_detail

Result<void> set_multicast(int fd, bool v6, const DatagramOptions& options) {
  namespace detail = multicast_detail;
  const int hops = options.multicast_hops;
  const int loopback = options.multicast_loopback ? 1 : 0;
  // Without the last, a socket hears every group that any socket of the host has joined.
  const bool good = v6 ? detail::set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) &&
                             detail::set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, loopback) &&
                             (detail::set(fd, IPPROTO_IPV6, detail::ipv6_multicast_all, 0) ||
                              errno == ENOPROTOOPT)
                       : detail::set(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops) &&
                             detail::set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, loopback) &&
                             detail::set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  if (!good) return system_error("multicast options", errno);

  std::vector<int> interfaces;
  if (options.interface_address.empty()) {
    if (!options.multicast_groups.empty()) interfaces = detail::all_interfaces();
  } else {
    auto one = detail::interface_of(options.interface_address);
    if (!one.has_value()) return one.error();
    if (!detail::leave_by(fd, v6, *one)) {
      return system_error("multicast by " + options.interface_address, errno);
    }
    interfaces.push_back(*one);
  }
  for (const std::string& text : options.multicast_groups) {
    auto group = detail::group_of(text, v6);
    if (!group.has_value()) return group.error();
    auto joined = detail::join_on(fd, *group, interfaces);
    if (!joined.has_value()) return joined;
  }
  return {};
}

}  // namespace velo::runtime
