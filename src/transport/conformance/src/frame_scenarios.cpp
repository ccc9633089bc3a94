// SPDX-License-Identifier: Apache-2.0
// Scenarios of frames that arrive: contents, sizes, order.

#include "scenario.hpp"
#include "stage.hpp"

#include <velo/base/limits.hpp>
#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <string>
#include <vector>

namespace velo::transport::conformance {
namespace frame_scenarios_detail {

static std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

static void frames_pass_both_ways(Stage& stage) {
  auto [client, server] = stage.connect();
  EXPECT_EQ(client.send(FrameType::message, "ask", "question").admission, Admission::accepted);
  EXPECT_EQ(server.send(FrameType::response, "answer", "reply").admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(1));
  ASSERT_TRUE(client.wait_frames(1));
  EXPECT_EQ(server.frames[0].type, FrameType::message);
  EXPECT_EQ(server.frames[0].header, "ask");
  EXPECT_EQ(server.frames[0].payload.text(), "question");
  EXPECT_EQ(client.frames[0].type, FrameType::response);
  EXPECT_EQ(client.frames[0].header, "answer");
  EXPECT_EQ(client.frames[0].payload.text(), "reply");
  EXPECT_EQ(client.connection->transport_key(), stage.transport(0).key());
  EXPECT_FALSE(client.connection->remote().empty());
}

static void every_frame_type_arrives_with_empty_parts(Stage& stage) {
  auto [client, server] = stage.connect();
  for (unsigned type = 0; type < frame_type_count; ++type) {
    client.send(static_cast<FrameType>(type), "", "");
    client.send(static_cast<FrameType>(type), "h", "");
    client.send(static_cast<FrameType>(type), "", "p");
  }
  ASSERT_TRUE(server.wait_frames(std::size_t{3} * frame_type_count));
  for (std::size_t i = 0; i < server.frames.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(server.frames[i].type), i / 3);
    EXPECT_EQ(server.frames[i].header, i % 3 == 1 ? "h" : "");
    EXPECT_EQ(server.frames[i].payload.text(), i % 3 == 2 ? "p" : "");
  }
}

static void the_largest_frame_passes_and_one_byte_more_is_refused(Stage& stage) {
  auto [client, server] = stage.connect();
  std::string contents(velo::limits::frame_bytes_max, '\0');
  for (std::size_t i = 0; i < contents.size(); i += 4096) contents[i] = static_cast<char>(i >> 12);
  const Bytes payload = Bytes::own(std::move(contents));
  EXPECT_EQ(client.send(FrameType::message, "h", payload).admission, Admission::too_large);
  EXPECT_EQ(client.send(FrameType::message, "h", payload.slice(1)).admission, Admission::accepted);
  EXPECT_EQ(client.send(FrameType::message, "", payload).admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(2));
  EXPECT_TRUE(server.frames[0].payload == payload.slice(1));
  EXPECT_TRUE(server.frames[1].payload == payload);
}

static void a_header_over_the_limit_is_refused(Stage& stage) {
  auto [client, server] = stage.connect();
  const std::string header(limits::header_bytes_max, 'h');
  EXPECT_EQ(client.send(FrameType::message, header, "").admission, Admission::too_large);
  const std::string_view longest = std::string_view(header).substr(1);
  EXPECT_EQ(client.send(FrameType::message, longest, "p").admission, Admission::accepted);
  ASSERT_TRUE(server.wait_frames(1));
  EXPECT_EQ(server.frames[0].header, longest);
  EXPECT_EQ(server.frames[0].payload.text(), "p");
}

static void one_senders_frames_keep_their_order(Stage& stage) {
  auto [client, server] = stage.connect();
  constexpr std::size_t count = 5000;
  const std::string large(20'000, 'x');
  const Bytes shared = Bytes::copy(large);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string header = std::to_string(i);
    // Small, copied large, shared large.
    if (i % 100 == 50) {
      client.send(FrameType::message, header, large);
    } else if (i % 100 == 99) {
      client.send(FrameType::message, header, shared);
    } else {
      client.send(FrameType::message, header, "p");
    }
  }
  ASSERT_TRUE(server.wait_frames(count));
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(number(server.frames[i].header), i);
    ASSERT_EQ(server.frames[i].payload.size(), i % 100 == 50 || i % 100 == 99 ? 20'000U : 1U);
  }
}

static void each_of_concurrent_senders_keeps_its_order(Stage& stage) {
  auto [client, server] = stage.connect();
  constexpr std::size_t senders = 8;
  constexpr std::size_t count = 2000;
  const Bytes shared = Bytes::own(std::string(17'000, 's'));
  std::atomic<std::size_t> refused{0};
  stage.driver().concurrently(senders, count, [&](std::size_t sender, std::size_t i) {
    const std::string header = std::to_string(sender) + " " + std::to_string(i);
    const SendResult result = i % 500 == 499 ? client.send(FrameType::message, header, shared)
                                             : client.send(FrameType::message, header, "payload");
    if (result.admission != Admission::accepted) ++refused;
  });
  EXPECT_EQ(refused.load(), 0U);
  ASSERT_TRUE(server.wait_frames(senders * count));
  std::array<std::size_t, senders> next{};
  for (const Received& frame : server.frames) {
    const std::size_t sender = number(frame.header);
    const std::size_t i = number(std::string_view(frame.header).substr(2));
    ASSERT_EQ(i, next.at(sender)++);
    ASSERT_EQ(frame.payload.size(), i % 500 == 499 ? 17'000U : 7U);
  }
}

static void a_frame_accepted_before_another_send_arrives_first(Stage& stage) {
  auto [client, server] = stage.connect();
  // Alternates between the test's thread and the shard, so that the write right changes hands.
  constexpr std::size_t rounds = 300;
  std::size_t sent = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    client.send(FrameType::message, std::to_string(sent++), "");
    client.on_shard([&client, &sent] {
      client.send(FrameType::message, std::to_string(sent++), "");
      client.send(FrameType::message, std::to_string(sent++), "");
    });
  }
  ASSERT_TRUE(server.wait_frames(sent));
  for (std::size_t i = 0; i < sent; ++i) ASSERT_EQ(number(server.frames[i].header), i);
}

static void replies_sent_while_a_frame_is_handled_arrive(Stage& stage) {
  constexpr std::size_t rounds = 1000;
  stage.prepare_server = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame& frame) {
      connection.send({FrameType::response, frame.header(), frame.payload()});
    };
  };
  stage.prepare_client = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame& frame) {
      const std::size_t next = number(as_text(frame.header())) + 1;
      const std::string header = std::to_string(next);
      if (next < rounds) connection.send({FrameType::message, as_bytes(header), frame.payload()});
    };
  };
  auto [client, server] = stage.connect();
  client.send(FrameType::message, "0", "ping");
  ASSERT_TRUE(client.wait_frames(rounds));
  for (std::size_t i = 0; i < rounds; ++i) ASSERT_EQ(number(client.frames[i].header), i);
}

