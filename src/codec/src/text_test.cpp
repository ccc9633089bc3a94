// SPDX-License-Identifier: Apache-2.0
// The small encodings: varint, base58, base64, hex, decimal.

#include <velo/codec/base58.hpp>
#include <velo/codec/base64.hpp>
#include <velo/codec/error.hpp>
#include <velo/codec/hex.hpp>
#include <velo/codec/int128.hpp>
#include <velo/codec/varint.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace velo::codec::text_test {

static std::string varint(std::uint64_t value) { return to_hex(encode_varint(value).span()); }

static DecodedVarint decode(std::string_view hex, VarintForm form = VarintForm::any) {
  return decode_varint(ByteSpan(*from_hex(hex)), form);
}

template <class F>
static void for_random_bytes(F check) {
  std::mt19937_64 random(3);  // NOLINT(bugprone-random-generator-seed)
  for (std::size_t size = 0; size < 60; ++size) {
    std::vector<std::byte> data(size);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random() % 4 == 0 ? 0 : random());
    check(data);
  }
}

TEST(Varint, EncodesSevenBitsPerByte) {
  EXPECT_EQ(varint(0), "00");
  EXPECT_EQ(varint(127), "7f");
  EXPECT_EQ(varint(128), "8001");
  EXPECT_EQ(varint(300), "ac02");
  EXPECT_EQ(varint(std::numeric_limits<std::uint64_t>::max()), "ffffffffffffffffff01");
}

TEST(Varint, SurvivesTheRoundTrip) {
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const std::uint64_t value : {std::uint64_t{1} << shift, (std::uint64_t{1} << shift) - 1}) {
      const EncodedVarint encoded = encode_varint(value);
      const DecodedVarint decoded = decode_varint(encoded.span(), VarintForm::minimal);
      ASSERT_EQ(decoded.status, VarintStatus::complete);
      EXPECT_EQ(decoded.value, value);
      EXPECT_EQ(decoded.size, encoded.size);
    }
  }
}

TEST(Varint, TellsIncompleteFromMalformed) {
  EXPECT_EQ(decode("").status, VarintStatus::incomplete);
  EXPECT_EQ(decode("80").status, VarintStatus::incomplete);
  EXPECT_EQ(decode("ffffffffffffffffff").status, VarintStatus::incomplete);
  EXPECT_EQ(decode("ffffffffffffffffff02").status, VarintStatus::malformed);
  EXPECT_EQ(decode("8080808080808080808001").status, VarintStatus::malformed);
  EXPECT_EQ(decode("ac02ff").size, 2U);
}

TEST(Varint, RefusesLongerFormsOnlyWhenAsked) {
  EXPECT_EQ(decode("8000").value, 0U);
  EXPECT_EQ(decode("8000").size, 2U);
  EXPECT_EQ(decode("8000", VarintForm::minimal).status, VarintStatus::malformed);
  EXPECT_EQ(decode("00", VarintForm::minimal).status, VarintStatus::complete);
}

TEST(Base58, HasTheKnownTexts) {
  EXPECT_EQ(to_base58(as_bytes("Hello World!")), "2NEpo7TZRRrLZSi2U");
  EXPECT_EQ(to_base58(ByteSpan(*from_hex("0000287fb4cd"))), "11233QC4");
  EXPECT_EQ(to_base58({}), "");
  EXPECT_EQ(to_hex(*from_base58("11233QC4")), "0000287fb4cd");
}

TEST(Base58, SurvivesTheRoundTrip) {
  for_random_bytes([](const std::vector<std::byte>& data) {
    EXPECT_EQ(*from_base58(to_base58(ByteSpan(data))), data);
  });
}

TEST(Base58, RefusesForeignCharactersAndLongText) {
  EXPECT_TRUE(from_base58("0").error().is(Errc::malformed));
  EXPECT_TRUE(from_base58("I").error().is(Errc::malformed));
  EXPECT_TRUE(from_base58(std::string(base58_text_max + 1, '2')).error().is(Errc::too_large));
  EXPECT_EQ(from_base58("1111")->size(), 4U);
}

TEST(Base64, HasTheTextsOfTheSpecification) {
  EXPECT_EQ(to_base64(as_bytes("")), "");
  EXPECT_EQ(to_base64(as_bytes("f")), "Zg==");
  EXPECT_EQ(to_base64(as_bytes("fo")), "Zm8=");
  EXPECT_EQ(to_base64(as_bytes("foo")), "Zm9v");
  EXPECT_EQ(to_base64(as_bytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(to_base64(ByteSpan(*from_hex("fbff")), Base64::url), "-_8");
}

TEST(Base64, SurvivesTheRoundTripInBothForms) {
  for_random_bytes([](const std::vector<std::byte>& data) {
    for (const Base64 form : {Base64::standard, Base64::url}) {
      EXPECT_EQ(*from_base64(to_base64(ByteSpan(data), form), form), data);
    }
  });
}

TEST(Base64, RefusesAnythingButTheOneEncoding) {
  for (const std::string_view text : {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==",
                                      "Zm 9", "-_8=", "=", "Zm9v\n", "Zg=a"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
  for (const std::string_view text : {"Zg==", "Z", "Zh", "+/8"}) {
    EXPECT_FALSE(from_base64(text, Base64::url)) << text;
  }
}

TEST(Hex, ReadsBothCasesAndWritesLower) {
  EXPECT_EQ(to_hex(ByteSpan(*from_hex("00fFAb"))), "00ffab");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Int128, DecimalTextIsExact) {
  const auto text = [](BigInteger value) {
    DecimalBuffer buffer;
    return std::string(to_decimal(value, buffer));
  };
  EXPECT_EQ(text({0, false}), "0");
  EXPECT_EQ(text({0, true}), "0");
  EXPECT_EQ(text({UINT64_MAX, false}), "18446744073709551615");
  EXPECT_EQ(text({u128_from_halves(1, 0), true}), "-18446744073709551616");
  EXPECT_EQ(text({~U128{0}, false}), "340282366920938463463374607431768211455");
  EXPECT_EQ(text({static_cast<U128>(10'000'000'000'000'000'000U) * 10, false}),
            "100000000000000000000");
  BigInteger value;
  EXPECT_TRUE(parse_decimal("-170141183460469231731687303715884105728", value));
  EXPECT_EQ(value, (BigInteger{BigInteger::negative_magnitude_max, true}));
  EXPECT_FALSE(parse_decimal("-170141183460469231731687303715884105729", value));
  EXPECT_FALSE(parse_decimal("340282366920938463463374607431768211456", value));
  EXPECT_FALSE(parse_decimal("", value));
  EXPECT_FALSE(parse_decimal("-", value));
  EXPECT_FALSE(parse_decimal("1a", value));
}

TEST(CodecError, HasAName) {
  EXPECT_EQ(make_error(Errc::too_deep, "why").to_string(), "codec.too_deep: why");
}

}  // namespace velo::codec::text_test
