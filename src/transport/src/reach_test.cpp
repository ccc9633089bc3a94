// SPDX-License-Identifier: Apache-2.0
// Locality of addresses.

#include <velo/transport/reach.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace velo::transport {

static std::vector<InterfaceAddress> interfaces() {
  return {{"lo", "127.0.0.1", 8, true, true, false, false, 1, -1},
          {"eth0", "10.1.2.3", 16, true, false, false, true, 2, 0},
          {"eth1", "192.168.7.1", 24, false, false, false, true, 3, 0}};
}

TEST(Reach, LoopbackAndOnesOwnAddressesAreThisHostAndPrivate) {
  for (const char* ip : {"127.0.0.1", "10.1.2.3", "::1"}) {
    const Reach reach = reach_of_ip(ip, interfaces());
    EXPECT_EQ(reach.locality, Locality::same_host) << ip;
    EXPECT_TRUE(reach.is_private) << ip;
  }
}

TEST(Reach, ASubnetIsNearOnlyByAnInterfaceThatIsUp) {
  EXPECT_EQ(reach_of_ip("10.1.200.9", interfaces()).locality, Locality::same_subnet);
  EXPECT_FALSE(reach_of_ip("10.1.200.9", interfaces()).is_private);
  EXPECT_EQ(reach_of_ip("192.168.7.9", interfaces()).locality, Locality::network);
  EXPECT_EQ(reach_of_ip("8.8.8.8", interfaces()), Reach());
}

TEST(Reach, NearerIsLess) {
  EXPECT_LT(Locality::same_process, Locality::shared_memory);
  EXPECT_LT(Locality::shared_memory, Locality::same_host);
  EXPECT_LT(Locality::same_host, Locality::same_subnet);
  EXPECT_LT(Locality::same_subnet, Locality::network);
  EXPECT_EQ(to_string(Locality::shared_memory), "shared memory");
}

}  // namespace velo::transport
