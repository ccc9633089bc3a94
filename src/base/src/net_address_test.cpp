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

}  // namespace velo
