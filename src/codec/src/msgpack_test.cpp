// SPDX-License-Identifier: Apache-2.0
// MessagePack: golden bytes of the specification, round trips, and the rules for members.

#include <velo/codec/hex.hpp>
#include <velo/codec/msgpack.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "codec_samples.hpp"

namespace velo::codec::msgpack_test {

using testing::HasSubstr;

template <class T>
static std::string hex(const T& value) {
  return to_hex(to_msgpack(value));
}

static std::vector<std::byte> bytes(std::string_view text) { return *from_hex(text); }

template <class T>
static Result<T> decode(std::string_view text) {
  return from_msgpack<T>(ByteSpan(bytes(text)));
}

template <class T>
static std::string context(std::string_view text) {
  const Result<T> result = decode<T>(text);
  return result ? "no error" : result.error().context();
}

TEST(Msgpack, IntegersTakeTheShortestFormOfTheSpecification) {
  EXPECT_EQ(hex(0), "00");
  EXPECT_EQ(hex(127), "7f");
  EXPECT_EQ(hex(128), "cc80");
  EXPECT_EQ(hex(255), "ccff");
  EXPECT_EQ(hex(256), "cd0100");
  EXPECT_EQ(hex(65535), "cdffff");
  EXPECT_EQ(hex(65536), "ce00010000");
  EXPECT_EQ(hex(4294967295U), "ceffffffff");
  EXPECT_EQ(hex(std::uint64_t{4294967296}), "cf0000000100000000");
  EXPECT_EQ(hex(std::numeric_limits<std::uint64_t>::max()), "cfffffffffffffffff");
  EXPECT_EQ(hex(-1), "ff");
  EXPECT_EQ(hex(-32), "e0");
  EXPECT_EQ(hex(-33), "d0df");
  EXPECT_EQ(hex(-128), "d080");
  EXPECT_EQ(hex(-129), "d1ff7f");
  EXPECT_EQ(hex(-32768), "d18000");
  EXPECT_EQ(hex(-32769), "d2ffff7fff");
  EXPECT_EQ(hex(std::int64_t{-2147483649}), "d3ffffffff7fffffff");
}

TEST(Msgpack, SimpleValuesHaveTheBytesOfTheSpecification) {
  EXPECT_EQ(hex(true), "c3");
  EXPECT_EQ(hex(false), "c2");
  EXPECT_EQ(hex(std::optional<int>()), "c0");
  EXPECT_EQ(hex(1.5F), "ca3fc00000");
  EXPECT_EQ(hex(1.5), "cb3ff8000000000000");
  EXPECT_EQ(hex(std::string("abc")), "a3616263");
  EXPECT_EQ(hex(Bytes::copy("abc")), "c403616263");
  EXPECT_EQ(hex(IntArrayBytes{Bytes::copy("\x7f\x80\xff")}), "937fcc80ccff");
  EXPECT_EQ(hex(std::vector<int>{1, 2}), "920102");
  EXPECT_EQ(hex(std::map<std::string, int>{{"a", 1}}), "81a16101");
  EXPECT_EQ(hex(std::map<int, int>{{-1, 1}}), "81ff01");
  EXPECT_EQ(hex(U128{1}), "c41000000000000000000000000000000001");
  EXPECT_EQ(hex(I128{-1}), "c410ffffffffffffffffffffffffffffffff");
}

TEST(Msgpack, LengthsTakeTheShortestFormOfTheSpecification) {
  const auto head = [](const auto& value, std::size_t count) {
    return to_hex(to_msgpack(value).slice(0, count));
  };
  EXPECT_EQ(head(std::string(31, 'x'), 1), "bf");
  EXPECT_EQ(head(std::string(32, 'x'), 2), "d920");
  EXPECT_EQ(head(std::string(256, 'x'), 3), "da0100");
  EXPECT_EQ(head(std::string(65536, 'x'), 5), "db00010000");
  EXPECT_EQ(head(std::vector<std::byte>(255), 2), "c4ff");
  EXPECT_EQ(head(std::vector<std::byte>(256), 3), "c50100");
  EXPECT_EQ(head(std::vector<std::byte>(65536), 5), "c600010000");
  EXPECT_EQ(head(std::vector<int>(15), 1), "9f");
  EXPECT_EQ(head(std::vector<int>(16), 3), "dc0010");
  EXPECT_EQ(head(std::vector<int>(65536), 5), "dd00010000");
  std::map<int, int> map;
  for (int i = 0; i < 15; ++i) map[i] = i;
  EXPECT_EQ(head(map, 1), "8f");
  map[15] = 15;
  EXPECT_EQ(head(map, 3), "de0010");
}

TEST(Msgpack, ExtensionsHaveTheBytesOfTheSpecification) {
  const std::vector<std::byte> data(17);
  const auto ext = [&data](std::size_t size) {
    msgpack::Writer writer;
    writer.extension(-1, ByteSpan(data).first(size));
    return to_hex(writer.span()).substr(0, 6);
  };
  EXPECT_EQ(ext(1), "d4ff00");
  EXPECT_EQ(ext(2), "d5ff00");
  EXPECT_EQ(ext(16), "d8ff00");
  EXPECT_EQ(ext(0), "c700ff");
  EXPECT_EQ(ext(3), "c703ff");
  EXPECT_EQ(ext(17), "c711ff");
  const auto encoded = bytes("c703050a0b0c");
  msgpack::Reader reader{ByteSpan(encoded)};
  std::int8_t type = 0;
  ByteSpan body;
  ASSERT_TRUE(reader.read_extension(type, body));
  EXPECT_EQ(type, 5);
  EXPECT_EQ(to_hex(body), "0a0b0c");
  EXPECT_TRUE(reader.finish());
}

TEST(Msgpack, AStructIsAMapFromNameToValue) {
  EXPECT_EQ(hex(samples::Peer{"n", 80, std::nullopt}), "83a46e616d65a16ea4706f727450a47a6f6e65c0");
  EXPECT_EQ(hex(samples::Empty{}), "80");
}

TEST(Msgpack, AVariantIsAMapOfOneEntry) {
  EXPECT_EQ(hex(samples::Shape(samples::Square{1})),
            "81a6537175617265"
            "81a47369646501");
  EXPECT_EQ(hex(samples::Shape(std::string("x"))), "81a133a178");
  EXPECT_EQ(hex(samples::Shape()), "c0");
}

TEST(Msgpack, EverythingSurvivesTheRoundTrip) {
  const samples::Everything all = samples::everything();
  const Result<samples::Everything> back = from_msgpack<samples::Everything>(to_msgpack(all));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_TRUE(*back == all);
}

TEST(Msgpack, RecursiveAndTemplatedTypesSurviveTheRoundTrip) {
  samples::Tree tree{1, std::make_unique<samples::Tree>(), {}};
  tree.left->value = 2;
  tree.others.emplace_back().value = 3;
  const auto back = from_msgpack<samples::Tree>(to_msgpack(tree));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(back->left->value, 2);
  EXPECT_EQ(back->others.at(0).value, 3);
  const auto page =
      from_msgpack<samples::Page<std::string>>(to_msgpack(samples::Page<std::string>({"a", "b"})));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->items(), (std::vector<std::string>{"a", "b"}));
}

