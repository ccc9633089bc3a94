// SPDX-License-Identifier: Apache-2.0
// Documents of unknown shape, and translation between the formats.

#include <velo/codec/hex.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/msgpack.hpp>

#include <gtest/gtest.h>

#include "codec_samples.hpp"

namespace velo::codec::json_value_test {

TEST(JsonValue, KeepsTheOrderAndTheExactNumbersOfADocument) {
  const std::string text =
      R"({"z":1,"a":[true,null,-5,1.5,"t",{}],"big":340282366920938463463374607431768211455})";
  const Result<JsonValue> value = JsonValue::parse(text);
  ASSERT_TRUE(value) << value.error().to_string();
  EXPECT_EQ(value->dump(), text);
  EXPECT_EQ(value->find("z")->to_int64(), 1);
  EXPECT_EQ(value->find("a")->if_array()->at(2).to_int64(), -5);
  EXPECT_EQ(value->find("a")->if_array()->at(3).to_double(), 1.5);
  EXPECT_EQ(value->find("big")->to_int64(), std::nullopt);
  EXPECT_EQ(value->find("none"), nullptr);
  EXPECT_EQ(JsonValue::parse(value->dump(JsonStyle::pretty)).value(), *value);
}

TEST(JsonValue, IsBuiltPieceByPiece) {
  JsonValue value;
  EXPECT_TRUE(value.is_null());
  value.set("name", JsonValue("velo"));
  value.set("sizes", JsonValue());
  value.set("name", JsonValue(std::int64_t{-9}));
  JsonValue list;
  list.push_back(JsonValue(1.0));
  list.push_back(JsonValue(true));
  value.set("sizes", list);
  EXPECT_EQ(value.dump(), R"({"name":-9,"sizes":[1.0,true]})");
  EXPECT_EQ(value.kind(), Kind::map);
}

TEST(JsonValue, OfDuplicateKeysTheLastWins) {
  EXPECT_EQ(JsonValue::parse(R"({"a":1,"b":2,"a":3,"c":4,"a":5})")->dump(),
            R"({"b":2,"c":4,"a":5})");
}

TEST(JsonValue, ManyDuplicateKeysCostNoQuadraticTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"k" + std::to_string(i % 100000) + "\":1,";
  text.back() = '}';
  EXPECT_EQ(JsonValue::parse(text)->if_object()->size(), 100000U);
}

TEST(JsonValue, NestingBeyondTheLimitIsRefused) {
  const Result<JsonValue> bomb = JsonValue::parse(std::string(100000, '['));
  ASSERT_FALSE(bomb);
  EXPECT_TRUE(bomb.error().is(Errc::too_deep));
  const std::string deepest = std::string(depth_max, '[') + std::string(depth_max, ']');
  EXPECT_TRUE(JsonValue::parse(deepest));
}

TEST(JsonValue, IsAMemberLikeAnyOther) {
  const std::vector<JsonValue> values{JsonValue(1.5), JsonValue("x")};
  EXPECT_EQ(to_json(values), R"([1.5,"x"])");
  EXPECT_EQ(*from_msgpack<std::vector<JsonValue>>(to_msgpack(values)), values);
}

TEST(JsonValue, MessagePackBecomesJson) {
  EXPECT_EQ(*msgpack_to_json(to_msgpack(samples::Peer{"n", 80, std::nullopt})),
            R"({"name":"n","port":80,"zone":null})");
  // {1: bin, -1: ext}, and a whole number that is a double
  EXPECT_EQ(*msgpack_to_json(ByteSpan(*from_hex("8201c40200ffffd40541"))),
            R"({"1":"AP8=","-1":{"type":5,"data":"QQ=="}})");
  EXPECT_EQ(*msgpack_to_json(ByteSpan(*from_hex("cb4000000000000000"))), "2.0");
  EXPECT_FALSE(msgpack_to_json(ByteSpan(*from_hex("81c001"))));
  EXPECT_EQ(*msgpack_to_json(to_msgpack(std::vector<int>{1}), JsonStyle::pretty), "[\n  1\n]");
}

TEST(JsonValue, JsonBecomesMessagePack) {
  EXPECT_EQ(to_hex(*json_to_msgpack(R"({"a":[1,-1,1.5,null,true,"x"]})")),
            "81a1619601ffcb3ff8000000000000c0c3a178");
  EXPECT_EQ(to_hex(*json_to_msgpack("18446744073709551615")), "cfffffffffffffffff");
  EXPECT_EQ(to_hex(*json_to_msgpack("-9223372036854775808")), "d38000000000000000");
  EXPECT_EQ(to_hex(*json_to_msgpack("18446744073709551616")),
            "c41000000000000000010000000000000000");
  EXPECT_FALSE(json_to_msgpack("{"));
  EXPECT_TRUE(from_msgpack<samples::Peer>(*json_to_msgpack(R"({"name":"n","port":80})")));
}

TEST(JsonValue, EverythingCrossesFromOneFormatToTheOther) {
  const samples::Everything all = samples::everything();
  const Result<JsonValue> value = JsonValue::parse(to_json(all));
  ASSERT_TRUE(value);
  EXPECT_EQ(value->dump(), to_json(all));
}

}  // namespace velo::codec::json_value_test
