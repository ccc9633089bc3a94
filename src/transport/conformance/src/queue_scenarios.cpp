// SPDX-License-Identifier: Apache-2.0
// Scenarios of what is accepted and not yet written: accounting, limits, slow readers.

#include "scenario.hpp"
#include "stage.hpp"

#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace velo::transport::conformance {
namespace queue_scenarios_detail {

constexpr std::size_t queue_max = velo::limits::peer_memory_bytes_default;
constexpr std::size_t requests_max = queue_max / 16 * 15;

static void every_accepted_frame_is_written(Stage& stage) {
  std::atomic<std::size_t> told{0};
  std::atomic<std::uint64_t> highest{0};
  std::atomic<bool> shrank{false};
  const Curtain curtain(stage);
  stage.prepare_client = [&](Party& party) {
    party.written_hook = [&](Connection& connection) {
      const std::uint64_t written = connection.written();
      if (written < highest.load()) shrank.store(true);
      highest.store(written);
      ++told;
      stage.driver().notify();
    };
  };
  auto [client, server] = stage.connect();
  std::uint64_t before = 0;
  for (int i = 0; i < 500; ++i) {
    const SendResult result = client.send(FrameType::message, "header", std::string(i, 'p'));
    ASSERT_EQ(result.admission, Admission::accepted);
    ASSERT_GT(result.end, before);
    before = result.end;
  }
  const Connection& connection = *client.connection;
  ASSERT_TRUE(stage.wait([&] { return connection.written() >= before; }));
  EXPECT_EQ(connection.written(), before);
  EXPECT_EQ(connection.queued(), 0U);
  ASSERT_TRUE(stage.wait([&] { return highest.load() == before; }));
  EXPECT_FALSE(shrank.load());
  EXPECT_GT(told.load(), 0U);
  // In simulation a write may take a part only.
  if (!stage.driver().simulated()) {
    EXPECT_LE(told.load(), 500U);
  }
}

static void sending_inside_on_written_goes_on(Stage& stage) {
  constexpr int chain = 200;
  std::atomic<int> left{chain};
  const Curtain curtain(stage);
  stage.prepare_client = [&left](Party& party) {
    party.written_hook = [&left](Connection& connection) {
      if (left.fetch_sub(1) > 0) {
        connection.send({FrameType::event, as_bytes("next"), as_bytes("p")});
      }
    };
  };
  auto [client, server] = stage.connect();
  client.send(FrameType::event, "first", "p");
  client.on_shard([&client] { client.send(FrameType::event, "second", "p"); });
  ASSERT_TRUE(server.wait_frames(chain));
}

static std::size_t fill(Party& party, FrameType type, const Bytes& payload,
                        std::uint64_t* end = nullptr) {
  std::size_t accepted = 0;
  for (;;) {
    const SendResult result = party.send(type, "", payload);
    if (result.admission != Admission::accepted) return accepted;
    if (end != nullptr) *end = result.end;
    ++accepted;
  }
}

static void a_full_queue_refuses_requests_then_gives_the_peer_up(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{256} << 10, 'q'));
  fill(server, FrameType::message, payload);
  EXPECT_EQ(server.send(FrameType::message, "", payload).admission, Admission::over_budget);
  EXPECT_LE(server.connection->queued(), requests_max);
  EXPECT_GT(server.connection->queued(), requests_max - 2 * payload.size());
  // The last sixteenth is for everything else.
  for (const FrameType type : {FrameType::response, FrameType::ack, FrameType::event}) {
    EXPECT_EQ(server.send(type, "", payload).admission, Admission::accepted);
    EXPECT_EQ(server.send(FrameType::message, "", payload).admission, Admission::over_budget);
  }
  EXPECT_GT(server.connection->queued(), requests_max);
  EXPECT_GT(fill(server, FrameType::response, payload), 4U);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::peer_too_slow)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, 0U);
}

