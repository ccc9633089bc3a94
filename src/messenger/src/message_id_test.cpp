// SPDX-License-Identifier: Apache-2.0
// Tests of message ids.

#include <velo/messenger/message_id.hpp>

#include <gtest/gtest.h>

#include <unordered_set>

namespace velo {

TEST(MessageId, SlotAndGenerationShareTheRequestersHalf) {
  const MessageId id = MessageId::of_slot(WorkerId(7), 0xfffe, 0xffffffffffff);
  EXPECT_EQ(id.requester(), WorkerId(7));
  EXPECT_EQ(id.slot(), 0xfffe);
  EXPECT_EQ(id.generation(), 0xffffffffffffU);
  EXPECT_EQ(id.local(), 0xfffffffffffffffeU);
  EXPECT_EQ(id, MessageId(WorkerId(7), id.local()));
}

TEST(MessageId, GenerationsWrapInsteadOfReachingTheSlot) {
  const MessageId id = MessageId::of_slot(WorkerId(7), 3, std::uint64_t{1} << 48U);
  EXPECT_EQ(id.slot(), 3);
  EXPECT_EQ(id.generation(), 0U);
}

TEST(MessageId, TextIsBase58OfTheWireBytes) {
  EXPECT_EQ(MessageId().to_string(), "1111111111111111");
  // 16 bytes: one, then zeros.
  EXPECT_EQ(MessageId(WorkerId(1), 0).to_string(), "8AQGAut7N92awznwCnjuR");
  // 15 zeros, then one.
  EXPECT_EQ(MessageId(WorkerId(0), std::uint64_t{1} << 56U).to_string(), "1111111111111112");
}

TEST(MessageId, HashesOfNeighboursDiffer) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint64_t slot = 0; slot < 1'000; ++slot) {
    hashes.insert(std::hash<MessageId>()(MessageId(WorkerId(7), slot)));
  }
  EXPECT_EQ(hashes.size(), 1'000U);
}

}  // namespace velo
