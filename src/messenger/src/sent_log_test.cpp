// SPDX-License-Identifier: Apache-2.0
// What a sender keeps of a connection: in order, bounded, and what was not kept is counted.

#include "sent_log.hpp"

#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace velo::messenger::sent_log_test {

static PendingSend send_of(Pattern pattern, std::uint64_t number) {
  PendingSend send;
  send.id = MessageId(WorkerId{7}, number);
  send.pattern = pattern;
  send.handler = "h";
  return send;
}

class SentLogTest : public ::testing::Test {
 protected:
  /// Whether it asks for a confirmation.
  bool fire(std::uint64_t number, std::uint32_t lane = 0) {
    log.add(send_of(Pattern::fire, number), lane);
    return log.sent(MessageId(WorkerId{7}, number), Pattern::fire, lane);
  }

  std::shared_ptr<MemoryBudget> memory = std::make_shared<MemoryBudget>();
  SentLog log{memory};
};

TEST_F(SentLogTest, KeepsFireAndForgetUntilItIsConfirmed) {
  EXPECT_TRUE(fire(1));
  EXPECT_FALSE(fire(2)) << "one confirmation at a time";
  (void)log.begin_confirmation();
  EXPECT_FALSE(fire(3));
  EXPECT_TRUE(log.confirmed()) << "the third is not";
  const auto left = log.take_all();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].send.id.local(), 3U);
}

TEST_F(SentLogTest, AConfirmationThatIsNotAnsweredIsAskedForAgain) {
  EXPECT_TRUE(fire(1));
  (void)log.begin_confirmation();
  log.confirmation_failed();
  EXPECT_TRUE(fire(2));
}

TEST_F(SentLogTest, ConfirmsInTheLanesThatWereUsed) {
  (void)fire(1, 3);
  (void)fire(2, 5);
  EXPECT_EQ(log.begin_confirmation(), 1U << 3 | 1U << 5);
  (void)fire(3, 7);
  log.confirmation_failed();
  EXPECT_EQ(log.begin_confirmation(), 1U << 3 | 1U << 5 | 1U << 7) << "those of before once more";
  EXPECT_FALSE(log.confirmed());
  EXPECT_EQ(log.take_all().size(), 0U);
  (void)fire(4, 2);
  EXPECT_EQ(log.begin_confirmation(), 1U << 2);
}

TEST_F(SentLogTest, GivesAllBackInOrder) {
  for (std::uint64_t i = 1; i <= 100; ++i) log.add(send_of(Pattern::unary, i * 65'537), 0);
  const auto all = log.take_all();
  ASSERT_EQ(all.size(), 100U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].send.id.local(), (i + 1) * 65'537);
  }
  EXPECT_EQ(log.size(), 0U);
}

TEST_F(SentLogTest, FireAndForgetThatFoundNoRoomIsCountedUntilItIsConfirmed) {
  for (std::uint64_t i = 1; i <= limits::kept_requests_max; ++i) (void)fire(i);
  (void)fire(limits::kept_requests_max + 1);
  (void)log.begin_confirmation();
  (void)fire(limits::kept_requests_max + 2);
  (void)log.confirmed();
  EXPECT_EQ(log.take_unkept(), 1U) << "the first of the two was confirmed";
  EXPECT_EQ(log.take_unkept(), 0U);
}

}  // namespace velo::messenger::sent_log_test
