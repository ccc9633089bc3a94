// SPDX-License-Identifier: Apache-2.0
// Request windows on simulated nodes: what waits, in which order, how each end of a call makes room
// again, and what becomes of a peer that does not keep to its window.

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::windows_test {

static ClusterOptions with_window(std::size_t calls, std::size_t bytes = std::size_t{4} << 20) {
  ClusterOptions options;
  options.setup = [=](sim::SimNode&, std::size_t, NodeSetup& setup) {
    setup.window_calls = calls;
    setup.window_bytes = bytes;
  };
  return options;
}

/// Node 1 has "hold" (waits at the gate), "echo", "fail", "throw" and "note".
class Windows : public ::testing::Test {
 protected:
  void start(ClusterOptions options) {
    cluster = std::make_unique<Cluster>(2, std::move(options));
    cluster->outsiders = true;
    auto add = [this](Handler handler) {
      ASSERT_TRUE((*cluster)[1].register_handler(std::move(handler)));
    };
    add(gated("hold", gate));
    add(echo());
    add(Handler::unary_handler("fail", [](Context&) -> Result<Bytes> {
          return velo::make_error(velo::Errc::io);
        }).build());
    add(Handler::unary_handler("throw", [](Context&) -> Bytes {
          throw std::runtime_error("boom");
        }).build());
    add(Handler::am_handler(
            "note", [this](Context& context) { notes.emplace_back(as_text(context.payload())); })
            .inline_()
            .build());
  }
  void TearDown() override {
    gate.open();
    ops.clear();
    cluster->sim.run_until_quiet(2min);
    for (const auto& messenger : cluster->messengers) {
      if (messenger) {
        EXPECT_TRUE(messenger->books().balanced());
      }
    }
  }

  Op<Bytes> call(std::string_view handler, Bytes payload = Bytes(), Duration timeout = 1h) {
    return (*cluster)[0]
        .unary(handler)
        .raw_payload(std::move(payload))
        .timeout(timeout)
        .instance(cluster->id(1))
        .send();
  }
  void hold(int count, std::size_t bytes = 1) {
    for (int i = 0; i < count; ++i) {
      ops.push_back(call("hold", Bytes::copy(std::string(bytes, 'x'))));
    }
  }
  void settle() { cluster->sim.run_for(2s); }
  /// How many calls the window lets through now; they stay.
  int room() {
    const int before = gate.waiting;
    hold(8);
    settle();
    return gate.waiting - before;
  }

  Gate gate;
  std::vector<std::string> notes;
  std::unique_ptr<Cluster> cluster;
  std::vector<Op<Bytes>> ops;
};

TEST_F(Windows, LetThroughAsManyCallsAsTheyHold) {
  start(with_window(4));
  hold(20);
  settle();
  EXPECT_EQ(gate.waiting, 4);
  EXPECT_EQ((*cluster)[1].books().received.requests, 4u) << "the others have not left";
  gate.open();
  for (auto& op : ops) EXPECT_EQ(outcome(cluster->wait(std::move(op))), "ok");
  ops.clear();
  EXPECT_EQ(gate.waiting, 20);
  EXPECT_EQ((*cluster)[1].books().received.rejected, 0u);
}

TEST_F(Windows, LetThroughAsManyBytesAsTheyHold) {
  start(with_window(100, 10'000));
  hold(5, 4'000);
  settle();
  EXPECT_EQ(gate.waiting, 2);
  gate.open();
  for (auto& op : ops) EXPECT_EQ(outcome(cluster->wait(std::move(op))), "ok");
  ops.clear();
}

TEST_F(Windows, ARequestLargerThanTheWindowGoesAlone) {
  start(with_window(100, 10'000));
  hold(1, 50'000);
  hold(1);
  settle();
  EXPECT_EQ(gate.waiting, 1);
  gate.open();
  for (auto& op : ops) EXPECT_EQ(outcome(cluster->wait(std::move(op))), "ok");
  ops.clear();
  EXPECT_EQ((*cluster)[1].books().received.rejected, 0u);
}

TEST_F(Windows, TheSmallerOfBothSidesNumbersHolds) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.window_calls = index == 0 ? 50 : 3;
  };
  start(std::move(options));
  EXPECT_EQ(room(), 3);
}

TEST_F(Windows, TheUsualOneLetsAThousandAndTwentyFourThrough) {
  start(ClusterOptions());
  hold(1'100);
  settle();
  EXPECT_EQ(gate.waiting, 1'024);
}

TEST_F(Windows, WhatWaitsKeepsItsOrderWithWhatIsNewer) {
  start(with_window(1));
  auto first = call("hold");
  settle();
  std::vector<Op<void>> sent;
  for (int i = 0; i < 30; ++i) {
    auto send = i % 3 == 0 ? (*cluster)[0].am_send("note") : (*cluster)[0].am_sync("note");
    sent.push_back(send.raw_payload(std::to_string(i)).instance(cluster->id(1)).send());
  }
  settle();
  EXPECT_EQ(notes, std::vector<std::string>{"0"}) << "fire takes no room, but queues behind others";
  gate.open();
  for (auto& op : sent) EXPECT_EQ(outcome(cluster->wait(std::move(op))), "ok");
  settle();
  ASSERT_EQ(notes.size(), 30u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(notes[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(Windows, OneThatWaitsExpiresInTimeAndNeverLeaves) {
  start(with_window(1));
  hold(1);
  EXPECT_EQ(outcome(cluster->wait(call("echo", Bytes(), 3s))), "messenger.deadline_exceeded");
  auto cancelled = call("echo");
  cancelled.cancel();
  EXPECT_EQ(outcome(cluster->wait(std::move(cancelled))), "messenger.cancelled");
  gate.open();
  settle();
  EXPECT_EQ((*cluster)[1].books().received.requests, 1u);
  EXPECT_EQ((*cluster)[0].books().unary[Fate::expired], 1u);
  EXPECT_EQ((*cluster)[0].books().unary[Fate::cancelled], 1u);
}

TEST_F(Windows, TooManyBytesThatWaitAreOverBudget) {
  start(with_window(1));
  hold(1);
  settle();
  const Bytes large = Bytes::copy(std::string(std::size_t{15} << 20, 'x'));
  for (int i = 0; i < 4; ++i) ops.push_back(call("echo", large));
  const auto refused = cluster->wait(call("echo", large));
  EXPECT_EQ(outcome(refused), "messenger.over_budget");
  EXPECT_EQ(refused.error().retry(), Retry::later);
}

TEST_F(Windows, EveryEndOfACallMakesRoomAgain) {
  start(with_window(3));
  const Bytes too_large = Bytes::copy(std::string(std::size_t{17} << 20, 'x'));
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(outcome(cluster->wait(call("echo"))), "ok");
    EXPECT_EQ(outcome(cluster->wait(call("fail"))), "base.io");
    EXPECT_EQ(outcome(cluster->wait(call("throw"))), "messenger.handler_threw");
    EXPECT_EQ(outcome(cluster->wait(call("nobody"))), "messenger.unknown_handler");
    EXPECT_EQ(outcome(cluster->wait(call("note"))), "messenger.wrong_kind");
    EXPECT_EQ(outcome(cluster->wait(call("echo", too_large))), "messenger.too_large");
    EXPECT_EQ(outcome(cluster->wait(call("hold", Bytes(), 1s))), "messenger.deadline_exceeded");
    auto cancelled = call("hold");
    cluster->sim.run_for(100ms);
    cancelled.cancel();
    EXPECT_EQ(outcome(cluster->wait(std::move(cancelled))), "messenger.cancelled");
    auto at_once = call("hold");
    at_once.cancel();
    {
      const auto dropped = call("hold");
    }
    const auto acknowledged =
        cluster->wait((*cluster)[0].am_sync("note").instance(cluster->id(1)).send());
    EXPECT_EQ(outcome(acknowledged), "ok");
    const auto failed =
        cluster->wait((*cluster)[0].am_sync("fail").instance(cluster->id(1)).send());
    EXPECT_EQ(outcome(failed), "base.io");
  }
  settle();
  EXPECT_EQ(room(), 3);
  EXPECT_EQ((*cluster)[1].books().received.rejected, 20u) << "only what had no right handler";
}

TEST_F(Windows, CancellationThatRacesTheReplyMakesRoomOnce) {
  start(with_window(2));
  for (int steps = 0; steps < 60; ++steps) {
    auto op = call("echo");
    for (int i = 0; i < steps % 30; ++i) cluster->sim.step();
    op.cancel();
    (void)cluster->wait(std::move(op));
  }
  settle();
  EXPECT_EQ(room(), 2);
}

TEST_F(Windows, ADrainingPeerMakesRoomToo) {
  start(with_window(2));
  hold(1);
  settle();
  auto over = (*cluster)[1].shutdown(ShutdownPolicy(1min));
  settle();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(outcome(cluster->wait(call("echo"))), "messenger.shutting_down");
  }
  gate.open();
  EXPECT_EQ(outcome(cluster->wait(std::move(over))), "ok");
}

TEST_F(Windows, ADeadConnectionFailsWhatWaitsAsNotSent) {
  start(with_window(2));
  hold(2);
  settle();
  auto waiting = call("echo");
  cluster->sim.reset_connections(cluster->sim.node(0));
  EXPECT_EQ(outcome(cluster->wait(std::move(waiting))), "messenger.not_sent");
  for (auto& op : ops)
    EXPECT_EQ(outcome(cluster->wait(std::move(op))), "messenger.connection_lost");
  ops.clear();
  settle();
  EXPECT_EQ(room(), 2) << "the next connection has a window of its own";
}

TEST_F(Windows, APeerOfThePublicVeloHasNone) {
  ClusterOptions options = with_window(2);
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.window_calls = 2;
    setup.legacy = index == 1;
  };
  start(std::move(options));
  EXPECT_EQ(room(), 8);
}

TEST_F(Windows, OneselfIsNotLimited) {
  start(with_window(1));
  for (int i = 0; i < 5; ++i) {
    ops.push_back((*cluster)[1].unary("hold").instance(cluster->id(1)).send());
  }
  settle();
  EXPECT_EQ(gate.waiting, 5);
}

TEST_F(Windows, APeerThatIgnoresThemIsOverloadedAlone) {
  start(with_window(2));
  RawPeer raw(*cluster);
  RawEnd& end = raw.dial((*cluster)[1]);
  end.greet(raw.info, local_offer(raw.info.worker_id().value()));
  for (std::uint64_t i = 1; i <= 4; ++i) {
    end.send(
        transport::FrameType::message,
        request_header(protocol::ResponseType::unary, MessageId(raw.info.worker_id(), i), "hold"));
  }
  settle();
  EXPECT_EQ(gate.waiting, 2);
  ASSERT_EQ(end.frames.size(), 3u) << "the greeting's answer, and two refusals";
  for (const std::uint64_t i : {3u, 4u}) {
    const RawFrame& refusal = end.frames[i - 2];
    EXPECT_EQ(refusal.response().id, MessageId(raw.info.worker_id(), i));
    EXPECT_EQ(refusal.response().outcome, static_cast<std::uint8_t>(Errc::overloaded));
  }
  EXPECT_EQ(room(), 2) << "others keep their window";
}

}  // namespace velo::messenger::testing::windows_test