TEST(Msgpack, LargeValuesOutgrowTheInlineBuffer) {
  std::vector<std::string> strings(1000, std::string(100, 's'));
  const Bytes encoded = to_msgpack(strings);
  EXPECT_EQ(encoded.size(), 3U + 1000 * 102);
  EXPECT_EQ(*from_msgpack<std::vector<std::string>>(encoded), strings);
}

TEST(Msgpack, AWriterCanBeReused) {
  msgpack::Writer writer;
  to_msgpack(writer, std::string(1000, 'x'));
  writer.clear();
  to_msgpack(writer, 1);
  to_msgpack(writer, 2);
  EXPECT_EQ(to_hex(writer.span()), "0102");
  EXPECT_EQ(to_hex(std::move(writer).take()), "0102");
}

TEST(Msgpack, HashedContainersAreWrittenInKeyOrder) {
  std::unordered_map<std::string, int> forward;
  std::unordered_map<std::string, int> backward;
  std::map<std::string, int> ordered;
  for (int i = 0; i < 100; ++i) forward[std::to_string(i)] = ordered[std::to_string(i)] = i;
  for (int i = 99; i >= 0; --i) backward[std::to_string(i)] = i;
  EXPECT_EQ(hex(forward), hex(ordered));
  EXPECT_EQ(hex(backward), hex(ordered));
}