static void a_queue_drains_when_the_reader_goes_on(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{256} << 10, 'q'));
  std::uint64_t end = 0;
  const std::size_t accepted = fill(server, FrameType::message, payload, &end);
  EXPECT_GT(server.connection->queued(), 0U);
  EXPECT_LT(server.connection->written(), end);
  peer->read();
  const Connection& connection = *server.connection;
  ASSERT_TRUE(stage.wait([&] { return connection.queued() == 0; }));
  EXPECT_EQ(connection.written(), end);
  ASSERT_TRUE(stage.wait([&] { return peer->read_bytes == end; }));
  EXPECT_EQ(end, accepted * (payload.size() + 11));
  EXPECT_EQ(server.send(FrameType::message, "", "small").admission, Admission::accepted);
  ASSERT_TRUE(stage.wait([&] { return peer->read_bytes == end + 16; }));
}

static void a_blocked_connection_takes_frames_from_everybody(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  // Blocked before the senders start, resumed after: nothing may be lost or stuck.
  const Bytes large = Bytes::own(std::string(std::size_t{12} << 20, 'b'));
  std::uint64_t bytes = server.send(FrameType::message, "", large).end;
  std::atomic<std::uint64_t> sent{0};
  stage.driver().concurrently(4, 1000, [&, &party = server](std::size_t sender, std::size_t i) {
    const std::string header = std::to_string(sender) + " " + std::to_string(i);
    if (party.send(FrameType::message, header, "payload").admission == Admission::accepted) {
      sent += 11 + header.size() + 7;
    }
  });
  server.on_shard([&sent, &party = server] {
    party.send(FrameType::message, "shard", "");
    sent += 16;
  });
  bytes += sent.load();
  peer->read();
  ASSERT_TRUE(stage.wait([&] { return peer->read_bytes == bytes; }));
  const Connection& connection = *server.connection;
  EXPECT_TRUE(stage.wait([&] { return connection.queued() == 0; }));
}

static void senders_on_and_off_the_shard_are_accounted_exactly(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  peer->read();
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> highest{0};
  const auto send = [&](Party& party, std::size_t sender, std::size_t i) {
    const std::string header = std::to_string(sender) + " " + std::to_string(i);
    const SendResult result = party.send(FrameType::message, header, "payload");
    ASSERT_EQ(result.admission, Admission::accepted);
    bytes += 11 + header.size() + 7;
    std::uint64_t before = highest.load();
    while (before < result.end && !highest.compare_exchange_weak(before, result.end)) {
    }
  };
  stage.driver().concurrently(5, 400, [&, &party = server](std::size_t sender, std::size_t i) {
    if (sender > 0) return send(party, sender, i);
    // Bursts on the shard, during which the others come in between.
    party.on_shard([&] {
      for (std::size_t k = 0; k < 100; ++k) send(party, sender, k);
    });
  });
  const Connection& connection = *server.connection;
  ASSERT_TRUE(stage.wait([&] { return peer->read_bytes == bytes.load(); }));
  ASSERT_TRUE(stage.wait([&] { return connection.queued() == 0; }));
  EXPECT_EQ(connection.written(), highest.load());
  EXPECT_GE(connection.written(), bytes.load());
}

static void unwritten_frames_never_left(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{15} << 20, 'u'));
  server.send(FrameType::message, "", payload);
  const SendResult last = server.send(FrameType::message, "", "last");
  server.connection->close(make_error(Errc::closed_locally));
  ASSERT_TRUE(server.wait_closed());
  const std::uint64_t written = server.connection->written();
  EXPECT_LT(written, last.end);
  peer->read();
  ASSERT_TRUE(stage.wait([&] { return peer->ended(); }));
  EXPECT_LE(peer->read_bytes, written);
}

static void a_node_without_room_refuses_large_frames_only(Stage& stage) {
  auto [client, server] = stage.connect();
  MemoryBudget& budget = stage.budget(1);
  const std::size_t others = budget.bytes_max() - budget.used();
  budget.take(others);
  const Bytes large = Bytes::own(std::string(std::size_t{100} << 10, 'l'));
  EXPECT_EQ(client.send(FrameType::message, "1", large).admission, Admission::over_budget);
  // Nothing waits for this peer: it is not to blame.
  EXPECT_EQ(client.send(FrameType::response, "2", large).admission, Admission::over_budget);
  EXPECT_EQ(budget.refused(), 2U);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(client.send(FrameType::message, "small", "p").admission, Admission::accepted);
    EXPECT_EQ(client.send(FrameType::response, "small", "p").admission, Admission::accepted);
  }
  ASSERT_TRUE(server.wait_frames(20));
  budget.give_back(others);
  EXPECT_EQ(client.send(FrameType::message, "3", large).admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(21));
  EXPECT_EQ(server.frames.back().payload, large);
}

