// SPDX-License-Identifier: Apache-2.0
// Reassembly: whatever the fragmentation, the same frames come out, and little is kept between
// turns.

#include <velo/transport/frame_reader.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace velo::transport {
namespace frame_reader_test {

struct Received {
  FrameType type;
  std::string header;
  std::string payload;
  bool shared;

  friend bool operator==(const Received& a, const Received& b) {
    return a.type == b.type && a.header == b.header && a.payload == b.payload;
  }
};

/// Feeds a stream to a reader as a connection would, in turns and reads of the given sizes.
class Feeder {
 public:
  std::vector<Received> received;
  std::shared_ptr<MemoryBudget> budget = std::make_shared<MemoryBudget>();
  FrameReader reader{budget};
  std::size_t held_bytes_max = 0;
  std::vector<std::size_t> dropped;  ///< of each frame

  /// One turn with reads of at most `read_bytes`.
  FrameFault turn(ByteSpan bytes, std::size_t read_bytes) {
    std::fill(scratch_.begin(), scratch_.end(), std::byte{0xee});
    reader.begin(scratch_);
    while (!bytes.empty()) {
      const std::span<std::byte> space = reader.space();
      EXPECT_FALSE(space.empty());
      const std::size_t count = std::min({bytes.size(), read_bytes, space.size()});
      std::copy_n(bytes.begin(), count, space.begin());
      bytes = bytes.subspan(count);
      const FrameFault fault = reader.commit(count, [&](const InFrame& frame) {
        const Bytes kept = frame.retain_payload();
        received.push_back({frame.type(), std::string(as_text(frame.header())), kept.to_string(),
                            kept.data() == frame.payload().data()});
        dropped.push_back(frame.dropped_bytes());
        return true;
      });
      if (fault != FrameFault::none) return fault;
    }
    reader.park();
    held_bytes_max = std::max(held_bytes_max, reader.held_bytes());
    return FrameFault::none;
  }

 private:
  std::vector<std::byte> scratch_ = std::vector<std::byte>(limits::read_buffer_bytes);
};

static void add(std::vector<std::byte>& stream, std::vector<Received>& expected, FrameType type,
                const std::string& header, const std::string& payload) {
  const OutFrame frame(type, as_bytes(header), as_bytes(payload));
  const std::size_t at = stream.size();
  stream.resize(at + encoded_bytes(frame));
  encode_frame(std::span(stream).subspan(at), frame);
  expected.push_back({type, header, payload, false});
}

}  // namespace frame_reader_test

using namespace frame_reader_test;  // NOLINT(google-build-using-namespace)

