// SPDX-License-Identifier: Apache-2.0
// Stages and ends of single sends, as their callers see them.

#include "testing/cluster.hpp"

namespace velo::messenger::fates_test {

using testing::Cluster;
using testing::ClusterOptions;
using testing::echo;
using testing::Gate;
using testing::gated;
using testing::NodeSetup;

using namespace std::chrono_literals;

TEST(SendStatus, ASendIsQueuedThenWrittenThenAcknowledged) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  auto status = send_status(call);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->stage, SendStage::queued);
  EXPECT_FALSE(status->ended);
  EXPECT_FALSE(status->may_have_been_handled) << "there is no connection yet";
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  status = send_status(call);
  EXPECT_EQ(status->stage, SendStage::written);
  EXPECT_FALSE(status->ended);
  EXPECT_TRUE(status->may_have_been_handled);
  gate.open();
  ASSERT_TRUE(cluster.until([&] { return call.done(); }));
  status = send_status(call);
  EXPECT_EQ(status->stage, SendStage::acknowledged);
  EXPECT_TRUE(status->ended);
  EXPECT_EQ(status->fate, Fate::handled);
  EXPECT_TRUE(cluster.wait(std::move(call)));
}

TEST(SendStatus, OnAReadyConnectionTooTheStageIsWrittenOnceItIs) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  EXPECT_EQ(send_status(call)->stage, SendStage::written);
  gate.open();
  EXPECT_TRUE(cluster.wait(std::move(call)));
}

TEST(SendStatus, ASlotThatIsUsedAgainIsNotTheFirstCallsAnyMore) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) { setup.calls_max = 1; };
  Cluster cluster(2, std::move(options));
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  auto first = cluster[0].unary("echo").instance(cluster.id(1)).send();
  ASSERT_TRUE(cluster.until([&] { return first.done(); }));
  auto refused = cluster[0].unary("echo").instance(cluster.id(1)).send();
  ASSERT_TRUE(send_status(refused));
  EXPECT_EQ(send_status(refused)->fate, Fate::rejected) << "the ended Op still owns the only slot";
  EXPECT_EQ(send_status(first)->fate, Fate::handled);
  auto waits = cluster[0].unary("echo").instance(cluster.id(1)).await_capacity().send();
  EXPECT_EQ(send_status(waits)->stage, SendStage::queued);
  EXPECT_FALSE(send_status(waits)->ended);
  EXPECT_TRUE(cluster.wait(std::move(first)));
  ASSERT_TRUE(cluster.until([&] { return waits.done(); }));
  EXPECT_EQ(send_status(waits)->fate, Fate::handled);
  EXPECT_EQ(cluster[0].books().stages.waited_for_slot, 1U);
  EXPECT_EQ(cluster[0].books().rejected_by.at("messenger.too_many_calls"), 1U);
}

TEST(SendStatus, AnOpThatNoSendReturnedHasNone) {
  Cluster cluster(1);
  auto op = Op<void>::ready(cluster[0].world().pool(), {});
  EXPECT_FALSE(send_status(op));
}

/// Sends a unary call and returns how it ended.
static Outcome<Bytes> outcome_of(Cluster& cluster, std::string_view handler, Duration timeout) {
  auto ended = cluster.wait(
      cluster[0].unary(handler).instance(cluster.id(1)).timeout(timeout).send_for_outcome());
  EXPECT_TRUE(ended);
  return std::move(*ended);
}

TEST(SendOutcome, ItSaysHowTheSendEndedAndWhetherItMayHaveBeenHandled) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  ASSERT_TRUE(
      cluster[1].register_handler(Handler::unary_handler("busy", [](Context&) -> Result<Bytes> {
                                    return make_error(Errc::overloaded, "the handler's own queue");
                                  }).build()));

  const auto well = outcome_of(cluster, "echo", 5s);
  EXPECT_TRUE(well.result);
  EXPECT_EQ(well.status.fate, Fate::handled);

  const auto none = outcome_of(cluster, "none", 5s);
  EXPECT_EQ(none.status.fate, Fate::rejected);
  EXPECT_EQ(none.status.stage, SendStage::acknowledged) << "the receiver said so";
  EXPECT_FALSE(may_have_been_handled(none.result.error()));

  const auto busy = outcome_of(cluster, "busy", 5s);
  EXPECT_TRUE(busy.result.error().is(Errc::overloaded));
  EXPECT_EQ(busy.status.fate, Fate::handled) << "the handler ran, whatever code it chose";
  EXPECT_TRUE(may_have_been_handled(busy.result.error()));

  const auto late = outcome_of(cluster, "hold", 1s);
  EXPECT_EQ(late.status.fate, Fate::expired);
  EXPECT_TRUE(late.status.may_have_been_handled);
  EXPECT_TRUE(may_have_been_handled(late.result.error()));
  gate.open();
}

TEST(SendOutcome, WhatExpiredBeforeThereWasAConnectionWasCertainlyNotHandled) {
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  cluster.sim.pause(cluster.sim.node(1));
  const auto late = outcome_of(cluster, "echo", 1s);
  EXPECT_EQ(late.status.fate, Fate::expired);
  EXPECT_EQ(late.status.stage, SendStage::queued);
  EXPECT_FALSE(late.status.may_have_been_handled);
  EXPECT_FALSE(may_have_been_handled(late.result.error()));
  cluster.sim.resume(cluster.sim.node(1));
}

TEST(SendOutcome, WhatTheConnectionTookWithItMayHaveBeenHandled) {
  Gate gate;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(gated("hold", gate)));
  auto call = cluster[0].unary("hold").instance(cluster.id(1)).send_for_outcome();
  ASSERT_TRUE(cluster.until([&] { return gate.waiting == 1; }));
  cluster.sim.reset_connections(cluster.sim.node(0), cluster.sim.node(1));
  auto ended = cluster.wait(std::move(call));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status.fate, Fate::unknown);
  EXPECT_TRUE(may_have_been_handled(ended->result.error()));
  gate.open();
}

TEST(Fates, EachFateAndStageHasAName) {
  for (std::size_t i = 0; i < fate_count; ++i) {
    EXPECT_NE(fate_name(static_cast<Fate>(i)), "?");
  }
  EXPECT_EQ(stage_name(SendStage::queued), "queued");
  EXPECT_EQ(stage_name(SendStage::written), "written");
  EXPECT_EQ(stage_name(SendStage::acknowledged), "acknowledged");
}

}  // namespace velo::messenger::fates_test
