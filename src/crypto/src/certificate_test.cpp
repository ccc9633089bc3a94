// SPDX-License-Identifier: Apache-2.0
// Tests of certificates: issuing and reading them, and those made to harm their reader.

#include <velo/crypto/certificate.hpp>

#include <gtest/gtest.h>
#include <velo/base/world.hpp>
#include <velo/crypto/limits.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "certificate_names.hpp"
#include "crypto_test.hpp"
#include "handles.hpp"

namespace velo::crypto {
namespace certificate_test {

using testing::below;
using testing::day;
using testing::fails;
using testing::Holder;
using testing::new_year;
using testing::options_of;
using testing::root;

class CountingRandom final : public Random {
 public:
  std::uint64_t next() noexcept override { return value_ += 0x9e3779b97f4a7c15; }

 private:
  std::uint64_t value_ = 0;
};

/// A certificate of `key` for itself that `change` may spoil before it is signed.
static Bytes self_made(const PrivateKey& key, const std::function<void(X509*)>& change) {
  const X509Ptr certificate(X509_dup(
      native_certificate(issue(key, nullptr, key.public_key(), options_of("self")).value())));
  change(certificate.get());
  EXPECT_GT(X509_sign(certificate.get(), native_key(key), nullptr), 0);
  return encoded<i2d_X509>(certificate.get());
}

static void add_names(X509* certificate, int count, int type, std::string_view text) {
  GENERAL_NAMES* const names = sk_GENERAL_NAME_new_null();
  for (int i = 0; i < count; ++i) {
    GENERAL_NAME* const name = GENERAL_NAME_new();
    ASN1_STRING* const value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names, name);
  }
  EXPECT_EQ(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE), 1);
  GENERAL_NAMES_free(names);
}

TEST(Certificate, SaysWhatItWasIssuedWith) {
  const Holder authority = root();
  for (const KeyKind kind : {KeyKind::ed25519, KeyKind::p256}) {
    const PrivateKey key = PrivateKey::generate(kind).value();
    IssueOptions options = options_of("node \xc3\xa4");
    options.names = {"velo://a/b", "node.example", "10.0.0.1", "*.example", "::1"};
    const auto issued = issue(authority.key, &authority.certificate, key.public_key(), options);
    ASSERT_TRUE(issued.has_value()) << issued.error().to_string();
    EXPECT_EQ(issued->common_name(), "node \xc3\xa4");
    EXPECT_EQ(issued->issuer_common_name(), "root");
    EXPECT_EQ(issued->names(), (std::vector<std::string>{"node.example", "*.example", "10.0.0.1",
                                                         "::1", "velo://a/b"}));
    EXPECT_EQ(issued->public_key(), key.public_key());
    EXPECT_EQ(issued->node_id(), key.public_key().node_id());
    EXPECT_EQ(issued->not_before(), plus(new_year, -std::chrono::minutes(5)));
    EXPECT_EQ(issued->not_after(), plus(new_year, 90 * day));
    EXPECT_FALSE(issued->is_authority());
    EXPECT_TRUE(issued->allows(Purpose::peer));
    const auto again = Certificate::from_pem(issued->to_pem());
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(*again, *issued);
  }
}

TEST(Certificate, OfAP256AuthorityIsIssuedAndBelieved) {
  const PrivateKey key = PrivateKey::generate(KeyKind::p256).value();
  const Holder authority{
      key, issue(key, nullptr, key.public_key(), options_of("root", Purpose::authority)).value()};
  const Holder leaf = below(authority, 2, options_of("leaf"));
  EXPECT_TRUE(testing::trust_in({authority.certificate})
                  ->verify(std::vector{leaf.certificate}, Purpose::peer, new_year)
                  .has_value());
}

TEST(Certificate, IsOnlyForWhatItsPurposeSays) {
  const Holder authority = root();
  const auto made = [&](Purpose purpose) {
    return below(authority, 2, options_of("x", purpose)).certificate;
  };
  const Certificate client = made(Purpose::client);
  const Certificate server = made(Purpose::server);
  EXPECT_TRUE(client.allows(Purpose::client));
  EXPECT_FALSE(client.allows(Purpose::server));
  EXPECT_FALSE(client.allows(Purpose::peer));
  EXPECT_TRUE(server.allows(Purpose::server));
  EXPECT_FALSE(server.allows(Purpose::client));
  EXPECT_FALSE(server.is_authority());
  EXPECT_TRUE(authority.certificate.allows(Purpose::authority));
  EXPECT_FALSE(authority.certificate.allows(Purpose::peer)) << "its key signs certificates only";
}

