// SPDX-License-Identifier: Apache-2.0
// Fire-and-forget to names that the peer has not listed: asked for, in order, and never lost.

#include "testing/cluster.hpp"

namespace velo::messenger::unlisted_fire_test {

using testing::Cluster;
using testing::outcome;

using namespace std::chrono_literals;

/// Inline handlers that write down what they get, in order.
struct Notes {
  std::vector<std::string> seen;

  Handler am(std::string name) {
    return Handler::am_handler(
               std::move(name),
               [this](Context& context) { seen.emplace_back(as_text(context.payload())); })
        .inline_()
        .build();
  }
  Handler unary(std::string name) {
    return Handler::unary_handler(std::move(name),
                                  [this](Context& context) {
                                    seen.emplace_back(as_text(context.payload()));
                                    return Bytes();
                                  })
        .inline_()
        .build();
  }
};

/// Two nodes with a ready connection between them; the receiver's list was told without "late".
struct Ready {
  Notes notes;
  Cluster cluster{2};

  Ready() {
    EXPECT_TRUE(cluster[1].register_handler(notes.am("known")));
    EXPECT_TRUE(cluster[1].register_handler(notes.unary("ask")));
    EXPECT_TRUE(cluster.wait(fire("known", "0")));
  }
  Op<void> fire(std::string_view handler, std::string_view text) {
    return cluster[0].am_send(handler).raw_payload(text).instance(cluster.id(1)).send();
  }
  Op<Bytes> ask(std::string_view text) {
    return cluster[0].unary("ask").raw_payload(text).instance(cluster.id(1)).send();
  }
};

TEST(UnlistedFire, WhatIsSentAfterItDoesNotOvertakeIt) {
  Ready ready;
  ASSERT_TRUE(ready.cluster[1].register_handler(ready.notes.am("late")));
  auto first = ready.fire("late", "1");
  auto second = ready.fire("known", "2");
  auto third = ready.ask("3");
  auto fourth = ready.fire("late", "4");
  EXPECT_TRUE(ready.cluster.wait(std::move(third)));
  EXPECT_TRUE(ready.cluster.wait(std::move(first)));
  EXPECT_TRUE(ready.cluster.wait(std::move(second)));
  EXPECT_TRUE(ready.cluster.wait(std::move(fourth)));
  EXPECT_TRUE(ready.cluster.wait(ready.ask("5")));
  EXPECT_EQ(ready.notes.seen, (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
}

TEST(UnlistedFire, ANameThatThePeerDoesNotHaveEndsAsUnknownAndHoldsNothingUp) {
  Ready ready;
  auto wrong = ready.fire("nobody", "1");
  auto right = ready.fire("known", "2");
  EXPECT_EQ(outcome(ready.cluster.wait(std::move(wrong))), "messenger.unknown_handler");
  EXPECT_TRUE(ready.cluster.wait(std::move(right)));
  EXPECT_TRUE(ready.cluster.wait(ready.ask("3")));
  EXPECT_EQ(ready.notes.seen, (std::vector<std::string>{"0", "2", "3"}));
}

TEST(UnlistedFire, AHandlerRegisteredWhileThePeerWasAskedIsAskedForAgain) {
  Ready ready;
  auto first = ready.fire("one", "1");
  // The question is answered before the handler exists, and the answer arrives after the send.
  ASSERT_TRUE(ready.cluster[1].register_handler(ready.notes.am("one")));
  ready.cluster.sim.pause(ready.cluster.sim.node(0));
  ready.cluster.sim.run_for(1s);
  ASSERT_TRUE(ready.cluster[1].register_handler(ready.notes.am("two")));
  auto second = ready.fire("two", "2");
  ready.cluster.sim.resume(ready.cluster.sim.node(0));
  EXPECT_TRUE(ready.cluster.wait(std::move(first)));
  EXPECT_TRUE(ready.cluster.wait(std::move(second)));
  EXPECT_TRUE(ready.cluster.wait(ready.ask("3")));
  EXPECT_EQ(ready.notes.seen, (std::vector<std::string>{"0", "1", "2", "3"}));
}

TEST(UnlistedFire, WhenTheConnectionBreaksMeanwhileTheNextOneTakesAllInOrder) {
  Ready ready;
  ASSERT_TRUE(ready.cluster[1].register_handler(ready.notes.am("late")));
  ready.cluster.sim.run_for(1min);
  auto first = ready.fire("late", "1");
  auto second = ready.ask("2");
  ready.cluster.sim.reset_connections(ready.cluster.sim.node(0), ready.cluster.sim.node(1));
  EXPECT_TRUE(ready.cluster.wait(std::move(first)));
  EXPECT_TRUE(ready.cluster.wait(std::move(second)));
  EXPECT_EQ(ready.notes.seen, (std::vector<std::string>{"0", "1", "2"}));
}

TEST(UnlistedFire, AnUnregisteredPeerEndsWhatWaits) {
  Ready ready;
  auto first = ready.fire("late", "1");
  auto second = ready.ask("2");
  ASSERT_TRUE(ready.cluster[0].unregister_peer(ready.cluster.id(1)));
  EXPECT_EQ(outcome(ready.cluster.wait(std::move(first))), "messenger.unknown_peer");
  EXPECT_EQ(outcome(ready.cluster.wait(std::move(second))), "messenger.unknown_peer");
}

TEST(UnlistedFire, APeerThatDoesNotAnswerHoldsUpNothingForLongerThanTheGreeting) {
  Ready ready;
  ready.cluster.sim.pause(ready.cluster.sim.node(1));
  auto first = ready.fire("late", "1");
  auto second = ready.fire("known", "2");
  EXPECT_EQ(outcome(ready.cluster.wait(std::move(first))), "messenger.not_sent");
  EXPECT_TRUE(ready.cluster.wait(std::move(second)));
  ready.cluster.sim.resume(ready.cluster.sim.node(1));
  EXPECT_TRUE(ready.cluster.wait(ready.ask("3")));
  EXPECT_EQ(ready.notes.seen, (std::vector<std::string>{"0", "2", "3"}));
}

}  // namespace velo::messenger::unlisted_fire_test
