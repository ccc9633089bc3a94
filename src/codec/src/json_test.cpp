// SPDX-License-Identifier: Apache-2.0
// JSON: text of every kind of value, strictness of the reader, exactness of integers.

#include <velo/codec/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "codec_samples.hpp"

namespace velo::codec::json_test {

template <class T>
static std::string context(std::string_view text) {
  const Result<T> result = from_json<T>(text);
  return result ? "no error" : result.error().context();
}

template <class T>
static bool fails(std::string_view text, Errc code) {
  const Result<T> result = from_json<T>(text);
  return !result && result.error().is(code);
}

TEST(Json, EachKindOfValueHasItsText) {
  EXPECT_EQ(to_json(samples::Peer{"n", 80, std::nullopt}), R"({"name":"n","port":80,"zone":null})");
  EXPECT_EQ(to_json(samples::Color::green), R"("green")");
  EXPECT_EQ(to_json(samples::Plain::above), "300");
  EXPECT_EQ(to_json(samples::Shape(samples::Circle{1})), R"({"Circle":{"radius":1.0}})");
  EXPECT_EQ(to_json(samples::Shape(std::int64_t{-4})), R"({"4":-4})");
  EXPECT_EQ(to_json(samples::Shape()), "null");
  EXPECT_EQ(to_json(Bytes::copy("\x00\xff")), R"("")");
  EXPECT_EQ(to_json(Bytes::copy(std::string_view("\x00\xff", 2))), R"("AP8=")");
  EXPECT_EQ(to_json(IntArrayBytes{Bytes::copy("\x01\xff")}), "[1,255]");
  EXPECT_EQ(to_json(std::map<int, bool>{{-1, true}, {2, false}}), R"({"-1":true,"2":false})");
  EXPECT_EQ(to_json(std::make_tuple(1, "two", 3.5)), R"([1,"two",3.5])");
  EXPECT_EQ(to_json(samples::sample_id()), R"("00112233-4455-6677-8899-aabbccddeeff")");
  EXPECT_EQ(to_json(WorkerId(12)), "12");
  EXPECT_EQ(to_json(std::chrono::milliseconds(5)), "5");
  EXPECT_EQ(to_json(std::vector<bool>{true, false}), "[true,false]");
}

TEST(Json, PrettyStyleIndentsByTwoSpaces) {
  EXPECT_EQ(
      to_json(samples::Settings{1, "m", {{"a", 2, std::nullopt}}}, JsonStyle::pretty),
      "{\n  \"retries\": 1,\n  \"mode\": \"m\",\n  \"peers\": [\n    {\n      \"name\": \"a\",\n"
      "      \"port\": 2,\n      \"zone\": null\n    }\n  ]\n}");
  EXPECT_EQ(to_json(samples::Settings{}, JsonStyle::pretty),
            "{\n  \"retries\": 3,\n  \"mode\": \"fast\",\n  \"peers\": []\n}");
}

TEST(Json, EverythingSurvivesTheRoundTripInBothStyles) {
  const samples::Everything all = samples::everything();
  for (const JsonStyle style : {JsonStyle::compact, JsonStyle::pretty}) {
    const auto back = from_json<samples::Everything>(to_json(all, style));
    ASSERT_TRUE(back) << back.error().to_string();
    EXPECT_TRUE(*back == all);
  }
}

TEST(Json, IntegersAreExactUpToOneHundredAndTwentyEightBits) {
  const U128 max = ~U128{0};
  EXPECT_EQ(to_json(max), "340282366920938463463374607431768211455");
  EXPECT_TRUE(*from_json<U128>("340282366920938463463374607431768211455") == max);
  EXPECT_TRUE(fails<U128>("340282366920938463463374607431768211456", Errc::out_of_range));
  const I128 min = static_cast<I128>(U128{1} << 127);
  EXPECT_EQ(to_json(min), "-170141183460469231731687303715884105728");
  EXPECT_TRUE(*from_json<I128>("-170141183460469231731687303715884105728") == min);
  EXPECT_TRUE(fails<I128>("170141183460469231731687303715884105728", Errc::out_of_range));
  EXPECT_EQ(to_json(u128_from_halves(1, 0)), "18446744073709551616");
  EXPECT_EQ(*from_json<std::uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(*from_json<std::int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_TRUE(fails<std::uint64_t>("18446744073709551616", Errc::out_of_range));
  EXPECT_TRUE(fails<std::int64_t>("-9223372036854775809", Errc::out_of_range));
  EXPECT_TRUE(fails<std::uint8_t>("256", Errc::out_of_range));
  EXPECT_TRUE(fails<std::uint8_t>("-1", Errc::out_of_range));
  EXPECT_EQ(*from_json<int>("-0"), 0);
}

TEST(Json, NumbersWithAFractionAreNoIntegers) {
  EXPECT_EQ(context<int>("1.0"), "expected integer, found number with a fraction at byte 0");
  EXPECT_EQ(context<int>("1e3"), "expected integer, found number with a fraction at byte 0");
}

TEST(Json, DoublesReadBackExactly) {
  for (const double value :
       {0.1, 1e300, -2.5e-308, 1.0, 123456789.125, std::numeric_limits<double>::denorm_min()}) {
    EXPECT_EQ(*from_json<double>(to_json(value)), value);
  }
  EXPECT_EQ(to_json(1e20), "1e+20");
  EXPECT_EQ(to_json(0.1F), "0.1");
  EXPECT_EQ(to_json(std::nan("")), "null");
  EXPECT_EQ(to_json(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(*from_json<double>("5"), 5.0);
  EXPECT_TRUE(fails<double>("1e999", Errc::out_of_range));
}

TEST(Json, OnlyTheGrammarOfNumbersIsAccepted) {
  for (const std::string_view text : {"01", "-", "1.", ".5", "+1", "1e", "1e+", "0x10", "--1", "-a",
                                      "NaN", "Infinity", "1.5.5", "00"}) {
    EXPECT_FALSE(from_json<double>(text)) << text;
  }
  for (const std::string_view text : {"0", "-0.0", "1.5E+3", "10e-2", "  7\n"}) {
    EXPECT_TRUE(from_json<double>(text)) << text;
  }
}

TEST(Json, OnlyTheGrammarOfContainersIsAccepted) {
  for (const std::string_view text : {"[1,]", "[,1]", "[1 2]", "[1", "[", "]", "{}", "[1]]", "[1],",
                                      "", " ", "\xef\xbb\xbf[1]"}) {
    EXPECT_FALSE(from_json<std::vector<int>>(text)) << text;
  }
  using Map = std::map<std::string, int>;
  for (const std::string_view text : {R"({"a":1,})", R"({"a" 1})", R"({a:1})", R"({"a":})",
                                      R"({"a":1 "b":2})", R"({,})", R"({1:1})", R"({"a":1)"}) {
    EXPECT_FALSE(from_json<Map>(text)) << text;
  }
  EXPECT_TRUE(from_json<Map>(" { \"a\" : 1 ,\n\t\"b\":2 } "));
  EXPECT_FALSE(from_json<bool>("tru"));
  EXPECT_FALSE(from_json<bool>("True"));
  EXPECT_FALSE(from_json<std::optional<int>>("nul"));
}

TEST(Json, StringsAreEscapedAndUnescaped) {
  const std::string text("q\" b\\ s/ \b\f\n\r\t \x01\x1f \x7f", 18);
  EXPECT_EQ(*from_json<std::string>(to_json(text)), text);
  EXPECT_EQ(to_json(std::string("\x01\n\"\\/")), R"("\u0001\n\"\\/")");
  EXPECT_EQ(*from_json<std::string>(R"("\"\\\/\b\f\n\r\tA\u00e9\u20ac\ud83d\ude00")"),
            "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(*from_json<std::string>(R"("\u0000")"), std::string(1, '\0'));
  EXPECT_EQ(*from_json<std::string>(R"("plain \u0041 plain")"), "plain A plain");
}

TEST(Json, BrokenStringsAreRefused) {
  for (const std::string_view text :
       {R"("\ud83d")", R"("\ud83dx")", R"("\ude00")", R"("\ud83d\u0041")", R"("\u12")",
        R"("\u12g4")", R"("\x")", R"("abc)", R"("abc\)", "\"a\nb\"", "\"\\n\x01\"",
        R"("\u-123")"}) {
    EXPECT_TRUE(fails<std::string>(text, Errc::malformed)) << text;
  }
}

TEST(Json, TextThatIsNotUtf8IsRefusedOnReadingAndReplacedOnWriting) {
  for (const std::string_view bad :
       {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xf4\x90\x80\x80",
        "\xc3", "\xe2\x82", "\xff"}) {
    const std::string quoted = '"' + std::string(bad) + '"';
    EXPECT_TRUE(fails<std::string>(quoted, Errc::malformed));
    EXPECT_TRUE(fails<std::string>("\"\\n" + std::string(bad) + '"', Errc::malformed));
    EXPECT_TRUE(fails<samples::Settings>("{\"unknown\":" + quoted + "}", Errc::malformed));
  }
  EXPECT_EQ(to_json(std::string("a\xff\x80z\xc3\xa9")), "\"a\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa9\"");
}

TEST(Json, BytesAreReadFromBase64AndFromArraysOfIntegers) {
  EXPECT_EQ(*from_json<Bytes>(R"("AP8=")"), Bytes::copy(std::string_view("\x00\xff", 2)));
  EXPECT_EQ(*from_json<Bytes>("[0, 255]"), Bytes::copy(std::string_view("\x00\xff", 2)));
  EXPECT_EQ(from_json<IntArrayBytes>("[]")->bytes, Bytes());
  EXPECT_EQ(context<Bytes>("[0,256]"), "[1]: 256 does not fit the type of the member at byte 3");
  EXPECT_EQ(context<Bytes>(R"("A")"), "the string is not base64 at byte 0");
  EXPECT_EQ(context<Bytes>("1"), "expected bytes, found integer at byte 0");
}

TEST(Json, ErrorsNameThePathAndTheByte) {
  EXPECT_EQ(context<samples::Settings>(R"({"peers":[{"name":"a","port":1},{"name":5}]})"),
            "peers[1].name: expected string, found integer at byte 40");
  EXPECT_EQ(context<samples::Settings>(R"({"peers":[{"name":"a"}]})"),
            "missing member \"peers[0].port\"");
  EXPECT_EQ(context<std::vector<samples::Color>>(R"(["red","dog"])"),
            "[1]: unknown enumerator \"dog\" at byte 7");
  EXPECT_EQ((context<std::map<int, int>>(R"({"x":1})")), "expected an integer as key at byte 1");
  EXPECT_EQ(context<int>("1 2"), "text follows the value at byte 2");
}

TEST(Json, UnknownMembersAreIgnoredButChecked) {
  EXPECT_EQ(
      from_json<samples::Settings>(R"({"x":[1,{"y":"\u0041"}],"retries":9,"z":null})")->retries,
      9U);
  EXPECT_FALSE(from_json<samples::Settings>(R"({"x":[1,{"y":01}],"retries":9})"));
}

TEST(Json, OfDuplicateKeysTheLastWins) {
  EXPECT_EQ(from_json<samples::Square>(R"({"side":1,"side":2})")->side, 2);
}

TEST(Json, NestingBeyondTheLimitIsRefused) {
  EXPECT_TRUE(fails<samples::Settings>("{\"x\":" + std::string(100000, '['), Errc::too_deep));
  std::string objects;
  for (int i = 0; i < 1000; ++i) objects += "{\"others\":[";
  EXPECT_TRUE(fails<samples::Tree>(objects, Errc::too_deep));
}

TEST(Json, EveryPrefixOfAValidDocumentFailsCleanly) {
  const std::string text = to_json(samples::everything());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::vector<char> prefix(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(fails<samples::Everything>({prefix.data(), size}, Errc::malformed)) << size;
  }
}

TEST(Json, FlippedBitsNeverCrash) {
  std::string text = to_json(samples::everything());
  std::size_t refused = 0;
  for (char& c : text) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      c = static_cast<char>(static_cast<unsigned char>(c) ^ (1U << bit));
      if (!from_json<samples::Everything>(text)) ++refused;
      c = static_cast<char>(static_cast<unsigned char>(c) ^ (1U << bit));
    }
  }
  EXPECT_GT(refused, text.size());
}

}  // namespace velo::codec::json_test
