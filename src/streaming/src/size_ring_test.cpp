// SPDX-License-Identifier: Apache-2.0
// The sizes of frames on their way.

#include "size_ring.hpp"

#include <gtest/gtest.h>

namespace velo::streaming::size_ring_test {

TEST(SizeRing, GivesBackTheOldestFirstHoweverItGrew) {
  SizeRing ring;
  std::uint32_t pushed = 0;
  std::uint32_t popped = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 3; ++i) ring.push(pushed++);
    EXPECT_EQ(ring.pop(), popped++);
  }
  EXPECT_EQ(ring.size(), 400U);
  while (ring.size() > 0) ASSERT_EQ(ring.pop(), popped++);
  EXPECT_EQ(popped, pushed);
}

TEST(SizeRing, ClearingFreesWhatIsLarge) {
  // A thousand free slots a peer have one each.
  SizeRing ring;
  for (std::uint32_t i = 0; i < 256; ++i) ring.push(i);
  ring.clear();
  EXPECT_EQ(ring.size(), 0U);
  EXPECT_LE(ring.capacity(), SizeRing::kept_max);
  ring.push(7);
  EXPECT_EQ(ring.pop(), 7U);
}

}  // namespace velo::streaming::size_ring_test
