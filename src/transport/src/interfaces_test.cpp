// SPDX-License-Identifier: Apache-2.0
// Address entries of IP transports, and which of a peer's addresses is chosen.

#include <velo/transport/interfaces.hpp>

#include <velo/transport/transport.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {
namespace interfaces_test {

template <std::size_t Size>
static std::string_view binary(const char (&literal)[Size]) {
  return {literal, Size - 1};
}

static InterfaceAddress local(std::string name, std::string address, std::uint8_t prefix,
                              std::int32_t numa_node = -1) {
  InterfaceAddress result;
  result.name = std::move(name);
  result.address = std::move(address);
  result.prefix_bits = prefix;
  result.up = true;
  result.numa_node = numa_node;
  return result;
}

static std::string chosen(const std::vector<InterfaceEndpoint>& remote,
                          const std::vector<InterfaceAddress>& interfaces,
                          std::optional<std::int32_t> numa = std::nullopt) {
  return select_best_endpoint(remote, interfaces, numa).ip;
}

static bool invalid(std::string_view entry) {
  const auto parsed = parse_interface_endpoints(as_bytes(entry), "tcp");
  return !parsed && parsed.error().is(Errc::invalid_address);
}

}  // namespace interfaces_test

using namespace interfaces_test;  // NOLINT(google-build-using-namespace)

TEST(Interfaces, AnAddressWithANulIsNotNumeric) {
  const std::string address("192.0.2.1\0.example", 18);
  const std::vector<InterfaceEndpoint> endpoints{{"eth0", address, 5555, 24, 0}};
  EXPECT_TRUE(invalid(encode_interface_endpoints(endpoints).text()));
  EXPECT_FALSE(same_subnet(address, 24, "192.0.2.1", 24));
}

TEST(Interfaces, EntryHasTheBytesOfThePublicProtocol) {
  // [["eth0", "10.0.0.1", 5555, 24, 0], ["", "::1", 65535, 128, nil]] as arrays of arrays.
  const std::vector<InterfaceEndpoint> endpoints{{"eth0", "10.0.0.1", 5555, 24, 0},
                                                 {"", "::1", 65535, 128}};
  const std::string_view expected = binary(
      "\x92\x95\xa4"
      "eth0\xa8"
      "10.0.0.1\xcd\x15\xb3\x18\x00\x95\xa0\xa3::1\xcd\xff\xff\xcc\x80\xc0");
  const Bytes entry = encode_interface_endpoints(endpoints);
  EXPECT_EQ(entry.text(), expected);
  const auto parsed = parse_interface_endpoints(entry, "tcp");
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(*parsed, endpoints);
}

TEST(Interfaces, ReadsEndpointsWrittenAsMapsAndTheLegacyText) {
  const std::string_view map = binary(
      "\x91\x85\xa4name\xa0\xa2ip\xa9"
      "127.0.0.1\xa4port\xcd\x15\xb3\xaaprefix_len\x20\xa9numa_node\xc0");
  const std::vector<InterfaceEndpoint> expected{{"", "127.0.0.1", 5555, 32}};
  const auto from_map = parse_interface_endpoints(as_bytes(map), "tcp");
  ASSERT_TRUE(from_map) << from_map.error().to_string();
  EXPECT_EQ(*from_map, expected);
  const auto from_text = parse_interface_endpoints(as_bytes("tcp://127.0.0.1:5555"), "tcp");
  ASSERT_TRUE(from_text) << from_text.error().to_string();
  EXPECT_EQ(*from_text, expected);
  const auto six = parse_interface_endpoints(as_bytes("tcp://[::1]:80"), "tcp");
  ASSERT_TRUE(six) << six.error().to_string();
  EXPECT_EQ(six->front(), InterfaceEndpoint("", "::1", 80, 128));
}

