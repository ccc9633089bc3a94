// SPDX-License-Identifier: Apache-2.0
// What a receiver remembers of a connection: exact in every lane, charged, and let go of.

#include "receive_log.hpp"

#include <velo/base/limits.hpp>
#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace velo::messenger::receive_log_test {

using Fate = ReceiveLog::Fate;
using Asked = ReceiveLog::Asked;

constexpr WorkerId requester{7};

static MessageId id(std::uint16_t slot, std::uint64_t generation) {
  return MessageId::of_slot(requester, slot, generation);
}

class ReceiveLogTest : public ::testing::Test {
 protected:
  std::vector<Fate> ask(const std::vector<Asked>& asked) {
    again.clear();
    return log.resume(asked, nullptr, again);
  }
  void reply(MessageId to, std::string_view text) {
    (void)log.keep(to, transport::FrameType::response, {}, Bytes::copy(text));
  }

  std::shared_ptr<MemoryBudget> memory = std::make_shared<MemoryBudget>();
  ReceiveLog log{memory};
  std::vector<ReceiveLog::Reply> again;
};

TEST_F(ReceiveLogTest, KnowsWhatCameWhatRunsAndWhatWasAnswered) {
  ASSERT_TRUE(log.note(id(1, 5), 0));
  ASSERT_TRUE(log.note(id(2, 5), 0));
  reply(id(2, 5), "two");
  EXPECT_EQ(ask({{id(1, 5), 0}, {id(2, 5), 0}, {id(3, 5), 0}, {id(1, 6), 0}}),
            (std::vector<Fate>{Fate::under_way, Fate::under_way, Fate::never_received,
                               Fate::never_received}));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].payload.text(), "two");
}

TEST_F(ReceiveLogTest, ALaneThatIsOvertakenIsNotMistakenForOneThatArrived) {
  // The slot's fifth send went in lane 1, and its sixth, in lane 2, came first.
  ASSERT_TRUE(log.note(id(1, 6), 2));
  EXPECT_EQ(ask({{id(1, 5), 1}, {id(1, 6), 2}}),
            (std::vector<Fate>{Fate::never_received, Fate::under_way}));
}

TEST_F(ReceiveLogTest, WhatComesLateDoesNotUndoWhatOvertookIt) {
  ASSERT_TRUE(log.note(id(1, 6), 2));
  reply(id(1, 6), "six");
  ASSERT_TRUE(log.note(id(1, 5), 1));
  EXPECT_EQ(ask({{id(1, 5), 1}, {id(1, 6), 2}}),
            (std::vector<Fate>{Fate::under_way, Fate::under_way}));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].payload.text(), "six");
}

TEST_F(ReceiveLogTest, ALateReplyDoesNotReplaceThatOfALaterCall) {
  ASSERT_TRUE(log.note(id(1, 5), 1));
  ASSERT_TRUE(log.note(id(1, 6), 2));
  reply(id(1, 6), "six");
  reply(id(1, 5), "five, whose caller gave up");
  (void)ask({{id(1, 6), 2}});
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].payload.text(), "six");
}

TEST_F(ReceiveLogTest, IsChargedToTheBudgetAndRefusesWhatItCannotRemember) {
  auto small = std::make_shared<MemoryBudget>(velo::limits::memory_budget_bytes_min);
  ReceiveLog narrow(small);
  // A peer that uses every slot in every lane.
  std::size_t noted = 0;
  std::size_t refused = 0;
  for (std::uint32_t lane = 0; lane <= request_lanes; ++lane) {
    for (std::uint32_t slot = 0; slot < 65'536; slot += 256) {
      (narrow.note(id(static_cast<std::uint16_t>(slot), 1), lane) ? noted : refused) += 1;
    }
  }
  constexpr std::size_t page_bytes = 256 * 16;
  EXPECT_GT(noted, 0U);
  EXPECT_GT(refused, 0U);
  EXPECT_LE(noted * page_bytes, small->peer_bytes_max() + velo::limits::uncharged_bytes);
  EXPECT_GE(small->used() + velo::limits::uncharged_bytes, noted * page_bytes);
  EXPECT_LE(small->used(), small->peer_bytes_max());
  narrow.forget();
  EXPECT_EQ(small->used(), 0U);
}

TEST_F(ReceiveLogTest, KeepsNoMoreRepliesThanItsLimits) {
  for (std::uint32_t slot = 0; slot <= limits::kept_replies_max; ++slot) {
    ASSERT_TRUE(log.note(id(static_cast<std::uint16_t>(slot), 1), 0));
    reply(id(static_cast<std::uint16_t>(slot), 1), "x");
  }
  EXPECT_EQ(ask({{id(0, 1), 0}, {id(1, 1), 0}}),
            (std::vector<Fate>{Fate::reply_lost, Fate::under_way}));
}

}  // namespace velo::messenger::receive_log_test
