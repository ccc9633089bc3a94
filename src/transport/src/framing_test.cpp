// SPDX-License-Identifier: Apache-2.0
// The bytes of frames, and what the parser refuses.

#include <velo/transport/framing.hpp>

#include <velo/transport/limits.hpp>
#include <velo/transport/transport.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {
namespace framing_test {

using Status = FrameParser::Status;

static std::vector<std::byte> encoded(const OutFrame& frame) {
  std::vector<std::byte> out(encoded_bytes(frame));
  EXPECT_EQ(encode_frame(out, frame), out.size());
  return out;
}

static std::vector<std::byte> preamble(unsigned version, unsigned type, std::uint32_t header,
                                       std::uint32_t payload) {
  std::vector<std::byte> out;
  auto put = [&](std::uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  put(version, 2);
  put(type, 1);
  put(header, 4);
  put(payload, 4);
  return out;
}

static FrameFault fault_of(ByteSpan bytes) {
  FrameParser parser(bytes);
  EXPECT_EQ(parser.next(), Status::malformed);
  EXPECT_EQ(parser.next(), Status::malformed);
  return parser.fault();
}

}  // namespace framing_test

using namespace framing_test;  // NOLINT(google-build-using-namespace)

TEST(Framing, WritesTheBytesOfThePublicProtocol) {
  const OutFrame frame(FrameType::ack, as_bytes("hd"), as_bytes("pay"));
  const std::string_view expected("\x00\x01\x02\x00\x00\x00\x02\x00\x00\x00\x03hdpay", 16);
  EXPECT_EQ(as_text(encoded(frame)), expected);
}

TEST(Framing, FindsEveryFrameOfABufferInPlace) {
  std::vector<std::byte> buffer = encoded({FrameType::message, as_bytes("h1"), as_bytes("p1")});
  const auto second = encoded({FrameType::shutting_down, {}, ByteSpan()});
  buffer.insert(buffer.end(), second.begin(), second.end());
  FrameParser parser(buffer);
  ASSERT_EQ(parser.next(), Status::frame);
  EXPECT_EQ(parser.type(), FrameType::message);
  EXPECT_EQ(as_text(parser.header()), "h1");
  EXPECT_EQ(as_text(parser.payload()), "p1");
  EXPECT_EQ(parser.payload().data(), buffer.data() + 13);
  ASSERT_EQ(parser.next(), Status::frame);
  EXPECT_EQ(parser.type(), FrameType::shutting_down);
  EXPECT_TRUE(parser.header().empty());
  EXPECT_TRUE(parser.payload().empty());
  EXPECT_EQ(parser.next(), Status::incomplete);
  EXPECT_TRUE(parser.rest().empty());
  EXPECT_EQ(parser.missing_bytes(), preamble_bytes);
}

TEST(Framing, SaysHowManyBytesAnIncompleteFrameNeeds) {
  const auto whole = encoded({FrameType::event, as_bytes("head"), as_bytes("payload")});
  for (std::size_t have = 0; have < whole.size(); ++have) {
    FrameParser parser(ByteSpan(whole).first(have));
    ASSERT_EQ(parser.next(), Status::incomplete);
    if (have < preamble_bytes) {
      EXPECT_EQ(parser.frame_bytes(), 0U);
      EXPECT_EQ(parser.missing_bytes(), preamble_bytes - have);
    } else {
      EXPECT_EQ(parser.frame_bytes(), whole.size());
      EXPECT_EQ(parser.missing_bytes(), whole.size() - have);
    }
  }
}

TEST(Framing, RefusesAWrongByteAsSoonAsItIsThere) {
  const std::array<std::byte, 1> http{std::byte{'G'}};
  EXPECT_EQ(fault_of(http), FrameFault::version);
  EXPECT_EQ(fault_of(ByteSpan(preamble(2, 0, 0, 0)).first(2)), FrameFault::version);
  EXPECT_EQ(fault_of(ByteSpan(preamble(1, 5, 0, 0)).first(3)), FrameFault::type);
  EXPECT_EQ(fault_of(preamble(1, 255, 0, 0)), FrameFault::type);
}

TEST(Framing, RefusesLengthsOverTheLimits) {
  const auto header_max = static_cast<std::uint32_t>(limits::header_bytes_max);
  const auto frame_max = static_cast<std::uint32_t>(velo::limits::frame_bytes_max);
  EXPECT_EQ(fault_of(preamble(1, 0, header_max, 0)), FrameFault::header_length);
  EXPECT_EQ(fault_of(preamble(1, 0, UINT32_MAX, UINT32_MAX)), FrameFault::header_length);
  EXPECT_EQ(fault_of(preamble(1, 0, 0, frame_max + 1)), FrameFault::frame_length);
  EXPECT_EQ(fault_of(preamble(1, 0, 1, frame_max)), FrameFault::frame_length);
  EXPECT_EQ(fault_of(preamble(1, 0, 1, UINT32_MAX)), FrameFault::frame_length);
  const auto allowed = preamble(1, 0, 1, frame_max - 1);
  FrameParser largest(allowed);
  EXPECT_EQ(largest.next(), Status::incomplete);
  EXPECT_EQ(largest.frame_bytes(), preamble_bytes + frame_max);
}

TEST(Framing, FaultsAreTypedErrors) {
  EXPECT_TRUE(make_error(FrameFault::version).is(Errc::malformed_frame));
  EXPECT_TRUE(make_error(FrameFault::type).is(Errc::malformed_frame));
  EXPECT_TRUE(make_error(FrameFault::header_length).is(Errc::malformed_frame));
  EXPECT_TRUE(make_error(FrameFault::frame_length).is(Errc::frame_too_large));
  EXPECT_EQ(make_error(Errc::peer_too_slow, "x").to_string(), "transport.peer_too_slow: x");
}

}  // namespace velo::transport
