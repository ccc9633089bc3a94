// SPDX-License-Identifier: Apache-2.0
// Address entries of transports that listen on IP interfaces: MessagePack array of [name, ip, port,
// prefix_len, numa_node], as the public velo writes it; which interfaces to advertise, and which of
// a peer's to connect to. Not name resolution: addresses are numeric.
// Threading: value types; functions are pure.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/network.hpp>
#include <velo/transport/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport {

/// One address of a peer.
struct InterfaceEndpoint {
  std::string name;  ///< of the interface; empty for a single given address
  std::string ip;    ///< numeric
  std::uint16_t port = 0;
  std::uint8_t prefix_len = 0;
  std::optional<std::int32_t> numa_node;

  InterfaceEndpoint() = default;
  InterfaceEndpoint(std::string interface_name, std::string address, std::uint16_t tcp_port,
                    std::uint8_t prefix, std::optional<std::int32_t> node = std::nullopt)
      : name(std::move(interface_name)),
        ip(std::move(address)),
        port(tcp_port),
        prefix_len(prefix),
        numa_node(node) {}
  friend bool operator==(const InterfaceEndpoint&, const InterfaceEndpoint&) = default;
};

/// Which of this host's addresses to advertise when listening on all of them.
struct InterfaceFilter {
  enum class Kind : std::uint8_t {
    all,      ///< every interface that is up, except loopback and link-local addresses
    by_name,  ///< the interface called `name`
    listed,   ///< exactly `endpoints`, with the listener's port
  };
  Kind kind = Kind::all;
  std::string name;
  std::vector<InterfaceEndpoint> endpoints;

  InterfaceFilter() = default;
  static InterfaceFilter by_name(std::string interface_name);
  static InterfaceFilter listed(std::vector<InterfaceEndpoint> list);
};

Bytes encode_interface_endpoints(std::span<const InterfaceEndpoint> endpoints);

/// Also accepts the legacy text "SCHEME://ip:port" for the given scheme. Errc::invalid_address for
/// anything else; endpoints whose address is not numeric or whose port is 0 are left out, and an
/// entry of none but such is invalid.
Result<std::vector<InterfaceEndpoint>> parse_interface_endpoints(ByteSpan entry,
                                                                 std::string_view scheme);

/// What a listener bound to `local` (a chosen port, perhaps an unspecified address) advertises.
std::vector<InterfaceEndpoint> advertised_endpoints(const Endpoint& local,
                                                    const InterfaceFilter& filter,
                                                    std::span<const InterfaceAddress> interfaces);

/// Same NUMA node and subnet, then same NUMA node, then same subnet, then the first that is not
/// loopback, then the first. `remote` is not empty.
const InterfaceEndpoint& select_best_endpoint(std::span<const InterfaceEndpoint> remote,
                                              std::span<const InterfaceAddress> local,
                                              std::optional<std::int32_t> numa_hint);

/// The entry of a listener bound to `local`; velo::Errc::invalid_argument when that is nowhere.
Result<Bytes> interface_entry(const Endpoint& local, const InterfaceFilter& filter,
                              std::span<const InterfaceAddress> interfaces);

/// The best endpoint of an entry; errors as parse_interface_endpoints().
Result<Endpoint> choose_endpoint(ByteSpan entry, std::string_view scheme,
                                 std::span<const InterfaceAddress> local,
                                 std::optional<std::int32_t> numa_hint);

/// Whether two numeric addresses of one family agree in the shorter of the two prefixes.
bool same_subnet(std::string_view a, std::uint8_t a_prefix, std::string_view b,
                 std::uint8_t b_prefix);

/// "0.0.0.0" or "::".
bool is_unspecified(std::string_view ip);

}  // namespace velo::transport
