// SPDX-License-Identifier: Apache-2.0
// The two halves of awaiting another's event, as values: what is remembered, asked again and given
// up, and what each table holds at most.

#include "remotes.hpp"
#include "subscribers.hpp"

#include <velo/events/limits.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <vector>

namespace velo::events::remotes_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Awaiter final : AwaiterNode {};

static TimePoint at(Duration since) { return TimePoint(since); }
static EventHandle event(std::uint32_t index, std::uint32_t generation = 1) {
  return {WorkerId(7), index, generation};
}
constexpr WorkerId peer(9);

TEST(AwaitedElsewhere, ThousandThatAreOverAreRememberedAndTheLeastRecentlyAskedGoesFirst) {
  Remotes remotes{Remotes::Times()};
  std::vector<Ask> asks;
  for (std::uint32_t i = 0; i < limits::completed_cache_max; ++i) {
    remotes.completed(event(i), Outcome::ready(), at(1s), asks);
  }
  EXPECT_TRUE(remotes.known(event(0)));  // now it is the most recent one
  remotes.completed(event(5'000), Outcome::ready(), at(1s), asks);
  EXPECT_TRUE(remotes.known(event(0)));
  EXPECT_FALSE(remotes.known(event(1)));
  EXPECT_TRUE(remotes.known(event(2)));
}

TEST(AwaitedElsewhere, WhatIsNoEndOfTheEventIsNotRememberedAsOne) {
  Remotes remotes{Remotes::Times()};
  std::vector<Ask> asks;
  remotes.completed(event(1), Outcome::failed(Errc::owner_lost, "gone"), at(1s), asks);
  remotes.completed(event(2), Outcome::failed(Errc::too_many_subscribers, "full"), at(1s), asks);
  EXPECT_FALSE(remotes.known(event(1)));
  EXPECT_FALSE(remotes.known(event(2)));
}

TEST(AwaitedElsewhere, ThereAreAtMostAsManyAsTheLimit) {
  Remotes remotes{Remotes::Times()};
  std::deque<Awaiter> awaiters;
  std::optional<Ask> ask;
  for (std::uint32_t i = 0; i < limits::remote_awaits_max; ++i) {
    ASSERT_TRUE(remotes.wait(awaiters.emplace_back(), event(i), at(1s), ask));
  }
  EXPECT_FALSE(remotes.wait(awaiters.emplace_back(), event(1'000'000), at(1s), ask));
  // One that shares an earlier wait is none more.
  EXPECT_TRUE(remotes.wait(awaiters.emplace_back(), event(3), at(1s), ask));
}

TEST(AwaitedElsewhere, AnOwnerIsAskedAgainAtEachRenewal) {
  Remotes remotes{Remotes::Times()};
  Awaiter awaiter;
  std::optional<Ask> ask;
  std::vector<Ask> asks;
  ASSERT_TRUE(remotes.wait(awaiter, event(1), at(1s), ask));
  remotes.subscribed(*ask, at(1s), asks);
  EXPECT_EQ(remotes.next_due(), at(1s + limits::renewal));
  remotes.sweep(at(limits::renewal), asks);
  EXPECT_TRUE(asks.empty());
  remotes.sweep(at(1s + limits::renewal), asks);
  ASSERT_EQ(asks.size(), 1u);
  EXPECT_EQ(asks[0].event, event(1));
}

TEST(AwaitedElsewhere, AnAnswerToAnEarlierWaitSaysNothing) {
  Remotes remotes{Remotes::Times()};
  Awaiter awaiter;
  std::optional<Ask> first;
  std::optional<Ask> second;
  std::vector<Ask> asks;
  std::vector<Ended> over;
  ASSERT_TRUE(remotes.wait(awaiter, event(1), at(1s), first));
  EXPECT_TRUE(remotes.unwait(awaiter));
  ASSERT_TRUE(remotes.wait(awaiter, event(1), at(2s), second));
  remotes.unanswered(*first, at(1h), 0, asks, over);
  EXPECT_TRUE(over.empty());
  remotes.subscribed(*first, at(2s), asks);
  EXPECT_EQ(remotes.next_due(), TimePoint::never());  // the second question is on its way
  EXPECT_TRUE(remotes.unwait(awaiter));
}

TEST(AwaitedElsewhere, AnOwnerThatAnswersAgainHasItsWholePatienceAgain) {
  Remotes remotes{Remotes::Times()};
  Awaiter awaiter;
  std::optional<Ask> first;
  std::vector<Ask> asks;
  std::vector<Ended> over;
  ASSERT_TRUE(remotes.wait(awaiter, event(1), at(1s), first));
  remotes.unanswered(*first, at(10s), 0, asks, over);
  remotes.sweep(remotes.next_due(), asks);
  ASSERT_EQ(asks.size(), 1u);
  const Ask again = asks[0];
  remotes.subscribed(again, at(10s + 100ms), asks);
  asks.clear();
  remotes.peer_down(WorkerId(7), at(20s), asks);
  ASSERT_EQ(asks.size(), 1u);
  remotes.unanswered(asks[0], at(29s), 0, asks, over);
  EXPECT_TRUE(over.empty());
  EXPECT_LE(remotes.next_due(), at(30s));
  asks.clear();
  remotes.sweep(at(30s), asks);
  ASSERT_EQ(asks.size(), 1u);
  remotes.unanswered(asks[0], at(30s), 0, asks, over);
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].outcome.code, error_code(Errc::owner_lost));
  EXPECT_TRUE(remotes.unwait(awaiter));
}

