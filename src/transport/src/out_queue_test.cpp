// SPDX-License-Identifier: Apache-2.0
// The outgoing queues: bytes in order however they are written, large payloads shared.

#include "out_queue.hpp"
#include "side_queue.hpp"

#include <velo/transport/framing.hpp>

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <utility>

namespace velo::transport {
namespace out_queue_test {

static void expect_frame(std::string& stream, const OutFrame& frame) {
  std::string encoded(encoded_bytes(frame), '\0');
  encode_frame(std::as_writable_bytes(std::span(encoded)), frame);
  stream += encoded;
}

/// Takes at most `count` bytes off the queue, as a write would.
static void write(OutQueue& queue, std::string& written, std::size_t count) {
  std::array<iovec, 64> vectors;
  const std::size_t used = queue.gather(vectors);
  std::size_t taken = 0;
  for (std::size_t i = 0; i < used && taken < count; ++i) {
    const std::size_t part = std::min(vectors[i].iov_len, count - taken);
    written.append(static_cast<const char*>(vectors[i].iov_base), part);
    taken += part;
  }
  queue.consume(taken);
}

static OutFrame random_frame(std::mt19937& random, const std::string& text, const Bytes& owner) {
  const std::size_t sizes[] = {0, 5, 64, 3000, 16'383, 16'384, 100'000};
  const std::size_t size = sizes[random() % std::size(sizes)];
  const std::size_t header = random() % 200;
  OutFrame frame(FrameType::message, as_bytes(text).subspan(random() % 100, header),
                 owner.span().subspan(random() % 100, size));
  if (random() % 2 == 0) frame.owner = &owner;
  return frame;
}

}  // namespace out_queue_test

using namespace out_queue_test;  // NOLINT(google-build-using-namespace)

TEST(OutQueue, WritesWhatWasAppendedInOrder) {
  std::mt19937 random(3);
  std::string text(200'000, '\0');
  for (char& c : text) c = static_cast<char>(random());
  const Bytes owner = Bytes::copy(text);
  BlockPool pool;
  OutQueue queue(pool);
  std::string expected;
  std::string written;
  for (int round = 0; round < 3000; ++round) {
    if (random() % 2 == 0) {
      const OutFrame frame = random_frame(random, text, owner);
      expect_frame(expected, frame);
      queue.append(frame);
    } else {
      write(queue, written, 1 + random() % 100'000);
    }
    ASSERT_EQ(queue.bytes(), expected.size() - written.size());
  }
  while (!queue.empty()) write(queue, written, 100'000);
  EXPECT_TRUE(written == expected);
}

TEST(OutQueue, CoalescesSmallFramesIntoOneVector) {
  BlockPool pool;
  OutQueue queue(pool);
  for (int i = 0; i < 20; ++i) queue.append({FrameType::ack, as_bytes("header"), as_bytes("p")});
  std::array<iovec, 4> vectors;
  ASSERT_EQ(queue.gather(vectors), 1U);
  EXPECT_EQ(vectors[0].iov_len, queue.bytes());
}

TEST(OutQueue, SharesALargePayloadThatHasAnOwner) {
  BlockPool pool;
  OutQueue queue(pool);
  const Bytes payload = Bytes::own(std::string(limits::shared_payload_bytes_min, 'x'));
  queue.append({FrameType::message, as_bytes("header"), payload});
  std::array<iovec, 4> vectors;
  ASSERT_EQ(queue.gather(vectors), 2U);
  EXPECT_EQ(vectors[1].iov_base, payload.data());
}

TEST(SideQueue, MovesWholeFramesInOrder) {
  std::mt19937 random(5);
  const std::string text(200'000, 't');
  const Bytes owner = Bytes::copy(text);
  BlockPool pool;
  OutQueue queue(pool);
  SideQueue side;
  std::string expected;
  std::string written;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::size_t> ends;
    std::size_t end = 0;
    for (int i = 0; i < 5; ++i) {
      const OutFrame frame = random_frame(random, text, owner);
      expect_frame(expected, frame);
      side.push(frame, OutQueue::share_payload(frame));
      ends.push_back(end += encoded_bytes(frame));
    }
    const std::size_t first = ends[random() % ends.size()];
    side.move_to(queue, first);
    side.move_to(queue, end - first);
    EXPECT_TRUE(side.empty());
    while (!queue.empty()) write(queue, written, 70'000);
  }
  EXPECT_TRUE(written == expected);
}

}  // namespace velo::transport
