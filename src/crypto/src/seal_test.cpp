// SPDX-License-Identifier: Apache-2.0
// Tests of sealing: the vectors of the RFCs, of docs/protocols/seal.md, and what does not open.

#include <velo/crypto/seal.hpp>

#include <gtest/gtest.h>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "crypto_test.hpp"
#include "seal_format.hpp"

namespace velo::crypto {
namespace seal_test {

using testing::fails;
using testing::hex;

template <std::size_t size>
static std::array<std::uint8_t, size> array_of(const Bytes& bytes) {
  std::array<std::uint8_t, size> result{};
  EXPECT_EQ(bytes.size(), size);
  std::ranges::transform(bytes, result.begin(),
                         [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return result;
}

static SecretKey key_of(std::uint8_t number) {
  SecretKey key{};
  key.fill(number);
  return key;
}

TEST(Seal, EncryptsAsRfc8439Says) {  // 2.8.2
  const auto key =
      array_of<32>(hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  const auto nonce = array_of<12>(hex("070000004041424344454647"));
  const Bytes associated = hex("50515253c0c1c2c3c4c5c6c7");
  const std::string_view plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const Bytes expected = hex(
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
      "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
      "4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
  std::vector<std::byte> sealed(plain.size() + seal_tag_bytes);
  const std::array<ByteSpan, 1> bound{associated};
  ASSERT_TRUE(encrypt(key, nonce, bound, as_bytes(plain), sealed).has_value());
  EXPECT_EQ(as_text(sealed), expected.text());
  std::vector<std::byte> opened(plain.size());
  ASSERT_TRUE(decrypt(key, nonce, bound, sealed, opened).has_value());
  EXPECT_EQ(as_text(opened), plain);
  EXPECT_TRUE(fails(decrypt(key, nonce, {}, sealed, opened), Errc::wrong_secret));
}

TEST(Seal, DerivesKeysAsRfc5869Says) {  // A.1 and A.3
  const Bytes secret = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
  std::vector<std::byte> out(42);
  ASSERT_TRUE(
      expand_key(secret, hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), out)
          .has_value());
  EXPECT_EQ(Bytes::copy(out), hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                                  "34007208d5b887185865"));
  ASSERT_TRUE(expand_key(secret, {}, {}, out).has_value());
  EXPECT_EQ(Bytes::copy(out), hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                                  "9d201395faa4b61a96c8"));
  const SecretKey key =
      derive_key(secret, hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9").text());
  EXPECT_EQ(Bytes::copy(std::as_bytes(std::span(key))),
            hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
}

TEST(Seal, StretchesPassphrasesAsRfc7914Says) {  // 12
  std::vector<std::byte> out(64);
  ASSERT_TRUE(stretch("password", as_bytes("NaCl"), {10, 8, 16}, out).has_value());
  EXPECT_EQ(Bytes::copy(out),
            hex("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"));
  ASSERT_TRUE(stretch("pleaseletmein", as_bytes("SodiumChloride"), {14, 8, 1}, out).has_value());
  EXPECT_EQ(Bytes::copy(out),
            hex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"));
}

TEST(Seal, OpensWithItsSecretAndContextAndWithNoOther) {
  const Bytes sealed = seal(key_of(1), as_bytes("plain"), "here").value();
  EXPECT_EQ(open(key_of(1), sealed, "here")->text(), "plain");
  EXPECT_TRUE(fails(open(key_of(2), sealed, "here"), Errc::wrong_secret));
  EXPECT_TRUE(fails(open(key_of(1), sealed, "there"), Errc::wrong_secret));
  EXPECT_TRUE(fails(open_with_passphrase("plain", sealed, "here"), Errc::wrong_secret));
  const Bytes again = seal(key_of(1), as_bytes("plain"), "here").value();
  EXPECT_NE(sealed, again) << "each seal has a salt and a nonce of its own";
  const Bytes empty = seal(key_of(1), {}, "").value();
  EXPECT_EQ(open(key_of(1), empty, "")->size(), 0U);
}

TEST(Seal, OpensWithItsPassphraseAndWithNoOther) {
  const Bytes sealed = seal_with_passphrase("correct horse", as_bytes("plain"), "here").value();
  EXPECT_EQ(open_with_passphrase("correct horse", sealed, "here")->text(), "plain");
  EXPECT_TRUE(fails(open_with_passphrase("correct horsf", sealed, "here"), Errc::wrong_secret));
  EXPECT_TRUE(fails(open_with_passphrase("", sealed, "here"), Errc::wrong_secret));
  EXPECT_TRUE(fails(open(key_of(1), sealed, "here"), Errc::wrong_secret));
}

TEST(Seal, ThatWasChangedAnywhereDoesNotOpen) {
  const std::string sealed = seal(key_of(1), as_bytes("plain"), "here")->to_string();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto opened = open(key_of(1), as_bytes(changed), "here");
    ASSERT_FALSE(opened.has_value()) << i;
    EXPECT_TRUE(opened.error().is(Errc::wrong_secret) || opened.error().is(Errc::malformed)) << i;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(open(key_of(1), as_bytes(sealed).first(size), "here").has_value()) << size;
  }
}

TEST(Seal, OfAHigherCostIsRefusedBeforeItIsPaid) {
  SealHeader header;
  header.kind = SealHeader::Kind::passphrase;
  for (const ScryptCost cost : {ScryptCost{16, 8, 1},
                                {31, 8, 1},
                                {15, 9, 1},
                                {15, 8, 2},
                                {0, 8, 1},
                                {15, 0, 1},
                                {15, 8, 0},
                                {255, 255, 255}}) {
    header.cost = cost;
    const auto head = write_header(header);
    std::vector<std::byte> sealed(head.begin(), head.end());
    sealed.resize(100);
    EXPECT_TRUE(fails(open_with_passphrase("p", sealed, ""), Errc::malformed)) << int{cost.log_n};
  }
}

TEST(Seal, HasBoundsOnWhatItTakes) {
  const std::string long_context(limits::seal_context_bytes_max + 1, 'c');
  EXPECT_TRUE(fails(seal(key_of(1), {}, long_context), velo::Errc::invalid_argument));
  const Bytes sealed = seal(key_of(1), {}, "").value();
  EXPECT_TRUE(fails(open(key_of(1), sealed, long_context), velo::Errc::invalid_argument));
  const std::vector<std::byte> much(limits::sealed_bytes_max + 1);
  EXPECT_TRUE(fails(seal(key_of(1), much, ""), velo::Errc::invalid_argument));
}

/// Lines "key: value" of the page's `vectors` blocks, an entry for each paragraph.
static std::vector<std::map<std::string, std::string>> page_vectors() {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream page(root / "docs/protocols/seal.md");
  std::vector<std::map<std::string, std::string>> vectors;
  std::map<std::string, std::string> current;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("```")) {
      inside = line == "```vectors";
    } else if (inside && colon != std::string::npos) {
      current[line.substr(0, colon)] = line.substr(colon + 2);
      continue;
    }
    if (!current.empty()) vectors.push_back(std::exchange(current, {}));
  }
  return vectors;
}

TEST(Seal, IsWrittenAndReadAsThePageSays) {
  const auto vectors = page_vectors();
  ASSERT_EQ(vectors.size(), 3U);
  for (const auto& vector : vectors) {
    SealHeader header;
    const bool by_key = vector.contains("key");
    header.kind = by_key ? SealHeader::Kind::key : SealHeader::Kind::passphrase;
    header.salt = array_of<16>(hex(vector.at("salt")));
    header.nonce = array_of<12>(hex(vector.at("nonce")));
    const Bytes expected = hex(vector.at("sealed"));
    const std::string& plain = vector.at("plain");
    const std::string& context = vector.at("context");
    const std::string secret = by_key ? hex(vector.at("key")).to_string() : vector.at("passphrase");
    EXPECT_EQ(seal_with_header(header, secret, as_bytes(plain), context).value(), expected);
    const auto opened = by_key ? open(array_of<32>(hex(vector.at("key"))), expected, context)
                               : open_with_passphrase(secret, expected, context);
    ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
    EXPECT_EQ(opened->text(), plain);
  }
}

TEST(Seal, WipesASecretThatIsText) {
  std::string secret = "a passphrase that is longer than what fits into the object itself";
  const char* const memory = secret.data();
  const std::size_t size = secret.size();
  wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(std::string(memory, size), std::string(size, '\0'));
}

}  // namespace seal_test
}  // namespace velo::crypto
