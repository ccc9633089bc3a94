// SPDX-License-Identifier: Apache-2.0
// Scenarios of a peer that speaks bytes: fragments, bundles, and what is no frame.

#include "scenario.hpp"
#include "stage.hpp"

#include <velo/base/limits.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace velo::transport::conformance {
namespace stream_scenarios_detail {

static std::string encoded(std::string_view header, std::string_view payload) {
  const OutFrame frame(FrameType::message, as_bytes(header), as_bytes(payload));
  std::string out(encoded_bytes(frame), '\0');
  encode_frame(std::as_writable_bytes(std::span(out)), frame);
  return out;
}

static std::string preamble(std::size_t header_bytes, std::size_t payload_bytes) {
  std::string out(preamble_bytes, '\0');
  encode_preamble(std::as_writable_bytes(std::span(out)).first<preamble_bytes>(),
                  FrameType::message, header_bytes, payload_bytes);
  return out;
}

/// Sends a good frame and then `bytes`: the frame arrives, and the connection ends with `expected`.
static void expect_refusal(Stage& stage, const std::string& bytes, Errc expected) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  peer->write(encoded("good", "frame") + bytes);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(expected)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, 1U);
  EXPECT_TRUE(stage.wait([&] { return peer->ended(); }));
}

static void bytes_one_at_a_time_become_frames(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const std::string payload(300, 'p');
  peer->write(encoded("first", payload) + encoded("", "") + encoded("third", "x"), 1);
  ASSERT_TRUE(server.wait_frames(3));
  EXPECT_EQ(server.frames[0].header, "first");
  EXPECT_EQ(server.frames[0].payload.text(), payload);
  EXPECT_EQ(server.frames[1].header, "");
  EXPECT_EQ(server.frames[2].payload.text(), "x");
}

static void frames_bundled_in_one_write_are_all_delivered(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  std::string bundle;
  constexpr std::size_t count = 2000;
  for (std::size_t i = 0; i < count; ++i) bundle += encoded(std::to_string(i), "payload");
  peer->write(bundle);
  ASSERT_TRUE(server.wait_frames(count));
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(server.frames[i].header, std::to_string(i));
}

static void frames_of_all_sizes_survive_odd_pieces(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  std::string bytes;
  std::vector<std::string> payloads;
  for (const std::size_t size : {0, 10, 16'383, 16'384, 65'525, 65'536, 100'000, 300'000, 7}) {
    payloads.emplace_back(size, static_cast<char>('a' + payloads.size()));
    bytes += encoded("h", payloads.back());
  }
  peer->write(bytes, 7919);
  ASSERT_TRUE(server.wait_frames(payloads.size()));
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    ASSERT_TRUE(server.frames[i].payload.text() == payloads[i]);
  }
}

static void an_unknown_version_ends_the_connection(Stage& stage) {
  expect_refusal(stage, std::string("\0\2", 2), Errc::malformed_frame);
}
static void another_protocol_ends_the_connection(Stage& stage) {
  expect_refusal(stage, "GET / HTTP/1.1\r\n", Errc::malformed_frame);
}
static void an_unknown_type_ends_the_connection(Stage& stage) {
  expect_refusal(stage, std::string("\0\1\5", 3), Errc::malformed_frame);
}
static void a_header_length_over_the_limit_ends_the_connection(Stage& stage) {
  expect_refusal(stage, preamble(limits::header_bytes_max, 0), Errc::malformed_frame);
}
static void a_frame_length_over_the_limit_ends_the_connection(Stage& stage) {
  expect_refusal(stage, preamble(1, velo::limits::frame_bytes_max), Errc::frame_too_large);
}

static void a_peer_that_closes_within_a_frame_loses_the_connection(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const std::string frame = encoded("header", std::string(100'000, 'p'));
  peer->write(encoded("whole", "") + frame.substr(0, frame.size() - 1));
  ASSERT_TRUE(server.wait_frames(1));
  peer->close();
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, 1U);
}

static void a_peer_that_connects_and_leaves_is_lost_quietly(Stage& stage) {
  auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  peer.reset();
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.frame_count, 0U);
}

static void a_reset_ends_the_connection_once(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  const Bytes payload = Bytes::own(std::string(std::size_t{4} << 20, 'r'));
  server.send(FrameType::message, "", payload);
  server.send(FrameType::message, "", payload);
  // The peer leaves what it was sent unread.
  peer->close();
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
  EXPECT_EQ(server.send(FrameType::message, "", "").admission, Admission::closed);
}

static void frames_sent_before_the_peer_closed_are_delivered(Stage& stage) {
  const auto peer = stage.connect_raw();
  Party& server = stage.accepted(0);
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += encoded("h", std::string(500, 'p'));
  peer->write(bytes);
  peer->close();
  ASSERT_TRUE(server.wait_closed());
  EXPECT_EQ(server.frame_count, 1000U);
}

constexpr Scenario scenarios[] = {
    {"BytesOneAtATimeBecomeFrames", bytes_one_at_a_time_become_frames, true},
    {"FramesBundledInOneWriteAreAllDelivered", frames_bundled_in_one_write_are_all_delivered, true},
    {"FramesOfAllSizesSurviveOddPieces", frames_of_all_sizes_survive_odd_pieces, true},
    {"AnUnknownVersionEndsTheConnection", an_unknown_version_ends_the_connection, true},
    {"AnotherProtocolEndsTheConnection", another_protocol_ends_the_connection, true},
    {"AnUnknownTypeEndsTheConnection", an_unknown_type_ends_the_connection, true},
    {"AHeaderLengthOverTheLimitEndsTheConnection",
     a_header_length_over_the_limit_ends_the_connection, true},
    {"AFrameLengthOverTheLimitEndsTheConnection", a_frame_length_over_the_limit_ends_the_connection,
     true},
    {"APeerThatClosesWithinAFrameLosesTheConnection",
     a_peer_that_closes_within_a_frame_loses_the_connection, true},
    {"APeerThatConnectsAndLeavesIsLostQuietly", a_peer_that_connects_and_leaves_is_lost_quietly,
     true},
    {"AResetEndsTheConnectionOnce", a_reset_ends_the_connection_once, true},
    {"FramesSentBeforeThePeerClosedAreDelivered", frames_sent_before_the_peer_closed_are_delivered,
     true},
};

}  // namespace stream_scenarios_detail

std::span<const Scenario> stream_scenarios() { return stream_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
