// SPDX-License-Identifier: Apache-2.0
// Numeric addresses as bytes and as text.

#include <velo/base/network.hpp>

#include <gtest/gtest.h>

#include <string>

namespace velo {

TEST(NetAddress, GoesToTextAndBack) {
  for (const std::string host :
       {"127.0.0.1", "0.0.0.0", "255.1.2.3", "::1", "2001:db8::7", "fe80::1%3"}) {
    const Endpoint endpoint = Endpoint::tcp(host, 4711);
    const auto address = to_net_address(endpoint);
    ASSERT_TRUE(address) << host;
    EXPECT_EQ(to_endpoint(*address), endpoint) << host;
  }
}

TEST(NetAddress, RefusesNamesAndPaths) {
  for (const std::string host :
       {"localhost", "", "1.2.3", "fe80::1%", "fe80::1%eth0", "127.0.0.1%1"}) {
    EXPECT_FALSE(to_net_address(Endpoint::tcp(host, 1))) << host;
  }
  EXPECT_FALSE(to_net_address(Endpoint::unix_socket("/tmp/x")));
}

TEST(NetAddress, KnowsWhichAddressesAreOfGroups) {
  const auto is_group = [](const char* host) {
    return is_multicast(*to_net_address(Endpoint::tcp(host, 1)));
  };
  for (const char* host : {"224.0.0.1", "239.255.1.2", "ff02::1", "ff0e::5%2"}) {
    EXPECT_TRUE(is_group(host)) << host;
  }
  for (const char* host : {"223.255.255.255", "240.0.0.1", "127.0.0.1", "fe80::1", "::1", "::"}) {
    EXPECT_FALSE(is_group(host)) << host;
  }
}

}  // namespace velo
