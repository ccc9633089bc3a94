// SPDX-License-Identifier: Apache-2.0
// Scenarios of connections that end.

#include "scenario.hpp"
#include "stage.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>

namespace velo::transport::conformance {
namespace ending_scenarios_detail {

static Error reason(std::string text) { return make_error(Errc::closed_locally, std::move(text)); }

static void closing_ends_both_sides_once(Stage& stage) {
  auto [client, server] = stage.connect();
  client.connection->close(reason("first"));
  client.connection->close(make_error(Errc::peer_too_slow, "second"));
  EXPECT_EQ(client.send(FrameType::message, "", "").admission, Admission::closed);
  ASSERT_TRUE(client.wait_closed());
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(client.closed->is(Errc::closed_locally));
  EXPECT_EQ(client.closed->context(), "first");
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.send(FrameType::response, "", "").admission, Admission::closed);
  EXPECT_EQ(server.send(FrameType::message, "", "").admission, Admission::closed);
}

static void the_end_comes_on_the_shard_and_not_inside_close(Stage& stage) {
  std::atomic<bool> on_shard{false};
  std::atomic<bool> inside{false};
  std::atomic<bool> early{false};
  const Curtain curtain(stage);
  stage.prepare_client = [&](Party& party) {
    party.closed_hook = [&](Connection& connection, const Error&) {
      on_shard.store(connection.shard().on_this_thread());
      early.store(inside.load());
    };
  };
  auto [client, server] = stage.connect();
  client.on_shard([&client, &inside] {
    inside.store(true);
    client.connection->close(reason("here"));
    inside.store(false);
  });
  ASSERT_TRUE(client.wait_closed());
  EXPECT_TRUE(on_shard.load());
  EXPECT_FALSE(early.load());
}

static void closing_inside_a_handler_stops_the_frames(Stage& stage) {
  stage.prepare_server = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame& frame) {
      if (as_text(frame.header()) == "last") connection.close(reason("enough"));
    };
  };
  auto [client, server] = stage.connect();
  // One turn's worth, so that they arrive together.
  client.on_shard([&client] {
    client.send(FrameType::message, "one", "");
    client.send(FrameType::message, "last", "");
    client.send(FrameType::message, "never", "");
  });
  ASSERT_TRUE(server.wait_closed());
  ASSERT_TRUE(client.wait_closed());
  EXPECT_EQ(server.frame_count, 2U);
  EXPECT_TRUE(client.closed->is(Errc::connection_lost));
}

static void a_reply_sent_before_closing_gracefully_inside_a_handler_arrives(Stage& stage) {
  stage.prepare_server = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame&) {
      connection.send({FrameType::response, as_bytes("goodbye"), as_bytes("p")});
      connection.close_after_flush(reason("done"), std::chrono::seconds(10));
      EXPECT_EQ(connection.send({FrameType::response, {}, ByteSpan()}).admission,
                Admission::closed);
    };
  };
  auto [client, server] = stage.connect();
  client.send(FrameType::message, "ask", "");
  ASSERT_TRUE(client.wait_closed());
  ASSERT_EQ(client.frame_count, 1U);
  EXPECT_EQ(client.frames[0].header, "goodbye");
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(server.closed->context(), "done");
}

static void closing_after_flush_delivers_everything(Stage& stage) {
  stage.prepare_server = [](Party& party) { party.keep_frames = false; };
  auto [client, server] = stage.connect();
  constexpr std::size_t count = 128;
  const Bytes payload = Bytes::own(std::string(std::size_t{128} << 10, 'f'));
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const SendResult result = client.send(FrameType::message, "h", payload);
    ASSERT_EQ(result.admission, Admission::accepted);
    end = result.end;
  }
  client.connection->close_after_flush(reason("drained"), std::chrono::seconds(25));
  EXPECT_EQ(client.send(FrameType::response, "", "").admission, Admission::closed);
  ASSERT_TRUE(client.wait_closed());
  EXPECT_EQ(client.closed->context(), "drained");
  EXPECT_GE(client.connection->written(), end);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(server.frame_count, count);
  EXPECT_EQ(server.payload_bytes, count * payload.size());
}

static void closing_after_flush_with_nothing_queued_ends_at_once(Stage& stage) {
  auto [client, server] = stage.connect();
  client.connection->close_after_flush(reason("idle"), std::chrono::hours(1));
  ASSERT_TRUE(client.wait_closed());
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(client.closed->context(), "idle");
}

static void patience_ends_a_flush_that_the_peer_does_not_take(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{8} << 20, 's'));
  server.send(FrameType::message, "", payload);
  const SendResult last = server.send(FrameType::message, "", payload);
  server.connection->close_after_flush(reason("impatient"), std::chrono::milliseconds(50));
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(server.closed->context(), "impatient");
  EXPECT_LT(server.connection->written(), last.end);
}