TEST(Msgpack, BytesAreReadFromBinStringAndArrayOfIntegers) {
  EXPECT_EQ(*decode<Bytes>("c4020180"), Bytes::copy("\x01\x80"));
  EXPECT_EQ(*decode<Bytes>("a20180"), Bytes::copy("\x01\x80"));
  EXPECT_EQ(*decode<Bytes>("9201cc80"), Bytes::copy("\x01\x80"));
  EXPECT_EQ(decode<std::vector<std::byte>>("9201cc80")->size(), 2U);
  EXPECT_EQ((decode<std::array<std::byte, 2>>("9201cc80")->at(1)), std::byte{0x80});
  EXPECT_EQ(context<Bytes>("9201cd0100"), "[1]: 256 does not fit the type of the member at byte 2");
  EXPECT_EQ((context<std::array<std::byte, 3>>("c4020180")),
            "expected exactly 3 bytes, found 2 at byte 0");
}

TEST(Msgpack, LargeBytesShareTheBlockTheyCameIn) {
  const Bytes encoded = to_msgpack(Bytes::own(std::string(5000, 'b')));
  const Bytes shared = *from_msgpack<Bytes>(encoded);
  EXPECT_EQ(shared.data(), encoded.data() + 3);
  const Bytes copied = *from_msgpack<Bytes>(encoded.span());
  EXPECT_NE(copied.data(), encoded.data() + 3);
  EXPECT_EQ(copied, shared);
}

TEST(Msgpack, StructsAreReadFromArraysOfTheirMembersToo) {
  const auto peer = decode<samples::Peer>("93a16e50c0");
  ASSERT_TRUE(peer);
  EXPECT_EQ(*peer, (samples::Peer{"n", 80, std::nullopt}));
  EXPECT_TRUE(decode<samples::Peer>("92a16e50"));
  EXPECT_TRUE(decode<samples::Peer>("95a16e50c09101c3"));
  EXPECT_EQ(context<samples::Peer>("91a16e"), "missing member \"port\"");
}

TEST(Msgpack, UnknownMembersAreIgnored) {
  // {"x": [1, {"y": nil}], "name": "n", "port": 80, "z": ext}
  const auto peer = decode<samples::Peer>("84a178920181a179c0a46e616d65a16ea4706f727450a17ad40100");
  ASSERT_TRUE(peer) << peer.error().to_string();
  EXPECT_EQ(peer->port, 80);
}

TEST(Msgpack, AMissingMemberIsNamedByItsPath) {
  const Result<samples::Peer> missing = decode<samples::Peer>("81a46e616d65a16e");
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().is(Errc::missing_member));
  EXPECT_EQ(missing.error().to_string(), "codec.missing_member: missing member \"port\"");
  EXPECT_EQ((context<std::map<std::string, std::vector<samples::Peer>>>("81a1619180")),
            "missing member \"[\"a\"][0].name\"");
}

TEST(Msgpack, MembersOfALenientTypeKeepTheirDefaults) {
  const auto settings = decode<samples::Settings>(
      "81a772657472696573"
      "05");
  ASSERT_TRUE(settings);
  EXPECT_EQ(*settings, (samples::Settings{5, "fast", {}}));
  EXPECT_EQ(context<samples::Settings>("81a5706565727391"
                                       "81a46e616d65a16e"),
            "missing member \"peers[0].port\"");
}

TEST(Msgpack, AWrongTypeIsNamedByItsPathAndByte) {
  EXPECT_EQ(context<samples::Settings>("81a5706565727391"
                                       "82a46e616d65a16ea4706f7274a178"),
            "peers[0].port: expected integer, found string at byte 21");
  EXPECT_EQ(context<int>("a178"), "expected integer, found string at byte 0");
  EXPECT_EQ(context<std::string>("c403616263"), "expected string, found bytes at byte 0");
  EXPECT_EQ(context<bool>("01"), "expected boolean, found integer at byte 0");
  EXPECT_EQ(context<double>("c3"), "expected number, found boolean at byte 0");
  EXPECT_EQ(context<samples::Peer>("01"), "expected map, found integer at byte 0");
  EXPECT_EQ(context<std::vector<int>>("80"), "expected array, found map at byte 0");
  EXPECT_EQ(context<int>("cb3ff8000000000000"),
            "expected integer, found number with a fraction at byte 0");
}

