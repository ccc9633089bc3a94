// SPDX-License-Identifier: Apache-2.0
// Tests of header maps and of the header that carries an error.

#include "protocol.hpp"

#include <velo/codec/msgpack.hpp>
#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace velo::messenger::protocol::protocol_headers_test {

static Headers round_trip(const Headers& headers) {
  const Result<Bytes> bytes = encode_headers(headers);
  if (!bytes) {
    ADD_FAILURE() << bytes.error().to_string();
    return {};
  }
  const Result<Headers> decoded = decode_headers(*bytes);
  if (!decoded) {
    ADD_FAILURE() << decoded.error().to_string();
    return {};
  }
  return *decoded;
}

static void expect_refused(const codec::msgpack::Writer& writer, const std::string& what) {
  const Result<Headers> decoded = decode_headers(writer.span());
  ASSERT_FALSE(decoded) << what;
  EXPECT_TRUE(decoded.error().is(Errc::malformed)) << what;
}

/// Headers whose map has exactly `bytes` bytes.
static Headers of_encoded_size(std::size_t bytes) {
  Headers headers;
  std::size_t size = 3;  // map16
  for (int i = 0; i < 15; ++i) {
    headers["0" + std::to_string(100 + i)] = std::string(1'024, 'v');
    size += 1 + 4 + 3 + 1'024;
  }
  // One entry takes the rest: a name of four bytes and a value of str16.
  const std::size_t rest = bytes - size - (1 + 4) - 3;
  headers["0200"] = std::string(rest, 'v');
  EXPECT_LE(rest, 1'024U);
  EXPECT_GT(rest, 255U);
  return headers;
}

TEST(ProtocolHeaders, NoHeadersAreNoBytes) {
  const Result<Bytes> bytes = encode_headers({});
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(bytes->empty());
  EXPECT_TRUE(decode_headers({})->empty());
}

TEST(ProtocolHeaders, AnEmptyMapIsNoHeadersToo) {
  const std::byte empty_map{0x80};
  const Result<Headers> decoded = decode_headers(ByteSpan(&empty_map, 1));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->empty());
}

TEST(ProtocolHeaders, TextOfAnyLanguageSurvives) {
  const Headers headers = {
      {"", ""}, {"clé", "été"}, {"velo-x", "☃ 𝄞"}, {"z", std::string(300, 'z')}};
  EXPECT_EQ(round_trip(headers), headers);
}

TEST(ProtocolHeaders, ValuesHaveAtMost1024Bytes) {
  const Headers largest = {{"k", std::string(1'024, 'v')}};
  EXPECT_EQ(round_trip(largest), largest);

  const Headers over = {{"k", std::string(1'025, 'v')}};
  const Result<Bytes> encoded = encode_headers(over);
  ASSERT_FALSE(encoded);
  EXPECT_TRUE(encoded.error().is(Errc::headers_too_large));

  codec::msgpack::Writer writer;
  codec::to_msgpack(writer, over);
  expect_refused(writer, "a value of 1,025 bytes");
}

TEST(ProtocolHeaders, TheWholeMapHasAtMost16384Bytes) {
  const Headers largest = of_encoded_size(headers_bytes_max);
  ASSERT_EQ(encode_headers(largest)->size(), headers_bytes_max);
  EXPECT_EQ(round_trip(largest), largest);

  const Headers over = of_encoded_size(headers_bytes_max + 1);
  const Result<Bytes> encoded = encode_headers(over);
  ASSERT_FALSE(encoded);
  EXPECT_TRUE(encoded.error().is(Errc::headers_too_large));

  codec::msgpack::Writer writer;
  codec::to_msgpack(writer, over);
  ASSERT_EQ(writer.size(), headers_bytes_max + 1);
  expect_refused(writer, "16,385 bytes in all");
}

TEST(ProtocolHeaders, ALongNameCountsTowardsTheWhole) {
  const Headers headers = {{std::string(headers_bytes_max, 'k'), "v"}};
  const Result<Bytes> encoded = encode_headers(headers);
  ASSERT_FALSE(encoded);
  EXPECT_TRUE(encoded.error().is(Errc::headers_too_large));
}

TEST(ProtocolHeaders, TextThatIsNotUtf8IsNeitherSentNorTaken) {
  const std::vector<Headers> both = {{{"k", "\xff"}}, {{"\xc3", "v"}}};
  for (const Headers& headers : both) {
    const Result<Bytes> encoded = encode_headers(headers);
    ASSERT_FALSE(encoded);
    EXPECT_TRUE(encoded.error().is(velo::Errc::invalid_argument));
    codec::msgpack::Writer writer;
    writer.begin_map(1);
    writer.key(headers.begin()->first);
    writer.string(headers.begin()->second);
    expect_refused(writer, "not UTF-8");
  }
}

TEST(ProtocolHeaders, OneValueThatIsNoStringRefusesTheWholeMap) {
  using Write = void (*)(codec::msgpack::Writer&);
  const std::vector<std::pair<std::string, Write>> others = {
      {"nil", [](codec::msgpack::Writer& w) { w.nil(); }},
      {"boolean", [](codec::msgpack::Writer& w) { w.boolean(true); }},
      {"integer", [](codec::msgpack::Writer& w) { w.unsigned_integer(7); }},
      {"real", [](codec::msgpack::Writer& w) { w.real(1.5); }},
      {"bytes", [](codec::msgpack::Writer& w) { w.bytes(as_bytes("v")); }},
      {"array", [](codec::msgpack::Writer& w) { w.begin_array(0); }},
      {"map", [](codec::msgpack::Writer& w) { w.begin_map(0); }},
  };
  for (const auto& [what, write] : others) {
    codec::msgpack::Writer value;
    value.begin_map(2);
    value.key("good");
    value.string("text");
    value.key("k");
    write(value);
    expect_refused(value, what + " as a value");

    codec::msgpack::Writer key;
    key.begin_map(1);
    write(key);
    key.string("v");
    expect_refused(key, what + " as a name");
  }
}

TEST(ProtocolHeaders, WhatIsNoMapOrNotOnlyAMapIsRefused) {
  codec::msgpack::Writer text;
  text.string("k");
  expect_refused(text, "a string");

  codec::msgpack::Writer more;
  more.begin_map(0);
  more.nil();
  expect_refused(more, "something after the map");
}

TEST(ProtocolHeaders, EveryPrefixOfAMapIsRefused) {
  const Bytes whole = *encode_headers({{"k", "v"}, {"long", std::string(40, 'v')}});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Bytes prefix = Bytes::copy(whole.span().first(size));
    EXPECT_FALSE(decode_headers(prefix)) << size;
  }
}

TEST(ProtocolHeaders, ACountBeyondTheInputIsRefusedBeforeAnythingIsAllocated) {
  for (const std::string bytes : {"\xdf\xff\xff\xff\xff", "\xde\xff\xff\xa1k\xa1v"}) {
    EXPECT_FALSE(decode_headers(as_bytes(bytes)));
  }
}

TEST(ProtocolHeaders, OfDuplicateNamesTheLastWins) {
  codec::msgpack::Writer writer;
  writer.begin_map(2);
  writer.key("k");
  writer.string("first");
  writer.key("k");
  writer.string("second");
  const Result<Headers> decoded = decode_headers(writer.span());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, (Headers{{"k", "second"}}));
}

TEST(ProtocolErrorHeader, RestoresCodeRetryClassAndContext) {
  const std::vector<Error> errors = {
      make_error(Errc::overloaded, "lane full"),
      make_error(velo::Errc::not_found),
      Error({Room::user, std::numeric_limits<std::uint16_t>::max()}, Retry::elsewhere, "mine"),
  };
  for (const Error& error : errors) {
    const auto restored = decode_error(encode_error(error), error.context());
    ASSERT_TRUE(restored);
    EXPECT_EQ(restored->code(), error.code());
    EXPECT_EQ(restored->retry(), error.retry());
    EXPECT_EQ(restored->context(), error.context());
  }
  EXPECT_EQ(encode_error(errors[0]), "5.5.1");
}

TEST(ProtocolErrorHeader, AnyOtherFormIsNoError) {
  for (const char* value :
       {"",       ".",      "..",     "5",       "5.1",     "5.1.",    "5..1",
        ".1.1",   "5.1.3",  "5.1.0.", "5.1.0 ",  " 5.1.0",  "256.1.0", "5.65536.0",
        "-5.1.0", "+5.1.0", "5.1.-1", "5.0x1.0", "5.1.256", "five.1.0"}) {
    EXPECT_FALSE(decode_error(value, "")) << value;
  }
  EXPECT_FALSE(decode_error(std::string_view("5.1.0\0", 6), ""));
}

}  // namespace velo::messenger::protocol::protocol_headers_test
