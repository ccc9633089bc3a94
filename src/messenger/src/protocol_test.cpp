// SPDX-License-Identifier: Apache-2.0
// Tests of the request, response and acknowledgement headers.

#include "protocol.hpp"

#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <vector>

namespace velo::messenger::protocol::protocol_test {

const MessageId id = MessageId::of_slot(WorkerId(0x1122334455667788), 0x0102, 0x030405060708);

static std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

template <class Header>
static std::vector<std::byte> encode(const Header& header) {
  std::vector<std::byte> out;
  if constexpr (std::is_same_v<Header, RequestHeader>) {
    out.resize(encoded_size(header));
    EXPECT_EQ(encode_request(header, out), out.size());
  } else if constexpr (std::is_same_v<Header, ResponseHeader>) {
    out.resize(encoded_size(header));
    EXPECT_EQ(encode_response(header, out), out.size());
  } else {
    out.resize(ack_bytes);
    EXPECT_EQ(encode_ack(header, out), out.size());
  }
  return out;
}

static RequestHeader request(std::string_view name, ByteSpan headers = {}) {
  RequestHeader header;
  header.response_type = ResponseType::unary;
  header.id = id;
  header.name = name;
  header.headers = headers;
  return header;
}

static void expect_same(const RequestHeader& a, const RequestHeader& b) {
  EXPECT_EQ(a.response_type, b.response_type);
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(as_text(a.headers), as_text(b.headers));
  EXPECT_EQ(a.timeout_us, b.timeout_us);
}

template <class Decode>
static void expect_refused(Decode decode, ByteSpan bytes, const std::string& what) {
  const auto result = decode(bytes);
  ASSERT_FALSE(result) << what;
  EXPECT_TRUE(result.error().is(Errc::malformed)) << what;
}

/// Every shorter header and the one with a byte more.
template <class Decode>
static void expect_only_whole(Decode decode, const std::vector<std::byte>& whole) {
  ASSERT_TRUE(decode(ByteSpan(whole)));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a read beyond it.
    const std::vector<std::byte> prefix(whole.begin(), whole.begin() + static_cast<long>(size));
    expect_refused(decode, prefix, "prefix of " + std::to_string(size) + " bytes");
  }
  std::vector<std::byte> longer = whole;
  longer.push_back(std::byte{0});
  expect_refused(decode, longer, "a byte too many");
}

TEST(Protocol, RequestHeaderIsLittleEndianWithTheRequesterFirst) {
  const std::vector<std::byte> map = bytes_of({0x81, 0xa1, 'k', 0xa1, 'v'});
  EXPECT_EQ(encode(request("echo", map)),
            bytes_of({1,    2,                                         // schema, unary
                      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // worker
                      0x02, 0x01,                                      // slot
                      0x08, 0x07, 0x06, 0x05, 0x04, 0x03,              // generation
                      4,    0,    'e',  'c',  'h',  'o',               // name
                      5,    0,    0x81, 0xa1, 'k',  0xa1, 'v'}));      // header map
}

TEST(Protocol, TimeoutMakesItSchemaTwoWithEightBytesAtTheEnd) {
  RequestHeader header = request("e");
  header.timeout_us = 0x0102030405060708;
  const std::vector<std::byte> bytes = encode(header);
  EXPECT_EQ(bytes.size(), request_fixed_bytes + 1 + timeout_bytes);
  EXPECT_EQ(bytes[0], std::byte{2});
  EXPECT_EQ(std::vector<std::byte>(bytes.end() - 8, bytes.end()),
            bytes_of({8, 7, 6, 5, 4, 3, 2, 1}));
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  expect_same(*decoded, header);
}

TEST(Protocol, EveryResponseTypeSurvivesTheWire) {
  for (const auto type : {ResponseType::fire, ResponseType::ack_nack, ResponseType::unary}) {
    for (const bool timed : {false, true}) {
      const std::vector<std::byte> map = bytes_of({0x80});
      RequestHeader header = request("naïve-☃", map);
      header.response_type = type;
      if (timed) header.timeout_us = UINT64_MAX;
      const std::vector<std::byte> bytes = encode(header);
      const auto decoded = decode_request(bytes);
      ASSERT_TRUE(decoded);
      expect_same(*decoded, header);
    }
  }
}

TEST(Protocol, DecodedNameAndHeadersAreBorrowedFromTheFrame) {
  const std::vector<std::byte> bytes = encode(request("echo", bytes_of({0x80})));
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(static_cast<const void*>(decoded->name.data()), bytes.data() + 20);
  EXPECT_EQ(decoded->headers.data(), bytes.data() + 26);
}

TEST(Protocol, OnlyTheWholeRequestHeaderIsAccepted) {
  const std::vector<std::byte> map = bytes_of({0x81, 0xa1, 'k', 0xa1, 'v'});
  RequestHeader header = request("echo", map);
  expect_only_whole(decode_request, encode(header));
  header.timeout_us = 1;
  expect_only_whole(decode_request, encode(header));
}

TEST(Protocol, UnknownSchemasAreRefused) {
  for (int schema = 0; schema < 256; ++schema) {
    if (schema == schema_1 || schema == schema_2) continue;
    std::vector<std::byte> bytes = encode(request("echo"));
    bytes[0] = static_cast<std::byte>(schema);
    expect_refused(decode_request, bytes, "schema " + std::to_string(schema));
  }
}