static void bursts_from_inside_a_handler_keep_their_order(Stage& stage) {
  constexpr std::size_t burst = 3000;
  stage.prepare_server = [](Party& party) {
    party.frame_hook = [](Connection& connection, const InFrame&) {
      for (std::size_t i = 0; i < burst; ++i) {
        const std::string header = std::to_string(i);
        connection.send({FrameType::response, as_bytes(header), as_bytes("some payload")});
      }
    };
  };
  auto [client, server] = stage.connect();
  client.send(FrameType::message, "go", "");
  client.send(FrameType::message, "go", "");
  ASSERT_TRUE(client.wait_frames(2 * burst));
  for (std::size_t i = 0; i < 2 * burst; ++i) ASSERT_EQ(number(client.frames[i].header), i % burst);
}

static void large_frames_pass_both_ways_at_once(Stage& stage) {
  auto [client, server] = stage.connect();
  constexpr std::size_t count = 64;
  const Bytes payload = Bytes::own(std::string(std::size_t{256} << 10, 'L'));
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(client.send(FrameType::message, std::to_string(i), payload).admission,
              Admission::accepted);
    EXPECT_EQ(server.send(FrameType::response, std::to_string(i), payload).admission,
              Admission::accepted);
  }
  ASSERT_TRUE(server.wait_frames(count));
  ASSERT_TRUE(client.wait_frames(count));
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(number(server.frames[i].header), i);
    ASSERT_EQ(number(client.frames[i].header), i);
    ASSERT_TRUE(server.frames[i].payload == payload);
    ASSERT_TRUE(client.frames[i].payload == payload);
  }
}

static void retaining_a_large_payload_does_not_copy_it(Stage& stage) {
  std::atomic<bool> shared{false};
  const Curtain curtain(stage);
  stage.prepare_server = [&shared](Party& party) {
    party.frame_hook = [&shared](Connection&, const InFrame& frame) {
      shared.store(frame.retain_payload().data() == frame.payload().data());
    };
  };
  auto [client, server] = stage.connect();
  client.send(FrameType::message, "", Bytes::own(std::string(std::size_t{1} << 20, 'b')));
  ASSERT_TRUE(server.wait_frames(1));
  ASSERT_TRUE(stage.wait([&] { return shared.load(); }));
}

constexpr Scenario scenarios[] = {
    {"FramesPassBothWays", frames_pass_both_ways, false},
    {"EveryFrameTypeArrivesWithEmptyParts", every_frame_type_arrives_with_empty_parts, false},
    {"TheLargestFramePassesAndOneByteMoreIsRefused",
     the_largest_frame_passes_and_one_byte_more_is_refused, false},
    {"AHeaderOverTheLimitIsRefused", a_header_over_the_limit_is_refused, false},
    {"OneSendersFramesKeepTheirOrder", one_senders_frames_keep_their_order, false},
    {"EachOfConcurrentSendersKeepsItsOrder", each_of_concurrent_senders_keeps_its_order, false},
    {"AFrameAcceptedBeforeAnotherSendArrivesFirst",
     a_frame_accepted_before_another_send_arrives_first, false},
    {"RepliesSentWhileAFrameIsHandledArrive", replies_sent_while_a_frame_is_handled_arrive, false},
    {"BurstsFromInsideAHandlerKeepTheirOrder", bursts_from_inside_a_handler_keep_their_order,
     false},
    {"LargeFramesPassBothWaysAtOnce", large_frames_pass_both_ways_at_once, false},
    {"RetainingALargePayloadDoesNotCopyIt", retaining_a_large_payload_does_not_copy_it, false},
};

}  // namespace frame_scenarios_detail

std::span<const Scenario> frame_scenarios() { return frame_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
