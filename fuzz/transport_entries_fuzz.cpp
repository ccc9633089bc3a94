// SPDX-License-Identifier: Apache-2.0
// Any bytes as the address entry of an IP transport, and any text as an endpoint; what is accepted
// is within its limits, can be chosen from and advertised, and is written and read back the same.

#include <velo/base/check.hpp>
#include <velo/base/network.hpp>
#include <velo/transport/interfaces.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace velo::transport::transport_entries_fuzz {

static InterfaceAddress interface_at(const InterfaceEndpoint& endpoint) {
  InterfaceAddress address;
  address.name = endpoint.name;
  address.address = endpoint.ip;
  address.prefix_bits = endpoint.prefix_len;
  address.up = endpoint.port % 8 != 0;
  address.loopback = endpoint.port % 8 == 1;
  address.link_local = endpoint.port % 8 == 2;
  address.numa_node = endpoint.numa_node.value_or(-1);
  return address;
}

static void check_choice(const std::vector<InterfaceEndpoint>& endpoints) {
  std::vector<InterfaceAddress> local;
  for (const InterfaceEndpoint& endpoint : endpoints) local.push_back(interface_at(endpoint));
  std::rotate(local.begin(), local.begin() + 1, local.end());
  const InterfaceEndpoint& best =
      select_best_endpoint(endpoints, local, endpoints.front().numa_node);
  VELO_CHECK(&best >= endpoints.data() && &best < endpoints.data() + endpoints.size());
  VELO_CHECK(same_subnet(best.ip, best.prefix_len, best.ip, best.prefix_len));
  for (const char* bind : {"0.0.0.0", "::", "192.0.2.1"}) {
    for (const InterfaceFilter& filter :
         {InterfaceFilter(), InterfaceFilter::by_name(endpoints.front().name),
          InterfaceFilter::listed(endpoints)}) {
      const auto advertised = advertised_endpoints(Endpoint::tcp(bind, 7), filter, local);
      VELO_CHECK(!advertised.empty());
      for (const InterfaceEndpoint& each : advertised) VELO_CHECK(each.port == 7);
    }
  }
}

static void check_entry(ByteSpan entry) {
  const auto endpoints = parse_interface_endpoints(entry, "tcp");
  if (!endpoints) return;
  VELO_CHECK(!endpoints->empty());
  VELO_CHECK(endpoints->size() <= limits::address_endpoints_max);
  for (const InterfaceEndpoint& endpoint : *endpoints) {
    VELO_CHECK(endpoint.port != 0 && endpoint.ip.find('\0') == std::string::npos);
  }
  const Bytes encoded = encode_interface_endpoints(*endpoints);
  const auto again = parse_interface_endpoints(encoded, "tcp");
  // What was left out, an integer's short form, may make the written one longer than the limit.
  VELO_CHECK(again.has_value() || encoded.size() > limits::address_entry_bytes_max);
  if (again) VELO_CHECK(*again == *endpoints);
  check_choice(*endpoints);
}

static void check_endpoint(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) return;
  const auto again = Endpoint::parse(endpoint->to_string());
  VELO_CHECK(again.has_value() && *again == *endpoint);
  static_cast<void>(endpoint->is_loopback());
}

}  // namespace velo::transport::transport_entries_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  velo::transport::transport_entries_fuzz::check_entry(bytes);
  velo::transport::transport_entries_fuzz::check_endpoint(velo::as_text(bytes));
  return 0;
}
