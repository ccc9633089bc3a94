// SPDX-License-Identifier: Apache-2.0
// Requests without an answer, and leases, as values.

#include "nats_leases.hpp"
#include "nats_requests.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace velo::queue::nats {
namespace nats_tables_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Asked {
  std::optional<Result<Message>> answer;

  Requests::Request request(TimePoint until, bool first = false) {
    Requests::Request made;
    made.message.subject = "subject";
    made.until = until;
    made.first = first;
    made.done = [this](Result<Message> result) { answer.emplace(std::move(result)); };
    return made;
  }
};

constexpr TimePoint start(1h);

TEST(NatsRequests, WaitUntilTheQueueIsMadeUnlessTheyMakeIt) {
  Requests requests("in");
  Asked item;
  Asked setup;
  auto later = item.request(start + 1min);
  auto first = setup.request(start + 1min, true);
  const auto waits = requests.add(later);
  const auto goes = requests.add(first);
  EXPECT_FALSE(requests.send(*waits, start));
  EXPECT_EQ(requests.send(*goes, start)->reply, "in.r2");
  EXPECT_EQ(requests.send_all(start).size(), 1u);
  requests.set_open(true);
  EXPECT_EQ(requests.send_all(start).size(), 2u);
}

TEST(NatsRequests, AreRepeatedUntilTheyAreAnsweredOrLate) {
  Requests requests("in");
  requests.set_open(true);
  Asked asked;
  auto request = asked.request(start + 5s);
  ASSERT_TRUE(requests.send(*requests.add(request), start));
  EXPECT_EQ(requests.next_change(), start + limits::nats_repeat_every);
  EXPECT_TRUE(requests.due(start + 1s).empty());
  EXPECT_EQ(requests.due(start + 2s).size(), 1u);
  EXPECT_TRUE(requests.expired(start + 4s).empty());
  EXPECT_EQ(requests.expired(start + 5s).size(), 1u);
  EXPECT_EQ(requests.size(), 0u);
  Asked once;
  auto never = once.request(start + 5s);
  never.repeat = Requests::Repeat::never;
  ASSERT_TRUE(requests.send(*requests.add(never), start));
  EXPECT_TRUE(requests.due(start + 4s).empty());
  EXPECT_FALSE(requests.ask_again("in.r2", start + 4s));
}

TEST(NatsRequests, AnAnswerEndsTheOneThatItIsOf) {
  Requests requests("in");
  requests.set_open(true);
  Asked asked;
  auto request = asked.request(start + 5s);
  ASSERT_TRUE(requests.add(request));
  for (const char* subject : {"in.r2", "in.r", "in.r1x", "other.r1", "in.p1-1", "in.r-1"}) {
    EXPECT_FALSE(requests.answered(subject)) << subject;
  }
  auto done = requests.answered("in.r1");
  ASSERT_TRUE(done);
  (*done)(Message());
  EXPECT_TRUE(asked.answer && *asked.answer);
  EXPECT_FALSE(requests.answered("in.r1")) << "twice";
}

TEST(NatsRequests, TheTableIsBounded) {
  Requests requests("in");
  Asked asked;
  auto large = asked.request(start);
  large.message.payload = Bytes::own(std::string(limits::nats_request_bytes_max, 'x'));
  EXPECT_FALSE(requests.add(large)) << "with its subject it is more";
  ASSERT_TRUE(large.done) << "it is as it was";
  for (std::size_t i = 0; i < limits::nats_requests_max; ++i) {
    auto one = asked.request(start);
    ASSERT_TRUE(requests.add(one));
  }
  auto one = asked.request(start);
  EXPECT_FALSE(requests.add(one));
  EXPECT_EQ(requests.take_all().size(), limits::nats_requests_max);
  EXPECT_TRUE(requests.add(one));
}

Leases::Held held(const std::string& ack, bool last = false) {
  Leases::Held made;
  made.ack = ack;
  made.token = 7;
  made.last = last;
  return made;
}

TEST(NatsLeases, OneThatRanOutIsGivenBackAndLost) {
  Leases leases(ack_wait_for(30s));
  leases.add(start, 1, held("a"), 30s);
  EXPECT_EQ(leases.next_change(), start + 30s) << "within the server's own patience";
  EXPECT_NE(leases.find(start + (30s - 1ns), {1, 7}), nullptr);
  EXPECT_EQ(leases.find(start, {1, 8}), nullptr) << "another delivery of it";
  EXPECT_EQ(leases.find(start + 30s, {1, 7}), nullptr) << "also when nobody has looked since";
  const auto due = leases.due(start + 30s);
  ASSERT_EQ(due.give_back.size(), 1u);
  EXPECT_EQ(due.give_back[0], "a");
  EXPECT_FALSE(leases.take(start + 30s, {1, 7}));
  EXPECT_GT(ack_wait_for(30s), 30s) << "the server waits longer than the receiver may";
}

TEST(NatsLeases, ALongOneIsRenewedWithinTheServersPatience) {
  const Duration patience = ack_wait_for(4s);
  Leases leases(patience);
  leases.add(start, 1, held("a"), 4s);
  ASSERT_TRUE(leases.extend(start + 1s, {1, 7}, 1min));
  TimePoint last = start + 1s;
  int renewals = 0;
  while (leases.next_change() < start + 61s) {
    const TimePoint next = leases.next_change();
    EXPECT_LT(next - last, patience);
    const auto due = leases.due(next);
    EXPECT_EQ(due.renew.size(), 1u);
    EXPECT_TRUE(due.give_back.empty());
    last = next;
    ++renewals;
  }
  EXPECT_GT(renewals, 20);
  EXPECT_LT(start + 61s - last, patience);
  EXPECT_EQ(leases.due(start + 61s).give_back.size(), 1u);
}

TEST(NatsLeases, TheLastDeliveryEndsInTheSinkAndIsKeptUntilItIsTaken) {
  Leases leases(ack_wait_for(2s));
  leases.add(start, 1, held("a", true), 2s);
  EXPECT_EQ(leases.dying(1), nullptr);
  auto due = leases.due(start + 2s);
  EXPECT_TRUE(due.give_back.empty());
  ASSERT_EQ(due.bury.size(), 1u);
  EXPECT_EQ(leases.find(start + 2s, {1, 7}), nullptr) << "its receiver has lost it";
  EXPECT_FALSE(leases.dying(1)->letter.reason.empty());
  EXPECT_TRUE(leases.due(start + 2s).bury.empty()) << "the sink is asked once at a time";
  leases.spared(start + 2s, 1);
  std::size_t renewals = 0;
  std::size_t asked = 0;
  for (TimePoint at = start + 2s; at < start + 20s; at = at + 100ms) {
    due = leases.due(at);
    renewals += due.renew.size();
    asked += due.bury.size();
    if (!due.bury.empty()) leases.spared(at, 1);
  }
  EXPECT_GT(renewals, 15u) << "the server must not deliver it meanwhile";
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(leases.dying_count(), 1u);
  EXPECT_EQ(leases.buried(1)->ack, "a");
  EXPECT_EQ(leases.next_change(), TimePoint::never());
}

}  // namespace nats_tables_test
}  // namespace velo::queue::nats
