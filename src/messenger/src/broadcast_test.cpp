// SPDX-License-Identifier: Apache-2.0
// One message to many, in simulation.

#include "testing/cluster.hpp"

#include <velo/messenger/broadcast.hpp>

namespace velo::messenger::broadcast_test {

using testing::Cluster;
using testing::echo;
using testing::Gate;
using testing::gated;
using testing::outcome;

using namespace std::chrono_literals;

/// Node 0 broadcasts to the others, which echo.
struct Party {
  Gate gate;
  Cluster cluster;

  explicit Party(std::size_t others) : cluster(others + 1) {
    for (std::size_t i = 1; i <= others; ++i) {
      EXPECT_TRUE(cluster[i].register_handler(echo()));
    }
  }
  std::vector<InstanceId> others() const {
    std::vector<InstanceId> ids;
    for (std::size_t i = 1; i < cluster.messengers.size(); ++i) ids.push_back(cluster.id(i));
    return ids;
  }
  Broadcast<Bytes> hello(std::span<const InstanceId> targets) {
    auto broadcast = cluster[0].broadcast("echo");
    broadcast.raw_payload("hello").to(targets);
    return broadcast;
  }
};

template <class R>
static std::vector<std::string> outcomes(const std::vector<Answer<R>>& answers) {
  std::vector<std::string> all;
  for (const auto& answer : answers) all.push_back(outcome(answer.result));
  return all;
}

TEST(Broadcast, EveryTargetAnswersInTheOrderOfTheTargets) {
  Party party(3);
  const auto targets = party.others();
  auto answers = party.cluster.wait(party.hello(targets).send());
  ASSERT_TRUE(answers);
  ASSERT_EQ(answers->size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*answers)[i].target, targets[i]);
    ASSERT_TRUE((*answers)[i].result);
    EXPECT_EQ(as_text(*(*answers)[i].result), "hello");
    EXPECT_EQ((*answers)[i].status.fate, Fate::handled);
  }
  EXPECT_EQ(party.cluster[0].books().unary.sent, 3U);
}

TEST(Broadcast, DeadSlowAndLackingTargetsHaveEndsOfTheirOwn) {
  Gate gate;
  Cluster cluster(5);
  ASSERT_TRUE(cluster[1].register_handler(echo("work")));
  ASSERT_TRUE(cluster[2].register_handler(gated("work", gate)));
  ASSERT_TRUE(cluster[4].register_handler(echo("work")));
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2), cluster.id(3),
                                           cluster.id(4)};
  cluster.messengers[4].reset();
  cluster.sim.run_for(1s);
  auto answers =
      cluster.wait(cluster[0].broadcast("work").raw_payload("x").to(targets).timeout(3s).send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers),
            (std::vector<std::string>{"ok", "messenger.deadline_exceeded",
                                      "messenger.unknown_handler", "messenger.not_sent"}));
  EXPECT_TRUE((*answers)[1].status.may_have_been_handled);
  EXPECT_FALSE((*answers)[2].status.may_have_been_handled);
  EXPECT_FALSE((*answers)[3].status.may_have_been_handled);
  gate.open();
}

TEST(Broadcast, OneNamedTwiceAnswersTwiceAndNobodyIsNoMistake) {
  Party party(1);
  const InstanceId one = party.cluster.id(1);
  const InstanceId twice[] = {one, one};
  auto answers = party.cluster.wait(party.hello(twice).send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers), (std::vector<std::string>{"ok", "ok"}));
  auto none = party.cluster.wait(party.hello({}).send());
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  EXPECT_EQ(party.cluster[0].books().unary.sent, 2U);
}

TEST(Broadcast, OneselfIsATargetLikeAnyOther) {
  Party party(1);
  ASSERT_TRUE(party.cluster[0].register_handler(echo()));
  const InstanceId both[] = {party.cluster.id(0), party.cluster.id(1)};
  auto answers = party.cluster.wait(party.hello(both).send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers), (std::vector<std::string>{"ok", "ok"}));
}

TEST(Broadcast, AThousandTargetsAreSentToWithABoundedNumberInFlight) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  const std::vector<InstanceId> targets(1000, cluster.id(1));
  auto op = cluster[0].broadcast("work").raw_payload("x").to(targets).max_concurrent(16).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 16; }));
  cluster.sim.run_for(1s);
  EXPECT_EQ(gate.waiting, 16);
  EXPECT_EQ(cluster[0].books().unary.sent, 16U);
  gate.open();
  auto answers = cluster.wait(std::move(op));
  ASSERT_TRUE(answers);
  ASSERT_EQ(answers->size(), 1000U);
  for (const auto& answer : *answers) EXPECT_TRUE(answer.result);
  EXPECT_EQ(cluster[0].books().unary[Fate::handled], 1000U);
}

TEST(Broadcast, TooManyTargetsAreRefusedAndNothingIsSent) {
  Party party(1);
  const std::vector<InstanceId> targets(limits::broadcast_targets_max + 1, party.cluster.id(1));
  auto answers = party.cluster.wait(party.hello(targets).send());
  EXPECT_EQ(outcome(answers), "base.overloaded");
  EXPECT_EQ(party.cluster[0].books().unary.sent, 0U);
}

TEST(Broadcast, WhenEnoughHaveEndedWellTheOthersAreCancelled) {
  Gate gate;
  Cluster cluster(4);
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  ASSERT_TRUE(cluster[2].register_handler(echo("work")));
  ASSERT_TRUE(cluster[3].register_handler(echo("work")));
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2), cluster.id(3)};
  auto answers =
      cluster.wait(cluster[0].broadcast("work").raw_payload("x").to(targets).enough_with(2).send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers), (std::vector<std::string>{"messenger.cancelled", "ok", "ok"}));
  EXPECT_EQ((*answers)[0].status.fate, Fate::cancelled);
  cluster.sim.run_for(1s);
  gate.open();
  ASSERT_TRUE(cluster.until([&] { return gate.stopped == 1; })) << "it reached the handler";
}