static void closing_for_good_overtakes_a_flush(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  server.send(FrameType::message, "", Bytes::own(std::string(std::size_t{15} << 20, 's')));
  server.connection->close_after_flush(reason("slowly"), std::chrono::hours(1));
  server.connection->close(reason("now"));
  ASSERT_TRUE(server.wait_closed());
}

static void closing_while_others_send_ends_once(Stage& stage) {
  stage.prepare_server = [](Party& party) { party.keep_frames = false; };
  auto [client, server] = stage.connect();
  std::atomic<std::size_t> accepted_late{0};
  std::atomic<bool> closed{false};
  stage.driver().concurrently(6, 2000, [&, &party = client](std::size_t sender, std::size_t i) {
    if (sender == 0 && i == 500) {
      party.connection->close(reason("in the middle"));
      closed.store(true);
    }
    const bool too_late = closed.load();
    const SendResult result = party.send(FrameType::message, "header", "payload");
    if (too_late && result.admission == Admission::accepted) ++accepted_late;
  });
  ASSERT_TRUE(client.wait_closed());
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(accepted_late.load(), 0U);
}

static void a_new_connection_carries_nothing_of_the_old_one(Stage& stage) {
  const Bytes large = Bytes::own(std::string(std::size_t{4} << 20, 'o'));
  for (int i = 0; i < 5; ++i) {
    auto [old_client, old_server] = stage.connect();
    // More than is written at once, both ways, so that some of it is given up with the connection.
    for (int k = 0; k < 4; ++k) {
      old_client.send(FrameType::message, "old", large);
      old_server.send(FrameType::response, "old", large);
    }
    old_client.connection->close(reason("epoch over"));
    auto [client, server] = stage.connect();
    EXPECT_EQ(old_client.send(FrameType::message, "late", "").admission, Admission::closed);
    client.send(FrameType::message, "new", "question");
    server.send(FrameType::response, "new", "answer");
    ASSERT_TRUE(server.wait_frames(1));
    ASSERT_TRUE(client.wait_frames(1));
    ASSERT_TRUE(old_client.wait_closed());
    ASSERT_TRUE(old_server.wait_closed());
    client.connection->close_after_flush(reason("done"), std::chrono::seconds(10));
    ASSERT_TRUE(client.wait_closed());
    ASSERT_TRUE(server.wait_closed());
    for (const Party* party : {&client, &server}) {
      ASSERT_EQ(party->frame_count, 1U);
      EXPECT_EQ(party->frames[0].header, "new");
    }
  }
}

static void both_sides_may_close_at_once(Stage& stage) {
  for (int i = 0; i < 20; ++i) {
    auto [client, server] = stage.connect();
    client.send(FrameType::message, "", "x");
    Connection& ours = *client.connection;
    Connection& theirs = *server.connection;
    stage.driver().concurrently(2, 1, [&](std::size_t side, std::size_t) {
      (side == 0 ? ours : theirs).close(reason("both"));
    });
    ASSERT_TRUE(client.wait_closed());
    ASSERT_TRUE(server.wait_closed());
  }
}

static void the_last_pointer_may_go_inside_the_end(Stage& stage) {
  stage.prepare_client = [](Party& party) { party.frame_hook = nullptr; };
  auto [client, server] = stage.connect();
  ConnectionPtr extra = client.connection;
  client.connection = ConnectionPtr();
  extra->close(reason("unowned"));
  extra = ConnectionPtr();
  ASSERT_TRUE(client.wait_closed());
  ASSERT_TRUE(server.wait_closed());
}

constexpr Scenario scenarios[] = {
    {"ClosingEndsBothSidesOnce", closing_ends_both_sides_once, false},
    {"TheEndComesOnTheShardAndNotInsideClose", the_end_comes_on_the_shard_and_not_inside_close,
     false},
    {"ClosingInsideAHandlerStopsTheFrames", closing_inside_a_handler_stops_the_frames, false},
    {"AReplySentBeforeClosingGracefullyInsideAHandlerArrives",
     a_reply_sent_before_closing_gracefully_inside_a_handler_arrives, false},
    {"ClosingAfterFlushDeliversEverything", closing_after_flush_delivers_everything, false},
    {"ClosingAfterFlushWithNothingQueuedEndsAtOnce",
     closing_after_flush_with_nothing_queued_ends_at_once, false},
    {"PatienceEndsAFlushThatThePeerDoesNotTake", patience_ends_a_flush_that_the_peer_does_not_take,
     true},
    {"ClosingForGoodOvertakesAFlush", closing_for_good_overtakes_a_flush, true},
    {"ClosingWhileOthersSendEndsOnce", closing_while_others_send_ends_once, false},
    {"ANewConnectionCarriesNothingOfTheOldOne", a_new_connection_carries_nothing_of_the_old_one,
     false},
    {"BothSidesMayCloseAtOnce", both_sides_may_close_at_once, false},
    {"TheLastPointerMayGoInsideTheEnd", the_last_pointer_may_go_inside_the_end, false},
};

}  // namespace ending_scenarios_detail

std::span<const Scenario> ending_scenarios() { return ending_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