TEST(EventSubscribers, WhoDoesNotRenewIsForgotten) {
  Subscribers subscribers;
  ASSERT_TRUE(subscribers.add(event(1), peer, false, at(0s)));
  ASSERT_TRUE(subscribers.add(event(2), peer, false, at(0s)));
  ASSERT_TRUE(subscribers.add(event(2), peer, false, at(2min)));  // renews
  ASSERT_TRUE(subscribers.add(event(3), peer, true, at(0s)));     // cannot renew
  EXPECT_EQ(subscribers.subscription_count(), 3u);
  EXPECT_TRUE(subscribers.sweep(subscribers.next_due()).empty());
  EXPECT_EQ(subscribers.subscription_count(), 2u);
  EXPECT_TRUE(subscribers.of(event(1)).empty());
  EXPECT_EQ(subscribers.of(event(2)), std::vector<WorkerId>({peer}));
  EXPECT_EQ(subscribers.of(event(3)), std::vector<WorkerId>({peer}));
}

TEST(EventSubscribers, WhoDoesNotAcknowledgeIsToldAgainUntilThePatienceIsOver) {
  Subscribers subscribers;
  ASSERT_TRUE(subscribers.add(event(1), peer, false, at(0s)));
  auto notices = subscribers.completed(event(1), Outcome::ready(), at(1s));
  ASSERT_EQ(notices.size(), 1u);
  int told = 1;
  TimePoint now = at(1s);
  while (subscribers.unacknowledged_count() != 0) {
    subscribers.untold(notices[0], now, 0);
    if (subscribers.unacknowledged_count() == 0) break;
    ASSERT_GT(subscribers.next_due(), now);
    now = subscribers.next_due();
    notices = subscribers.sweep(now);
    if (notices.empty()) break;
    EXPECT_EQ(notices[0].event, event(1));
    ++told;
  }
  EXPECT_EQ(subscribers.unacknowledged_count(), 0u);
  EXPECT_GE(now, at(1s + limits::completion_patience));
  // Pauses that double, up to two seconds.
  EXPECT_GT(told, 15);
  EXPECT_LT(told, 60);
}

TEST(EventSubscribers, WhoComesBackIsToldAtOnce) {
  Subscribers subscribers;
  ASSERT_TRUE(subscribers.add(event(1), peer, false, at(0s)));
  const auto notices = subscribers.completed(event(1), Outcome::ready(), at(1s));
  subscribers.untold(notices[0], at(1s), UINT64_MAX);
  ASSERT_GT(subscribers.next_due(), at(1s));
  subscribers.peer_up(peer, at(1s));
  EXPECT_EQ(subscribers.next_due(), at(1s));
}

TEST(EventSubscribers, TheCompletionThatHasWaitedLongestMakesRoom) {
  Subscribers subscribers;
  const auto complete = [&](std::uint32_t index) {
    EXPECT_TRUE(subscribers.add(event(index), peer, false, at(0s)));
    return subscribers.completed(event(index), Outcome::ready(), at(1s));
  };
  for (std::uint32_t i = 0; i < limits::unacknowledged_max; ++i) {
    const auto notices = complete(i);
    if (i < 2) subscribers.untold(notices[0], at(1s + Duration(i)), 0);
  }
  EXPECT_EQ(subscribers.unacknowledged_count(), limits::unacknowledged_max);
  (void)complete(1'000'000);
  EXPECT_EQ(subscribers.unacknowledged_count(), limits::unacknowledged_max);
  const auto left = subscribers.sweep(at(1s + limits::receipt_patience / 2));
  ASSERT_EQ(left.size(), 1u);  // the other one that waited
  EXPECT_EQ(left[0].event, event(1));
}

TEST(EventSubscribers, OfOneEventThereAreAtMostAsManyAsTheLimit) {
  Subscribers subscribers;
  for (std::uint64_t i = 1; i <= limits::subscribers_per_event_max; ++i) {
    ASSERT_TRUE(subscribers.add(event(1), WorkerId(i), false, at(0s)));
  }
  const auto refused = subscribers.add(event(1), WorkerId(1'000'000), false, at(0s));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::too_many_subscribers));
  EXPECT_TRUE(subscribers.add(event(1), WorkerId(1), false, at(0s)));  // renews
  subscribers.remove(event(1), WorkerId(2));
  EXPECT_TRUE(subscribers.add(event(1), WorkerId(1'000'000), false, at(0s)));
}

}  // namespace velo::events::remotes_test
