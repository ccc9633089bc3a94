// SPDX-License-Identifier: Apache-2.0
// Locality of addresses.

#include <velo/transport/reach.hpp>

#include <velo/transport/interfaces.hpp>
#include <velo/transport/transport.hpp>

#include <algorithm>
#include <chrono>
#include <string>

namespace velo::transport {

std::string_view to_string(Locality locality) noexcept {
  switch (locality) {
    case Locality::same_process: return "same process";
    case Locality::shared_memory: return "shared memory";
    case Locality::same_host: return "same host";
    case Locality::same_subnet: return "same subnet";
    case Locality::network: break;
  }
  return "network";
}

Reach reach_of_ip(std::string_view ip, std::span<const InterfaceAddress> interfaces) {
  const bool own = std::any_of(interfaces.begin(), interfaces.end(),
                               [&](const InterfaceAddress& each) { return each.address == ip; });
  if (own || Endpoint::tcp(std::string(ip), 0).is_loopback()) {
    return {Locality::same_host, true, std::chrono::microseconds(30)};
  }
  constexpr std::uint8_t whole = 128;
  const bool near =
      std::any_of(interfaces.begin(), interfaces.end(), [&](const InterfaceAddress& each) {
        return each.up && !each.loopback && same_subnet(ip, whole, each.address, each.prefix_bits);
      });
  if (near) return {Locality::same_subnet, false, std::chrono::microseconds(100)};
  return {};
}

Reach Transport::assess(ByteSpan /*entry*/) const { return {}; }

}  // namespace velo::transport
