// SPDX-License-Identifier: Apache-2.0
// Address entries of IP transports, and the choice among a peer's addresses.

#include <velo/transport/interfaces.hpp>

#include <velo/base/check.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/transport/transport.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <utility>

namespace velo::transport {
namespace interfaces_detail {

/// As the public velo's encoder writes a struct: an array of its members.
using WireTuple = std::tuple<std::string_view, std::string_view, std::uint16_t, std::uint8_t,
                             std::optional<std::int32_t>>;

struct WireEndpoint {
  std::string name;
  std::string ip;
  std::uint16_t port = 0;
  std::uint8_t prefix_len = 0;
  std::optional<std::int32_t> numa_node;
};
VELO_DESCRIBE(WireEndpoint, name, ip, port, prefix_len, numa_node);

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  std::size_t size = 0;  ///< 4, 16, or 0: not numeric

  std::span<const std::uint8_t> span() const noexcept { return {bytes.data(), size}; }
};

static Address parse_address(std::string_view text) {
  Address address;
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  // inet_pton would not see what follows a NUL.
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return address;
  std::memcpy(terminated.data(), text.data(), text.size());
  if (inet_pton(AF_INET, terminated.data(), address.bytes.data()) == 1) {
    address.size = 4;
  } else if (inet_pton(AF_INET6, terminated.data(), address.bytes.data()) == 1) {
    address.size = 16;
  }
  return address;
}

static bool is_loopback(std::string_view ip) {
  return Endpoint::tcp(std::string(ip), 0).is_loopback();
}

static bool shares_subnet(const InterfaceEndpoint& remote, const InterfaceAddress& local) {
  // Every host has the loopback subnet; sharing it says nothing.
  return local.up && !local.loopback &&
         same_subnet(remote.ip, remote.prefix_len, local.address, local.prefix_bits);
}

static Error invalid(std::string why) { return make_error(Errc::invalid_address, std::move(why)); }

static Result<std::vector<InterfaceEndpoint>> parse_text(std::string_view text,
                                                         std::string_view scheme) {
  const std::string prefix = std::string(scheme) + "://";
  if (!text.starts_with(prefix)) return invalid("neither endpoints nor " + prefix);
  Result<Endpoint> endpoint = Endpoint::parse("tcp://" + std::string(text.substr(prefix.size())));
  if (!endpoint) return invalid(endpoint.error().context());
  const Address address = parse_address(endpoint->host);
  if (address.size == 0 || endpoint->port == 0)
    return invalid("needs a numeric address and a port");
  const auto bits = static_cast<std::uint8_t>(address.size * 8);
  return std::vector{InterfaceEndpoint("", endpoint->host, endpoint->port, bits)};
}

}  // namespace interfaces_detail

InterfaceFilter InterfaceFilter::by_name(std::string interface_name) {
  InterfaceFilter filter;
  filter.kind = Kind::by_name;
  filter.name = std::move(interface_name);
  return filter;
}

InterfaceFilter InterfaceFilter::listed(std::vector<InterfaceEndpoint> list) {
  InterfaceFilter filter;
  filter.kind = Kind::listed;
  filter.endpoints = std::move(list);
  return filter;
}

Bytes encode_interface_endpoints(std::span<const InterfaceEndpoint> endpoints) {
  std::vector<interfaces_detail::WireTuple> wire;
  wire.reserve(endpoints.size());
  for (const InterfaceEndpoint& e : endpoints) {
    wire.emplace_back(e.name, e.ip, e.port, e.prefix_len, e.numa_node);
  }
  return to_msgpack(wire);
}

Result<std::vector<InterfaceEndpoint>> parse_interface_endpoints(ByteSpan entry,
                                                                 std::string_view scheme) {
  if (entry.size() > limits::address_entry_bytes_max)
    return interfaces_detail::invalid("entry too long");
  codec::msgpack::Reader reader(entry);
  if (reader.peek() != codec::Kind::array)
    return interfaces_detail::parse_text(as_text(entry), scheme);
  Result<std::vector<interfaces_detail::WireEndpoint>> wire =
      from_msgpack<std::vector<interfaces_detail::WireEndpoint>>(entry);
  if (!wire) return interfaces_detail::invalid(wire.error().context());
  if (wire->size() > limits::address_endpoints_max)
    return interfaces_detail::invalid("too many endpoints");
  std::vector<InterfaceEndpoint> endpoints;
  endpoints.reserve(wire->size());
  for (interfaces_detail::WireEndpoint& e : *wire) {
    if (e.port == 0 || interfaces_detail::parse_address(e.ip).size == 0) continue;
    endpoints.emplace_back(std::move(e.name), std::move(e.ip), e.port, e.prefix_len, e.numa_node);
  }
  if (endpoints.empty())
    return interfaces_detail::invalid("no endpoint with a numeric address and a port");
  return endpoints;
}

