// SPDX-License-Identifier: Apache-2.0
// Reads getifaddrs, and the NUMA node of each device.

#include "interfaces.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <string>

#include "socket_address.hpp"

namespace velo::runtime {
namespace interfaces_detail {

static std::int32_t numa_node_of(const std::string& name) {
  std::ifstream file("/sys/class/net/" + name + "/device/numa_node");
  std::int32_t node = -1;
  return file >> node ? node : -1;
}

static std::span<const std::uint8_t> address_bytes(const sockaddr* address) noexcept {
  if (address->sa_family == AF_INET) {
    const auto* four = reinterpret_cast<const sockaddr_in*>(address);
    return {reinterpret_cast<const std::uint8_t*>(&four->sin_addr), sizeof four->sin_addr};
  }
  const auto* six = reinterpret_cast<const sockaddr_in6*>(address);
  return {reinterpret_cast<const std::uint8_t*>(&six->sin6_addr), sizeof six->sin6_addr};
}

static bool is_link_local(std::span<const std::uint8_t> address) noexcept {
  if (address.size() == 4) return address[0] == 169 && address[1] == 254;
  return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static InterfaceAddress describe(const ifaddrs& entry) {
  InterfaceAddress result;
  result.name = entry.ifa_name;
  result.address = address_text(entry.ifa_addr);
  if (entry.ifa_netmask != nullptr) {
    // A netmask may come without a family of its own; it has the address's shape.
    sockaddr_storage mask{};
    const bool four = entry.ifa_addr->sa_family == AF_INET;
    std::memcpy(&mask, entry.ifa_netmask, four ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    mask.ss_family = entry.ifa_addr->sa_family;
    for (const std::uint8_t byte : address_bytes(reinterpret_cast<const sockaddr*>(&mask))) {
      result.prefix_bits = static_cast<std::uint8_t>(result.prefix_bits + std::popcount(byte));
    }
  }
  result.up = (entry.ifa_flags & IFF_UP) != 0;
  result.multicast = (entry.ifa_flags & IFF_MULTICAST) != 0;
  result.index = ::if_nametoindex(entry.ifa_name);
  result.loopback = (entry.ifa_flags & IFF_LOOPBACK) != 0;
  result.link_local = is_link_local(address_bytes(entry.ifa_addr));
  result.numa_node = numa_node_of(result.name);
  return result;
}

}  // namespace interfaces_detail

std::vector<InterfaceAddress> interface_addresses() {
  std::vector<InterfaceAddress> result;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(list, ::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family == AF_INET || family == AF_INET6) {
      result.push_back(interfaces_detail::describe(*entry));
    }
  }
  return result;
}

}  // namespace velo::runtime
