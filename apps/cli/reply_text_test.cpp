// SPDX-License-Identifier: Apache-2.0
// Answers of unknown type.

#include "reply_text.hpp"

#include <velo/codec/json_value.hpp>

#include <gtest/gtest.h>

namespace velo::cli::reply_text_test {

using Kind = ReplyText::Kind;

static ReplyText shown(std::string_view reply, bool typed) {
  return reply_text(as_bytes(reply), typed);
}

TEST(ReplyText, PrintableUtf8IsText) {
  EXPECT_EQ(shown("hello\nworld\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", false).kind, Kind::text);
  EXPECT_EQ(shown("", false).kind, Kind::empty);
  EXPECT_EQ(shown("", true).kind, Kind::empty);
}

TEST(ReplyText, ControlCharactersAndBrokenUtf8AreNot) {
  // None of them is MessagePack either.
  EXPECT_EQ(shown("a\x1b[31m", false).kind, Kind::hex);
  EXPECT_EQ(shown("\xc3(", false).content, "c328");
  EXPECT_EQ(shown("\xed\xa0\x80x", false).kind, Kind::hex);
  EXPECT_EQ(shown("\xc0\xaf", false).kind, Kind::hex);
  EXPECT_EQ(shown("\xf4\x90\x80\x80", false).kind, Kind::hex);
}

TEST(ReplyText, MessagePackBecomesJson) {
  const auto packed = json_to_msgpack(R"({"sum":3,"list":[1,null]})");
  ASSERT_TRUE(packed);
  for (const bool typed : {false, true}) {
    const ReplyText text = reply_text(packed->span(), typed);
    EXPECT_EQ(text.kind, Kind::json);
    EXPECT_EQ(text.content, R"({"sum":3,"list":[1,null]})");
  }
}

TEST(ReplyText, OneLetterIsTextUnlessTheCallWasTyped) {
  EXPECT_EQ(shown("a", false).kind, Kind::text);
  EXPECT_EQ(shown("a", true).content, "97");
  EXPECT_EQ(shown("hello", true).kind, Kind::text);
}

TEST(ReplyText, JsonOfAPeerWithoutMessagePackIsJson) {
  EXPECT_EQ(shown(R"({ "sum": 3 })", true).kind, Kind::json);
  EXPECT_EQ(shown(R"({ "sum": 3 })", true).content, R"({"sum":3})");
  EXPECT_EQ(shown("[no json", false).kind, Kind::text);
  EXPECT_EQ(shown("12", false).kind, Kind::text);
}

}  // namespace velo::cli::reply_text_test