TEST(Certificate, HasASerialNumberOfItsOwnThatAWorldCanReplay) {
  const Holder authority = root();
  std::set<std::string> serials;
  for (int i = 0; i < 20; ++i) {
    const Certificate made = below(authority, 2, options_of("x")).certificate;
    EXPECT_EQ(made.serial().size(), 32U);
    EXPECT_EQ(made.serial().find_first_not_of("0123456789ABCDEF"), std::string::npos);
    serials.insert(made.serial());
  }
  EXPECT_EQ(serials.size(), 20U);
  CountingRandom one;
  CountingRandom two;
  IssueOptions options = options_of("x");
  options.random = &one;
  const Certificate first = below(authority, 2, options).certificate;
  options.random = &two;
  EXPECT_EQ(first, below(authority, 2, options).certificate);
}

TEST(Certificate, IsIssuedByAnAuthorityOnlyAndWithinItsPathLength) {
  const Holder top = root("root", 1, 0);
  const Holder leaf = below(top, 2, options_of("leaf"));
  const auto of_leaf = issue(leaf.key, &leaf.certificate, leaf.key.public_key(), options_of("x"));
  EXPECT_TRUE(fails(of_leaf, Errc::wrong_purpose));
  const auto authority_below =
      issue(top.key, &top.certificate, leaf.key.public_key(), options_of("x", Purpose::authority));
  EXPECT_TRUE(fails(authority_below, Errc::wrong_purpose));
  const auto with_other_key =
      issue(leaf.key, &top.certificate, leaf.key.public_key(), options_of("x"));
  EXPECT_TRUE(fails(with_other_key, velo::Errc::invalid_argument));
  const auto others_key = issue(leaf.key, nullptr, top.key.public_key(), options_of("x"));
  EXPECT_TRUE(fails(others_key, velo::Errc::invalid_argument));
}

TEST(Certificate, IsNotIssuedWithNamesThatAreNone) {
  const Holder authority = root();
  const auto with = [&](std::vector<std::string> names) {
    IssueOptions options = options_of("x");
    options.names = std::move(names);
    return issue(authority.key, &authority.certificate, authority.key.public_key(), options);
  };
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a,DNS:b"), std::string("a\0b", 3),
        std::string("a\nb"), std::string(":x"), std::string("velo:"), std::string("\xc3\xa4"),
        std::string(300, 'a'), "velo:" + std::string(limits::name_bytes_max, 'a')}) {
    EXPECT_TRUE(fails(with({name}), velo::Errc::invalid_argument)) << name;
  }
  EXPECT_TRUE(fails(with(std::vector<std::string>(limits::names_max + 1, "a")),
                    velo::Errc::invalid_argument));
  EXPECT_EQ(with(std::vector<std::string>(limits::names_max, "a"))->names().size(),
            limits::names_max);
  IssueOptions options = options_of(std::string(limits::common_name_bytes_max + 1, 'a'));
  EXPECT_TRUE(
      fails(issue(authority.key, &authority.certificate, authority.key.public_key(), options),
            velo::Errc::invalid_argument));
  options = options_of("x");
  options.lifetime = Duration::zero();
  EXPECT_TRUE(
      fails(issue(authority.key, &authority.certificate, authority.key.public_key(), options),
            velo::Errc::invalid_argument));
}

TEST(Certificate, ThatIsCutOffOrContinuedIsMalformed) {
  const Bytes der = root().certificate.der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_TRUE(fails(Certificate::from_der(der.slice(0, size)), Errc::malformed)) << size;
  }
  EXPECT_TRUE(fails(Certificate::from_der(as_bytes(der.to_string() + '\0')), Errc::malformed));
}