static void a_large_frame_without_room_arrives_without_its_payload(Stage& stage) {
  auto [client, server] = stage.connect();
  MemoryBudget& budget = stage.budget(0);
  budget.take(budget.bytes_max());
  const std::string header(70'000, 'h');
  const Bytes large = Bytes::own(std::string(std::size_t{3} << 20, 'l'));
  for (const FrameType type : {FrameType::message, FrameType::response}) {
    EXPECT_EQ(client.send(type, header, large).admission, Admission::accepted);
    EXPECT_EQ(client.send(type, "after", "whole").admission, Admission::accepted);
  }
  ASSERT_TRUE(server.wait_frames(4));
  budget.give_back(budget.bytes_max());
  EXPECT_EQ(client.send(FrameType::message, "room again", large).admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(5));
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
    EXPECT_EQ(server.frames[i].header, header);
    EXPECT_EQ(server.frames[i].payload.size(), 0U);
    EXPECT_EQ(server.frames[i].dropped_bytes, large.size());
    EXPECT_EQ(server.frames[i + 1].payload.text(), "whole");
  }
  EXPECT_EQ(server.frames[4].payload, large);
  EXPECT_EQ(server.frames[4].dropped_bytes, 0U);
}

static void a_large_payload_is_charged_until_nobody_keeps_it(Stage& stage) {
  auto [client, server] = stage.connect();
  const Bytes large = Bytes::own(std::string(std::size_t{1} << 20, 'l'));
  EXPECT_EQ(client.send(FrameType::message, "", large).admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(1));
  EXPECT_GE(stage.budget(0).used(), large.size());
  {
    const std::lock_guard lock(stage.driver().mutex());
    server.frames.clear();
  }
  EXPECT_TRUE(stage.wait([&] { return stage.budget(0).used() == 0; }));
}

static void a_queue_gives_back_what_it_was_charged(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{64} << 10, 'q'));
  std::uint64_t end = 0;
  for (int i = 0; i < 200; ++i) end = server.send(FrameType::message, "", payload).end;
  const std::uint64_t queued = server.connection->queued();
  EXPECT_GT(queued, 0U);
  EXPECT_GE(stage.budget(0).used() + velo::limits::uncharged_bytes, queued);
  EXPECT_LE(stage.budget(0).used(), 2 * queued + velo::limits::allowance_chunk_bytes);
  peer->read();
  ASSERT_TRUE(stage.wait([&] { return peer->read_bytes == end; }));
  EXPECT_TRUE(stage.wait([&] { return stage.budget(0).used() == 0; }));
}

constexpr Scenario scenarios[] = {
    {"EveryAcceptedFrameIsWritten", every_accepted_frame_is_written, false},
    {"SendingInsideOnWrittenGoesOn", sending_inside_on_written_goes_on, false},
    {"AFullQueueRefusesRequestsThenGivesThePeerUp",
     a_full_queue_refuses_requests_then_gives_the_peer_up, true},
    {"AQueueDrainsWhenTheReaderGoesOn", a_queue_drains_when_the_reader_goes_on, true},
    {"ABlockedConnectionTakesFramesFromEverybody", a_blocked_connection_takes_frames_from_everybody,
     true},
    {"SendersOnAndOffTheShardAreAccountedExactly",
     senders_on_and_off_the_shard_are_accounted_exactly, true},
    {"UnwrittenFramesNeverLeft", unwritten_frames_never_left, true},
    {"ANodeWithoutRoomRefusesLargeFramesOnly", a_node_without_room_refuses_large_frames_only, true},
    {"ALargeFrameWithoutRoomArrivesWithoutItsPayload",
     a_large_frame_without_room_arrives_without_its_payload, true},
    {"ALargePayloadIsChargedUntilNobodyKeepsIt", a_large_payload_is_charged_until_nobody_keeps_it,
     true},
    {"AQueueGivesBackWhatItWasCharged", a_queue_gives_back_what_it_was_charged, true},
};

}  // namespace queue_scenarios_detail

std::span<const Scenario> queue_scenarios() { return queue_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