TEST(FrameReader, DeliversTheSameFramesWhateverTheFragmentation) {
  std::mt19937 random(7);
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  const std::size_t sizes[] = {0, 1, 11, 64, 4000, 16'384, 20'000, 65'536, 70'000, 300'000};
  for (int i = 0; i < 60; ++i) {
    add(stream, expected, static_cast<FrameType>(random() % frame_type_count),
        std::string(random() % 80, 'h'),
        std::string(sizes[random() % std::size(sizes)], static_cast<char>('a' + i % 26)));
  }
  for (const std::size_t turn_bytes : {1000UL, 65'537UL, 262'144UL, 1'000'000UL}) {
    for (const std::size_t read_bytes : {77UL, 16'000UL, 300'000UL}) {
      Feeder feeder;
      for (std::size_t at = 0; at < stream.size();) {
        const std::size_t count = std::min(stream.size() - at, 1 + random() % turn_bytes);
        ASSERT_EQ(feeder.turn(ByteSpan(stream).subspan(at, count), read_bytes), FrameFault::none);
        at += count;
      }
      EXPECT_TRUE(feeder.received == expected);
      EXPECT_LE(feeder.reader.held_bytes(), 512U);
    }
  }
}

TEST(FrameReader, WithoutRoomSkipsLargePayloadsOnlyWhateverTheFragmentation) {
  std::mt19937 random(11);
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  const std::size_t sizes[] = {0, 11, 4000, 15'000, 20'000, 65'536, 70'000, 300'000};
  for (int i = 0; i < 60; ++i) {
    add(stream, expected, static_cast<FrameType>(random() % frame_type_count),
        std::string(random() % 5 == 0 ? 70'000 : random() % 80, 'h'),
        std::string(sizes[random() % std::size(sizes)], static_cast<char>('a' + i % 26)));
  }
  for (const std::size_t turn_bytes : {1000UL, 65'537UL, 1'000'000UL}) {
    for (const std::size_t read_bytes : {77UL, 16'000UL, 300'000UL}) {
      Feeder feeder;
      feeder.budget->take(feeder.budget->bytes_max());
      for (std::size_t at = 0; at < stream.size();) {
        const std::size_t count = std::min(stream.size() - at, 1 + random() % turn_bytes);
        ASSERT_EQ(feeder.turn(ByteSpan(stream).subspan(at, count), read_bytes), FrameFault::none);
        at += count;
      }
      ASSERT_EQ(feeder.received.size(), expected.size());
      EXPECT_TRUE(std::any_of(feeder.dropped.begin(), feeder.dropped.end(),
                              [](std::size_t bytes) { return bytes != 0; }));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        Received whole = feeder.received[i];
        if (feeder.dropped[i] != 0) {
          EXPECT_EQ(feeder.dropped[i], expected[i].payload.size());
          EXPECT_EQ(whole.payload, "");
          EXPECT_GT(whole.header.size() + feeder.dropped[i], 16'000U);
          whole.payload = expected[i].payload;
        }
        ASSERT_TRUE(whole == expected[i]) << i;
      }
      EXPECT_LE(feeder.held_bytes_max, 100'000U);
      EXPECT_EQ(feeder.budget->used(), feeder.budget->bytes_max());
    }
  }
}

TEST(FrameReader, ReassemblesFromSingleBytes) {
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  add(stream, expected, FrameType::message, "header", "payload");
  add(stream, expected, FrameType::response, "", std::string(20'000, 'x'));
  add(stream, expected, FrameType::ack, "", "");
  Feeder feeder;
  for (std::size_t at = 0; at < stream.size(); ++at) {
    ASSERT_EQ(feeder.turn(ByteSpan(stream).subspan(at, 1), 1), FrameFault::none);
  }
  EXPECT_TRUE(feeder.received == expected);
}

TEST(FrameReader, HoldsNoMoreThanThePartialFrameBetweenTurns) {
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  add(stream, expected, FrameType::message, "header", std::string(100, 'p'));
  const std::size_t one = stream.size();
  add(stream, expected, FrameType::message, "header", std::string(100, 'p'));
  Feeder feeder;
  ASSERT_EQ(feeder.turn(ByteSpan(stream).first(one), one), FrameFault::none);
  EXPECT_EQ(feeder.reader.held_bytes(), 0U);
  ASSERT_EQ(feeder.turn(ByteSpan(stream).subspan(one, 50), 50), FrameFault::none);
  EXPECT_LE(feeder.reader.held_bytes(), 100U);
}

TEST(FrameReader, ReadsALargeFrameIntoABlockThatRetainingShares) {
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  add(stream, expected, FrameType::message, "header", std::string(1'000'000, 'p'));
  add(stream, expected, FrameType::message, "header", "small");
  Feeder feeder;
  ASSERT_EQ(feeder.turn(stream, 200'000), FrameFault::none);
  ASSERT_TRUE(feeder.received == expected);
  EXPECT_TRUE(feeder.received[0].shared);
  EXPECT_FALSE(feeder.received[1].shared);
}

TEST(FrameReader, AllocatesNothingForAFrameThatIsTooLarge) {
  std::vector<std::byte> stream(preamble_bytes);
  encode_preamble(std::span<std::byte, preamble_bytes>(stream.data(), preamble_bytes),
                  FrameType::message, 0, velo::limits::frame_bytes_max + 1);
  Feeder feeder;
  EXPECT_EQ(feeder.turn(stream, stream.size()), FrameFault::frame_length);
  EXPECT_EQ(feeder.reader.held_bytes(), 0U);
}

TEST(FrameReader, StopsWhenTheReceiverSaysSo) {
  std::vector<std::byte> stream;
  std::vector<Received> expected;
  add(stream, expected, FrameType::message, "1", "");
  add(stream, expected, FrameType::message, "2", "");
  FrameReader reader{std::make_shared<MemoryBudget>()};
  std::vector<std::byte> scratch(limits::read_buffer_bytes);
  reader.begin(scratch);
  std::copy(stream.begin(), stream.end(), reader.space().begin());
  int delivered = 0;
  EXPECT_EQ(reader.commit(stream.size(),
                          [&](const InFrame&) {
                            ++delivered;
                            return false;
                          }),
            FrameFault::none);
  EXPECT_EQ(delivered, 1);
}

}  // namespace velo::transport