TEST(Certificate, WithABombOfNamesIsRefused) {
  const PrivateKey key = testing::key(1);
  const auto read = [&](int count, int type, std::string_view text) {
    return Certificate::from_der(
        self_made(key, [&](X509* made) { add_names(made, count, type, text); }));
  };
  EXPECT_TRUE(read(static_cast<int>(limits::names_max), GEN_DNS, "a").has_value());
  EXPECT_TRUE(fails(read(static_cast<int>(limits::names_max) + 1, GEN_DNS, "a"), Errc::malformed));
  EXPECT_TRUE(
      fails(read(1, GEN_DNS, std::string(limits::name_bytes_max + 1, 'a')), Errc::malformed));
  EXPECT_TRUE(fails(read(20'000, GEN_DNS, "a"), Errc::malformed)) << "too large to be looked at";
}

TEST(Certificate, WithANameThatOthersMayReadDifferentlyIsRefused) {
  const PrivateKey key = testing::key(1);
  const auto read = [&](int type, std::string_view text) {
    return Certificate::from_der(
        self_made(key, [&](X509* made) { add_names(made, 1, type, text); }));
  };
  EXPECT_TRUE(read(GEN_DNS, "good.example").has_value());
  EXPECT_TRUE(fails(read(GEN_DNS, std::string_view("good.example\0.evil", 18)), Errc::malformed));
  EXPECT_TRUE(fails(read(GEN_URI, "velo:a\nb"), Errc::malformed));
  EXPECT_TRUE(fails(read(GEN_IPADD, "12345"), Errc::malformed)) << "an address of five bytes";
  const auto common = [&](std::string_view text) {
    return Certificate::from_der(self_made(key, [&](X509* made) {
      X509_NAME_add_entry_by_NID(X509_get_subject_name(made), NID_commonName, V_ASN1_UTF8STRING,
                                 reinterpret_cast<const unsigned char*>(text.data()),
                                 static_cast<int>(text.size()), -1, 0);
    }));
  };
  EXPECT_EQ(common("last")->common_name(), "last") << "the most specific one of several";
  EXPECT_TRUE(fails(common(std::string_view("a\0b", 3)), Errc::malformed));
}

TEST(Certificate, OfAnUnsupportedKeyIsNotRead) {
  const PkeyPtr rsa(EVP_RSA_gen(2048));
  const Bytes der = self_made(testing::key(1),
                              [&](X509* made) { EXPECT_EQ(X509_set_pubkey(made, rsa.get()), 1); });
  EXPECT_TRUE(fails(Certificate::from_der(der), Errc::unsupported_key));
}

TEST(Certificate, WithASerialNumberThatIsNoneIsRefused) {
  for (const std::string& serial : {std::string("-1"), std::string(42, 'F')}) {
    const Bytes der = self_made(testing::key(1), [&](X509* made) {
      BIGNUM* number = nullptr;
      BN_hex2bn(&number, serial.c_str());
      const NumberPtr owner(number);
      ASSERT_NE(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made)), nullptr);
    });
    EXPECT_TRUE(fails(Certificate::from_der(der), Errc::malformed)) << serial;
  }
}

TEST(Certificate, ChainsAreReadInOrderUpToTheirLimit) {
  const Certificate certificate = root().certificate;
  std::string text = "a comment\n";
  for (std::size_t i = 0; i < limits::chain_length_max; ++i) text += certificate.to_pem();
  EXPECT_EQ(Certificate::chain_from_pem(text)->size(), limits::chain_length_max);
  EXPECT_TRUE(fails(Certificate::chain_from_pem(text + certificate.to_pem()), Errc::malformed));
  EXPECT_TRUE(fails(Certificate::chain_from_pem("a comment\n"), Errc::malformed));
  EXPECT_EQ(Certificate::chain_from_pem(testing::key(1).to_pem() + certificate.to_pem())->size(),
            1U)
      << "other blocks are passed over";
}

TEST(Certificate, ThatIsEmptyIsNothing) {
  const Certificate none;
  EXPECT_FALSE(none.valid());
  EXPECT_FALSE(none.is_authority());
  EXPECT_FALSE(none.allows(Purpose::client));
  EXPECT_TRUE(none.names().empty());
  EXPECT_TRUE(none.serial().empty());
  EXPECT_TRUE(none.to_pem().empty());
}

}  // namespace certificate_test
}  // namespace velo::crypto