TEST(Msgpack, IntegersOutsideTheTypeAreRefused) {
  EXPECT_EQ(context<std::uint8_t>("cd0100"), "256 does not fit the type of the member at byte 0");
  EXPECT_EQ(context<std::uint8_t>("ff"), "-1 does not fit the type of the member at byte 0");
  EXPECT_EQ(context<std::int8_t>("cc80"), "128 does not fit the type of the member at byte 0");
  EXPECT_EQ(context<std::int8_t>("d1ff7f"), "-129 does not fit the type of the member at byte 0");
  EXPECT_EQ(context<std::int64_t>("cf8000000000000000"),
            "9223372036854775808 does not fit the type of the member at byte 0");
  EXPECT_TRUE(decode<std::int8_t>("d080"));
  EXPECT_EQ(*decode<U128>("cfffffffffffffffff"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(decode<U128>("ff").error().is(Errc::out_of_range));
  EXPECT_TRUE(decode<float>("cb7fefffffffffffff").error().is(Errc::out_of_range));
}

TEST(Msgpack, LongerFormsThanNeededAreAccepted) {
  EXPECT_EQ(*decode<int>("cf0000000000000005"), 5);
  EXPECT_EQ(*decode<int>("d3ffffffffffffffff"), -1);
  EXPECT_EQ(*decode<std::string>("db00000001"
                                 "61"),
            "a");
  EXPECT_EQ(decode<std::vector<int>>("dd00000001"
                                     "07")
                ->at(0),
            7);
}

TEST(Msgpack, NumbersAreReadFromEveryForm) {
  EXPECT_EQ(*decode<double>("05"), 5.0);
  EXPECT_EQ(*decode<double>("ff"), -1.0);
  EXPECT_EQ(*decode<double>("ca3fc00000"), 1.5);
  EXPECT_EQ(*decode<float>("cb3ff8000000000000"), 1.5F);
  EXPECT_TRUE(std::isnan(*decode<double>(hex(std::nan("")))));
  EXPECT_TRUE(std::isinf(*decode<float>(hex(std::numeric_limits<double>::infinity()))));
}

TEST(Msgpack, EnumeratorsAreNamesAndUnknownOnesAreErrors) {
  EXPECT_EQ(hex(samples::Color::red), "a3726564");
  EXPECT_EQ(*decode<samples::Color>("a3726564"), samples::Color::red);
  EXPECT_EQ(*decode<samples::Color>("07"), samples::Color::blue);
  EXPECT_EQ(context<std::vector<samples::Color>>("91a3646f67"),
            "[0]: unknown enumerator \"dog\" at byte 1");
  EXPECT_EQ(context<samples::Color>("05"), "unknown enumerator \"5\" at byte 0");
  EXPECT_EQ(hex(samples::Plain::below), "fb");
  EXPECT_EQ(*decode<samples::Plain>("cd012c"), samples::Plain::above);
  EXPECT_EQ(hex(static_cast<samples::Color>(99)), "63");
}

TEST(Msgpack, UnknownVariantAlternativesAreErrorsWithThePath) {
  EXPECT_EQ(context<samples::Shape>("81a3446f6701"), "unknown enumerator \"Dog\" at byte 1");
  EXPECT_EQ(context<samples::Shape>("81a6436972636c65"
                                    "81a6726164697573a178"),
            "Circle.radius: expected number, found string at byte 16");
  EXPECT_THAT(context<samples::Shape>("82a13301a13401"), HasSubstr("expected string"));
  EXPECT_THAT(context<samples::Shape>("82a133a178a13401"), HasSubstr("a map of one entry"));
  EXPECT_THAT(context<samples::Shape>("80"), HasSubstr("a map of one entry"));
}

TEST(Msgpack, TuplesAndArraysHaveExactlyTheirLength) {
  EXPECT_EQ((context<std::pair<int, int>>("9101")), "expected exactly 2 elements at byte 1");
  EXPECT_EQ((context<std::pair<int, int>>("93010203")), "expected exactly 2 elements at byte 2");
  EXPECT_EQ((context<std::array<int, 2>>("930102a178")), "expected exactly 2 elements at byte 2");
  EXPECT_EQ((*decode<std::array<int, 2>>("920102")), (std::array<int, 2>{1, 2}));
}

TEST(Msgpack, OfDuplicateKeysTheLastWins) {
  EXPECT_EQ(decode<samples::Square>("82a47369646501a47369646502")->side, 2);
  EXPECT_EQ((decode<std::map<std::string, int>>("82a16101a16102")->at("a")), 2);
}

TEST(Msgpack, InstanceIdsAreReadFromBytesAndText) {
  const InstanceId id = samples::sample_id();
  EXPECT_EQ(hex(id).substr(0, 4), "c410");
  EXPECT_EQ(*from_msgpack<InstanceId>(to_msgpack(id)), id);
  EXPECT_EQ(*from_msgpack<InstanceId>(to_msgpack(id.to_string())), id);
  EXPECT_EQ(context<InstanceId>("a3666f6f"), "not a UUID at byte 0");
}

}  // namespace velo::codec::msgpack_test