TEST(Protocol, UnknownResponseTypesAreRefused) {
  for (int type = 3; type < 256; ++type) {
    std::vector<std::byte> bytes = encode(request("echo"));
    bytes[1] = static_cast<std::byte>(type);
    expect_refused(decode_request, bytes, "type " + std::to_string(type));
  }
}

TEST(Protocol, RequestNamesHaveOneTo65535Bytes) {
  const std::string longest(name_bytes_max, 'n');
  const std::vector<std::byte> bytes = encode(request(longest));
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->name, longest);
  EXPECT_TRUE(valid_name(longest));
  EXPECT_FALSE(valid_name(longest + 'n'));
  EXPECT_FALSE(valid_name(""));

  std::vector<std::byte> nameless(request_fixed_bytes);
  nameless[0] = std::byte{1};
  expect_refused(decode_request, nameless, "no name");
}

TEST(Protocol, RequestHeaderMapsOfMoreThan16384BytesAreRefused) {
  const std::vector<std::byte> largest(headers_bytes_max, std::byte{0xc0});
  const std::vector<std::byte> bytes = encode(request("e", largest));
  const auto decoded = decode_request(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->headers.size(), headers_bytes_max);

  std::vector<std::byte> over = bytes;
  over[21] = std::byte{0x01};  // 16,385
  over.push_back(std::byte{0xc0});
  expect_refused(decode_request, over, "16,385 bytes of headers");
}

TEST(Protocol, NamesThatAreNotUtf8AreRefused) {
  const std::vector<std::string> refused = {"\x80",
                                            "a\xff",
                                            "\xc0\xaf",
                                            "\xc1\xbf",
                                            "\xc3",
                                            "\xe0\x9f\xbf",
                                            "\xed\xa0\x80",
                                            "\xe2\x98",
                                            "\xf0\x8f\xbf\xbf",
                                            "\xf4\x90\x80\x80",
                                            "\xf5\x80\x80\x80",
                                            "\xf0\x9f\x98",
                                            "\xe2\x28\xa1",
                                            "12345678\x80",
                                            "1234567\xc3",
                                            "1234567\xe2\x98\x83\x83"};
  for (const std::string& name : refused) {
    EXPECT_FALSE(valid_name(name)) << name;
    expect_refused(decode_request, encode(request(name)), name);
  }
  for (const std::string name :
       {"é", "߿", "ࠀ", "\xed\x9f\xbf", "\xee\x80\x80", "￿", "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf", "1234567é12345678", "12345678"}) {
    EXPECT_TRUE(valid_name(name)) << name;
    EXPECT_TRUE(decode_request(encode(request(name)))) << name;
  }
}

TEST(Protocol, ResponseHeaderCarriesAnyOutcome) {
  for (int outcome = 0; outcome < 256; ++outcome) {
    ResponseHeader header;
    header.id = id;
    header.outcome = static_cast<std::uint8_t>(outcome);
    const std::vector<std::byte> bytes = encode(header);
    ASSERT_EQ(bytes.size(), response_fixed_bytes);
    const auto decoded = decode_response(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->id, id);
    EXPECT_EQ(decoded->outcome, outcome);
    EXPECT_TRUE(decoded->headers.empty());
  }
}

TEST(Protocol, OnlyTheWholeResponseHeaderIsAccepted) {
  ResponseHeader header;
  header.id = id;
  header.outcome = 7;
  const std::vector<std::byte> map = bytes_of({0x81, 0xa1, 'k', 0xa1, 'v'});
  header.headers = map;
  const std::vector<std::byte> bytes = encode(header);
  EXPECT_EQ(bytes, bytes_of({0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  //
                             0x02, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03,  //
                             7,    5,    0,    0x81, 0xa1, 'k',  0xa1, 'v'}));
  expect_only_whole(decode_response, bytes);
}

TEST(Protocol, ResponseHeadersBeyondOurLimitStillNameTheirCall) {
  std::vector<std::byte> bytes(response_fixed_bytes + 65'535);
  bytes[17] = bytes[18] = std::byte{0xff};
  const auto decoded = decode_response(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->headers.size(), 65'535U);
  EXPECT_FALSE(decode_headers(decoded->headers));
}

TEST(Protocol, AckHeaderHasTwoFlagBitsAndRefusesTheOthers) {
  for (int flags = 0; flags < 256; ++flags) {
    std::vector<std::byte> bytes = encode(AckHeader{id, false, false});
    bytes[0] = static_cast<std::byte>(flags);
    if (flags > 3) {
      expect_refused(decode_ack, bytes, "flags " + std::to_string(flags));
      continue;
    }
    const auto decoded = decode_ack(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->id, id);
    EXPECT_EQ(decoded->is_event, (flags & 1) != 0);
    EXPECT_EQ(decoded->is_error, (flags & 2) != 0);
    EXPECT_EQ(encode(*decoded), bytes);
  }
}

TEST(Protocol, OnlyTheWholeAckHeaderIsAccepted) {
  expect_only_whole(decode_ack, encode(AckHeader{id, true, true}));
}

TEST(Protocol, AnIdOfItsOwnHas16Bytes) {
  std::array<std::byte, id_bytes> wire;
  encode_id(id, wire);
  EXPECT_EQ(std::vector<std::byte>(wire.begin(), wire.end()),
            bytes_of({0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  //
                      0x02, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03}));
  expect_only_whole(decode_id, std::vector<std::byte>(wire.begin(), wire.end()));
  EXPECT_EQ(*decode_id(wire), id);
}

}  // namespace velo::messenger::protocol::protocol_test
