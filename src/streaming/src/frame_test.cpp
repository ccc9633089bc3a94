// SPDX-License-Identifier: Apache-2.0
// Frames of a stream and handles, as bytes and as text.

#include <velo/streaming/frame.hpp>
#include <velo/streaming/handle.hpp>
#include <velo/streaming/limits.hpp>

#include <velo/codec/hex.hpp>
#include <velo/codec/json.hpp>

#include <gtest/gtest.h>

#include <string>

namespace velo::streaming::frame_test {

static Result<FrameView> parse_hex(std::string_view hex) {
  static std::vector<std::byte> bytes;
  bytes = *codec::from_hex(hex);
  return parse_frame(ByteSpan(bytes));
}

TEST(StreamFrames, AnItemIsItsMessagePackInAnEnvelope) {
  codec::msgpack::Writer writer;
  encode_item(writer, std::string("hi"));
  EXPECT_EQ(codec::to_hex(writer.span()),
            "81a44974656d"
            "a26869");
  const auto view = parse_frame(writer.span());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->kind, FrameKind::item);
  const RawFrame raw(view->kind, 0, Bytes::copy(view->item));
  EXPECT_EQ(typed_frame<std::string>(raw)->item(), "hi");
}

TEST(StreamFrames, EndingsGoByTheirNames) {
  EXPECT_EQ(codec::to_hex(encode_ending(FrameKind::finalized).span()), "a946696e616c697a6564");
  EXPECT_EQ(codec::to_hex(encode_ending(FrameKind::sender_error, "no").span()),
            "81ab53656e6465724572726f72"
            "a26e6f");
  for (const FrameKind kind :
       {FrameKind::sender_error, FrameKind::dropped, FrameKind::detached, FrameKind::finalized,
        FrameKind::heartbeat, FrameKind::transport_error}) {
    const Bytes frame = encode_ending(kind, "why");
    const auto view = parse_frame(frame);
    ASSERT_TRUE(view) << static_cast<int>(kind);
    EXPECT_EQ(view->kind, kind);
  }
}

TEST(StreamFrames, ADroppedSenderMayComeWithAReasonOrNil) {
  EXPECT_EQ(parse_hex("a744726f70706564")->kind, FrameKind::dropped);
  EXPECT_EQ(parse_hex("81a744726f70706564"
                      "c0")
                ->kind,
            FrameKind::dropped);
  EXPECT_EQ(parse_hex("81a744726f70706564"
                      "a26e6f")
                ->text,
            "no");
}

TEST(StreamFrames, AnythingElseIsRefused) {
  for (const char* hex : {"", "81", "a44974656d", "81a44974656d", "c0", "a3666f6f", "93010203",
                          "82a746696e616c697a6564c0a141c0",
                          "a946696e616c697a6564"
                          "c0",
                          "81ab53656e6465724572726f72"
                          "01",
                          "ab53656e6465724572726f72",
                          "81a946696e616c697a6564"
                          "a0",
                          "81a3666f6fc0"}) {
    EXPECT_FALSE(parse_hex(hex)) << hex;
  }
}

TEST(StreamFrames, TextIsCutOffAtItsLimit) {
  const Bytes frame = encode_ending(FrameKind::sender_error, std::string(5'000, 'x'));
  EXPECT_EQ(parse_frame(frame)->text.size(), limits::text_bytes_max);
}

TEST(StreamFrames, WhatIsNoItemAndNoGoodEndIsAnError) {
  const auto error = [](FrameKind kind) {
    return typed_frame<int>(RawFrame(kind, 0, Bytes::copy("why"))).error();
  };
  EXPECT_TRUE(error(FrameKind::sender_error).is(Errc::sender_error));
  EXPECT_TRUE(error(FrameKind::dropped).is(Errc::sender_dropped));
  EXPECT_TRUE(error(FrameKind::transport_error).is(Errc::transport_error));
  EXPECT_EQ(error(FrameKind::sender_error).context(), "why");
  EXPECT_TRUE(typed_frame<int>(RawFrame(FrameKind::finalized, 0, {}))->finalized());
  EXPECT_TRUE(typed_frame<int>(RawFrame(FrameKind::detached, 0, {}))->detached());
  const auto wrong = typed_frame<int>(RawFrame(FrameKind::item, 0, Bytes::of_static("\xa1x")));
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().is(Errc::undecodable));
}

TEST(StreamAnchorHandles, TravelAsHighAndLowAndAsText) {
  const StreamAnchorHandle handle(WorkerId(0x0123456789abcdef), StreamAnchorHandle::many_bit | 5);
  EXPECT_EQ(handle.to_string(), "0123456789abcdef8000000000000005");
  EXPECT_EQ(*StreamAnchorHandle::parse(handle.to_string()), handle);
  EXPECT_TRUE(handle.many_to_one());
  EXPECT_EQ(codec::to_json(handle), R"({"hi":81985529216486895,"lo":9223372036854775813})");
  EXPECT_EQ(*codec::from_msgpack<StreamAnchorHandle>(codec::to_msgpack(handle)), handle);
  for (const char* text :
       {"", "0123", "0123456789abcdef800000000000000g", "00000000000000000000000000000005",
        "01234567890123450000000000000000"}) {
    EXPECT_FALSE(StreamAnchorHandle::parse(text)) << text;
  }
}

TEST(StreamErrors, HaveNames) {
  EXPECT_EQ(error_code_name(error_code(Errc::already_attached)), "streaming.already_attached");
  EXPECT_EQ(error_code_name(error_code(Errc::no_credit)), "streaming.no_credit");
}

}  // namespace velo::streaming::frame_test