TEST(Interfaces, RefusesWhatIsNoEntry) {
  EXPECT_TRUE(invalid(""));
  EXPECT_TRUE(invalid("tcp://"));
  EXPECT_TRUE(invalid("tcp://example.org:80"));
  EXPECT_TRUE(invalid("tcp://127.0.0.1:0"));
  EXPECT_TRUE(invalid("uds:///tmp/x"));
  EXPECT_TRUE(invalid(std::string_view("\x90", 1)));
  EXPECT_TRUE(invalid(std::string_view("\xdd\xff\xff\xff\xff", 5)));
  EXPECT_TRUE(invalid(std::string(20'000, '\x90')));
  const std::vector<InterfaceEndpoint> unusable{{"eth0", "not numeric", 1, 24},
                                                {"eth0", "10.0.0.1", 0, 24}};
  EXPECT_TRUE(invalid(encode_interface_endpoints(unusable).text()));
  const std::vector<InterfaceEndpoint> many(300, InterfaceEndpoint("e", "10.0.0.1", 1, 24));
  EXPECT_TRUE(invalid(encode_interface_endpoints(many).text()));
}

TEST(Interfaces, ChoosesByNodeThenSubnetThenFirstBeyondLoopback) {
  const std::vector<InterfaceEndpoint> remote{{"lo", "127.0.0.1", 1, 8},
                                              {"eth0", "10.0.0.5", 1, 24, 0},
                                              {"eth1", "192.168.1.5", 1, 24, 1},
                                              {"eth2", "172.16.0.5", 1, 16, 1}};
  EXPECT_EQ(chosen(remote, {}), "10.0.0.5");
  EXPECT_EQ(chosen(remote, {local("eth0", "192.168.1.9", 24)}), "192.168.1.5");
  EXPECT_EQ(chosen(remote, {local("eth0", "10.0.0.9", 24)}, 1), "192.168.1.5");
  EXPECT_EQ(chosen(remote, {local("eth0", "172.16.9.9", 16)}, 1), "172.16.0.5");
  EXPECT_EQ(chosen({remote[0]}, {}), "127.0.0.1");
  InterfaceAddress loopback = local("lo", "127.0.0.1", 8);
  loopback.loopback = true;
  EXPECT_EQ(chosen(remote, {loopback}), "10.0.0.5");
}

TEST(Interfaces, SubnetsCompareInTheShorterPrefix) {
  EXPECT_TRUE(same_subnet("192.168.1.10", 16, "192.168.2.10", 24));
  EXPECT_FALSE(same_subnet("192.168.1.10", 24, "192.168.2.10", 24));
  EXPECT_TRUE(same_subnet("10.0.0.127", 25, "10.0.0.1", 25));
  EXPECT_FALSE(same_subnet("10.0.0.128", 25, "10.0.0.1", 25));
  EXPECT_TRUE(same_subnet("fe80::1", 64, "fe80::2", 200));
  EXPECT_FALSE(same_subnet("::1", 0, "127.0.0.1", 0));
  EXPECT_FALSE(same_subnet("garbage", 0, "garbage", 0));
}

TEST(Interfaces, AdvertisesWhatTheListenerCanBeReachedAt) {
  InterfaceAddress down = local("eth2", "10.9.9.9", 8);
  down.up = false;
  InterfaceAddress link = local("eth3", "169.254.1.1", 16);
  link.link_local = true;
  const std::vector<InterfaceAddress> interfaces{local("eth0", "10.0.0.1", 24, 0), down, link,
                                                 local("eth1", "192.168.1.1", 16),
                                                 local("eth1", "2001:db8::1", 64)};
  const auto one = advertised_endpoints(Endpoint::tcp("10.0.0.1", 7), {}, interfaces);
  EXPECT_EQ(one, (std::vector<InterfaceEndpoint>{{"", "10.0.0.1", 7, 32}}));
  const auto all = advertised_endpoints(Endpoint::tcp("0.0.0.0", 7), {}, interfaces);
  EXPECT_EQ(all, (std::vector<InterfaceEndpoint>{{"eth0", "10.0.0.1", 7, 24, 0},
                                                 {"eth1", "192.168.1.1", 7, 16}}));
  const auto six = advertised_endpoints(Endpoint::tcp("::", 7), {}, interfaces);
  EXPECT_EQ(six, (std::vector<InterfaceEndpoint>{{"eth1", "2001:db8::1", 7, 64}}));
  const auto named = advertised_endpoints(Endpoint::tcp("0.0.0.0", 7),
                                          InterfaceFilter::by_name("eth1"), interfaces);
  EXPECT_EQ(named, (std::vector<InterfaceEndpoint>{{"eth1", "192.168.1.1", 7, 16}}));
  const auto none = advertised_endpoints(Endpoint::tcp("0.0.0.0", 7), {}, {});
  EXPECT_EQ(none, (std::vector<InterfaceEndpoint>{{"lo", "127.0.0.1", 7, 8}}));
  const auto listed = advertised_endpoints(Endpoint::tcp("127.0.0.1", 7),
                                           InterfaceFilter::listed({{"x", "1.2.3.4", 1, 24}}), {});
  EXPECT_EQ(listed, (std::vector<InterfaceEndpoint>{{"x", "1.2.3.4", 7, 24}}));
}

}  // namespace velo::transport
