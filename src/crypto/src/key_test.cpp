// SPDX-License-Identifier: Apache-2.0
// Tests of keys: the vectors of RFC 8032, encodings, and what is no key.

#include <velo/crypto/key.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "crypto_test.hpp"

namespace velo::crypto {
namespace key_test {

using testing::fails;
using testing::hex;

static PrivateKey from_seed(std::string_view text) {
  const Bytes bytes = hex(text);
  std::array<std::byte, 32> seed{};
  std::ranges::copy(bytes, seed.begin());
  return PrivateKey::ed25519_from_seed(seed).value();
}

struct Vector {
  std::string_view secret;
  std::string_view open;
  std::string_view message;
  std::string_view signature;
};

// RFC 8032, 7.1, tests 1 to 3.
constexpr std::array<Vector, 3> vectors{{
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6594a7c15e9716ed28dc027beceea1ec40a"},
}};

TEST(Key, SignsAsRfc8032SaysAndItsVectorsVerify) {
  for (const Vector& vector : vectors) {
    const PrivateKey key = from_seed(vector.secret);
    EXPECT_EQ(key.public_key().raw(), hex(vector.open));
    const auto signature = key.sign(hex(vector.message));
    ASSERT_TRUE(signature.has_value());
    EXPECT_EQ(*signature, hex(vector.signature));
    const auto open = PublicKey::ed25519(hex(vector.open));
    ASSERT_TRUE(open.has_value());
    EXPECT_TRUE(open->verify(hex(vector.message), hex(vector.signature)).has_value());
  }
}

TEST(Key, RefusesAMessageASignatureOrAKeyThatIsNotTheOneSigned) {
  for (const KeyKind kind : {KeyKind::ed25519, KeyKind::p256}) {
    const PrivateKey key = PrivateKey::generate(kind).value();
    const PrivateKey other = PrivateKey::generate(kind).value();
    const Bytes signature = key.sign(as_bytes("message")).value();
    EXPECT_TRUE(key.public_key().verify(as_bytes("message"), signature).has_value());
    EXPECT_TRUE(
        fails(key.public_key().verify(as_bytes("messagf"), signature), Errc::bad_signature));
    EXPECT_TRUE(
        fails(other.public_key().verify(as_bytes("message"), signature), Errc::bad_signature));
    EXPECT_TRUE(fails(key.public_key().verify(as_bytes("message"), signature.slice(1)),
                      Errc::bad_signature));
    EXPECT_TRUE(fails(key.public_key().verify(as_bytes("message"), {}), Errc::bad_signature));
  }
}

TEST(Key, IsWrittenAndReadBackInBothEncodings) {
  for (const KeyKind kind : {KeyKind::ed25519, KeyKind::p256}) {
    const PrivateKey key = PrivateKey::generate(kind).value();
    const auto from_der = PrivateKey::from_der(key.to_der());
    const auto from_pem = PrivateKey::from_pem(key.to_pem());
    ASSERT_TRUE(from_der.has_value());
    ASSERT_TRUE(from_pem.has_value());
    EXPECT_EQ(from_der->kind(), kind);
    EXPECT_EQ(from_der->public_key(), key.public_key());
    EXPECT_EQ(from_pem->public_key(), key.public_key());
    const auto open = PublicKey::from_der(key.public_key().der());
    ASSERT_TRUE(open.has_value());
    EXPECT_EQ(open->node_id(), key.public_key().node_id());
    EXPECT_EQ(open->raw().size(), kind == KeyKind::ed25519 ? 32U : 0U);
  }
}

TEST(Key, OfAnotherKindOrAnotherEncodingIsUnsupported) {
  EVP_PKEY* const raw = EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
  const PkeyPtr strange(raw);
  EXPECT_TRUE(fails(PublicKey::from_der(encoded<i2d_PUBKEY>(raw)), Errc::unsupported_key));
  const PrivateKey key = PrivateKey::generate(KeyKind::p256).value();
  const PkeyPtr copy([&] {
    const Bytes der = key.public_key().der();
    const unsigned char* at = input(der);
    return d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size()));
  }());
  ASSERT_EQ(EVP_PKEY_set_utf8_string_param(copy.get(), "point-format", "compressed"), 1);
  const Bytes compressed = encoded<i2d_PUBKEY>(copy.get());
  ASSERT_LT(compressed.size(), key.public_key().der().size());
  EXPECT_TRUE(fails(PublicKey::from_der(compressed), Errc::unsupported_key))
      << "it would have a second node id";
}

TEST(Key, IsNotReadFromWhatIsNone) {
  const PrivateKey key = testing::key(7);
  const Bytes der = key.to_der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_TRUE(fails(PrivateKey::from_der(der.slice(0, size)), Errc::malformed)) << size;
  }
  for (std::size_t size = 0; size < key.public_key().der().size(); ++size) {
    EXPECT_TRUE(fails(PublicKey::from_der(key.public_key().der().slice(0, size)), Errc::malformed));
  }
  EXPECT_TRUE(fails(PrivateKey::from_der(Bytes::copy(der.to_string() + "x")), Errc::malformed));
  EXPECT_TRUE(fails(PublicKey::from_der(as_bytes(std::string(5000, 'x'))), Errc::malformed));
  EXPECT_TRUE(fails(PublicKey::ed25519(as_bytes("short")), Errc::malformed));
  EXPECT_TRUE(fails(PrivateKey::from_pem("no key"), Errc::malformed));
  EXPECT_TRUE(fails(PrivateKey::from_pem(key.to_pem() + key.to_pem()), Errc::malformed));
}

TEST(Key, WhosePartsDifferIsRefused) {
  const PrivateKey one = PrivateKey::generate(KeyKind::p256).value();
  const PrivateKey two = PrivateKey::generate(KeyKind::p256).value();
  std::string der = one.to_der().to_string();
  const std::string own = one.public_key().der().slice(27).to_string();
  const std::size_t at = der.find(own);
  ASSERT_NE(at, std::string::npos) << "its encoding holds the public part";
  der.replace(at, own.size(), two.public_key().der().slice(27).to_string());
  EXPECT_TRUE(fails(PrivateKey::from_der(as_bytes(der)), Errc::malformed));
}

TEST(Key, ThatIsEmptyDoesNothingAndSaysSo) {
  const PrivateKey none;
  EXPECT_FALSE(none.valid());
  EXPECT_TRUE(fails(none.sign({}), velo::Errc::invalid_argument));
  EXPECT_TRUE(fails(PublicKey().verify({}, {}), velo::Errc::invalid_argument));
  EXPECT_TRUE(none.to_der().empty());
  EXPECT_TRUE(none.to_pem().empty());
}

TEST(Key, LeavesNoErrorsOfOpenSslBehind) {
  ERR_clear_error();
  EXPECT_FALSE(PublicKey::from_der(as_bytes("x")).has_value());
  EXPECT_FALSE(PrivateKey::from_der(as_bytes("x")).has_value());
  EXPECT_FALSE(PrivateKey::from_pem("x").has_value());
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace key_test
}  // namespace velo::crypto