std::vector<InterfaceEndpoint> advertised_endpoints(const Endpoint& local,
                                                    const InterfaceFilter& filter,
                                                    std::span<const InterfaceAddress> interfaces) {
  std::vector<InterfaceEndpoint> endpoints;
  if (filter.kind == InterfaceFilter::Kind::listed) {
    endpoints = filter.endpoints;
    for (InterfaceEndpoint& endpoint : endpoints) endpoint.port = local.port;
    return endpoints;
  }
  const std::size_t size = interfaces_detail::parse_address(local.host).size;
  if (!is_unspecified(local.host)) {
    endpoints.emplace_back("", local.host, local.port, static_cast<std::uint8_t>(size * 8));
    return endpoints;
  }
  for (const InterfaceAddress& each : interfaces) {
    if (!each.up || each.loopback || each.link_local) continue;
    if (interfaces_detail::parse_address(each.address).size != size) continue;
    if (filter.kind == InterfaceFilter::Kind::by_name && each.name != filter.name) continue;
    std::optional<std::int32_t> numa_node;
    if (each.numa_node >= 0) numa_node = each.numa_node;
    endpoints.emplace_back(each.name, each.address, local.port, each.prefix_bits, numa_node);
  }
  if (!endpoints.empty()) return endpoints;
  if (size == 4) {
    endpoints.emplace_back("lo", "127.0.0.1", local.port, std::uint8_t{8});
  } else {
    endpoints.emplace_back("lo", "::1", local.port, std::uint8_t{128});
  }
  return endpoints;
}

const InterfaceEndpoint& select_best_endpoint(std::span<const InterfaceEndpoint> remote,
                                              std::span<const InterfaceAddress> local,
                                              std::optional<std::int32_t> numa_hint) {
  VELO_CHECK(!remote.empty());
  const auto near = [&](const InterfaceEndpoint& endpoint) {
    return numa_hint.has_value() && endpoint.numa_node == numa_hint;
  };
  const auto adjacent = [&](const InterfaceEndpoint& endpoint) {
    return std::any_of(local.begin(), local.end(), [&](const InterfaceAddress& each) {
      return interfaces_detail::shares_subnet(endpoint, each);
    });
  };
  const auto rank = [&](const InterfaceEndpoint& endpoint) {
    if (near(endpoint)) return adjacent(endpoint) ? 0 : 1;
    if (adjacent(endpoint)) return 2;
    return interfaces_detail::is_loopback(endpoint.ip) ? 4 : 3;
  };
  return *std::min_element(
      remote.begin(), remote.end(),
      [&](const InterfaceEndpoint& a, const InterfaceEndpoint& b) { return rank(a) < rank(b); });
}

Result<Bytes> interface_entry(const Endpoint& local, const InterfaceFilter& filter,
                              std::span<const InterfaceAddress> interfaces) {
  const std::vector<InterfaceEndpoint> endpoints = advertised_endpoints(local, filter, interfaces);
  if (endpoints.empty()) {
    return velo::make_error(velo::Errc::invalid_argument, "no address to advertise");
  }
  return encode_interface_endpoints(endpoints);
}

Result<Endpoint> choose_endpoint(ByteSpan entry, std::string_view scheme,
                                 std::span<const InterfaceAddress> local,
                                 std::optional<std::int32_t> numa_hint) {
  const auto remote = parse_interface_endpoints(entry, scheme);
  if (!remote) return remote.error();
  const InterfaceEndpoint& best = select_best_endpoint(*remote, local, numa_hint);
  return Endpoint::tcp(best.ip, best.port);
}

bool same_subnet(std::string_view a, std::uint8_t a_prefix, std::string_view b,
                 std::uint8_t b_prefix) {
  const interfaces_detail::Address left = interfaces_detail::parse_address(a);
  const interfaces_detail::Address right = interfaces_detail::parse_address(b);
  if (left.size == 0 || left.size != right.size) return false;
  std::size_t bits = std::min<std::size_t>({a_prefix, b_prefix, left.size * 8});
  for (std::size_t i = 0; bits > 0; ++i) {
    const std::size_t in_byte = std::min<std::size_t>(bits, 8);
    const auto mask = static_cast<std::uint8_t>(0xff00U >> in_byte);
    if (((left.bytes[i] ^ right.bytes[i]) & mask) != 0) return false;
    bits -= in_byte;
  }
  return true;
}

bool is_unspecified(std::string_view ip) {
  const interfaces_detail::Address address = interfaces_detail::parse_address(ip);
  return address.size != 0 && std::all_of(address.span().begin(), address.span().end(),
                                          [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace velo::transport