TEST(Broadcast, WhatWasNotBegunAtTheDeadlineEndsAsExpired) {
  Gate gate;
  Cluster cluster(3);
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  ASSERT_TRUE(cluster[2].register_handler(echo("work")));
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2)};
  const TimePoint before = cluster.sim.now();
  auto answers = cluster.wait(cluster[0]
                                  .broadcast("work")
                                  .raw_payload("x")
                                  .to(targets)
                                  .max_concurrent(1)
                                  .timeout(2s)
                                  .send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers), (std::vector<std::string>{"messenger.deadline_exceeded",
                                                          "messenger.deadline_exceeded"}));
  EXPECT_FALSE((*answers)[1].status.may_have_been_handled);
  EXPECT_EQ(cluster.sim.now() - before, 2s);
  gate.open();
}

TEST(Broadcast, DroppingItCancelsEverySendAndBeginsNoOther) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  const std::vector<InstanceId> targets(10, cluster.id(1));
  {
    auto op = cluster[0].broadcast("work").raw_payload("x").to(targets).max_concurrent(4).send();
    ASSERT_TRUE(cluster.until([&] { return gate.waiting == 4; }));
  }
  cluster.sim.run_for(1s);
  EXPECT_EQ(cluster[0].books().unary[Fate::cancelled], 4U);
  EXPECT_EQ(cluster[0].books().unary.sent, 4U);
  gate.open();
  ASSERT_TRUE(cluster.until([&] { return gate.stopped == 4; }));
}

TEST(Broadcast, AStopTokenEndsItWithTheEndsOfAll) {
  Gate gate;
  Cluster cluster(3);
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  ASSERT_TRUE(cluster[2].register_handler(echo("work")));
  std::stop_source stop;
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2), cluster.id(1)};
  auto op = cluster[0]
                .broadcast("work")
                .raw_payload("x")
                .to(targets)
                .max_concurrent(2)
                .stop(stop.get_token())
                .send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 2; }));
  stop.request_stop();
  auto answers = cluster.wait(std::move(op));
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers),
            (std::vector<std::string>{"messenger.cancelled", "ok", "messenger.cancelled"}));
  gate.open();
}

TEST(Broadcast, PeersWithTheHandlerAreFoundByAsking) {
  Cluster cluster(4);
  ASSERT_TRUE(cluster[1].register_handler(echo("work")));
  ASSERT_TRUE(cluster[3].register_handler(echo("work")));
  auto answers =
      cluster.wait(cluster[0].broadcast("work").raw_payload("x").to_peers_with_handler().send());
  ASSERT_TRUE(answers);
  EXPECT_EQ(outcomes(*answers), (std::vector<std::string>{"ok", "ok"}));
  EXPECT_EQ(cluster[0].books().unary.sent, 2U) << "nothing is sent to those without it";
  auto all = cluster.wait(cluster[0].broadcast("work").raw_payload("x").to_all_peers().send());
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 3U);
}

TEST(Broadcast, FireAndSyncSayWhetherTheyWereDelivered) {
  Cluster cluster(3);
  int noted = 0;
  for (std::size_t i = 1; i < 3; ++i) {
    ASSERT_TRUE(cluster[i].register_handler(
        Handler::am_handler("note", [&noted](Context&) { ++noted; }).inline_().build()));
  }
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2)};
  auto synced = cluster.wait(cluster[0].broadcast_sync("note").to(targets).send());
  ASSERT_TRUE(synced);
  EXPECT_EQ(noted, 2);
  EXPECT_EQ((*synced)[0].status.fate, Fate::acknowledged);
  auto fired = cluster.wait(cluster[0].broadcast_send("note").to(targets).send());
  ASSERT_TRUE(fired);
  EXPECT_EQ((*fired)[1].status.fate, Fate::written);
  ASSERT_TRUE(cluster.until([&] { return noted == 4; }));
}

struct Question {
  int a = 0;
};
VELO_DESCRIBE(Question, a);

TEST(Broadcast, TypedAnswersAreDecodedForEachTarget) {
  Cluster cluster(3);
  for (std::size_t i = 1; i < 3; ++i) {
    const int factor = static_cast<int>(i);
    ASSERT_TRUE(cluster[i].register_handler(
        Handler::typed_unary("times", [factor](TypedContext<Question>& context) {
          return Question{context.input.a * factor};
        }).build()));
  }
  Question question;
  question.a = 21;
  const std::vector<InstanceId> targets = {cluster.id(1), cluster.id(2)};
  auto answers = cluster.wait(
      cluster[0].typed_broadcast<Question>("times").payload(question).to(targets).send());
  ASSERT_TRUE(answers);
  ASSERT_TRUE((*answers)[0].result);
  EXPECT_EQ((*answers)[0].result->a, 21);
  EXPECT_EQ((*answers)[1].result->a, 42);
}

TEST(Broadcast, TheMessengerMayEndMeanwhile) {
  Cluster cluster(2);
  Gate gate;
  ASSERT_TRUE(cluster[1].register_handler(gated("work", gate)));
  const std::vector<InstanceId> targets(3, cluster.id(1));
  auto op = cluster[0].broadcast("work").to(targets).max_concurrent(1).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.messengers[0].reset();
  auto answers = cluster.wait(std::move(op));
  ASSERT_TRUE(answers);
  for (const auto& answer : *answers) EXPECT_EQ(outcome(answer.result), "messenger.shutting_down");
  gate.open();
}

}  // namespace velo::messenger::broadcast_test
