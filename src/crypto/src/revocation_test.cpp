// SPDX-License-Identifier: Apache-2.0
// Tests of revocation lists: issuing, reading, and those made to harm their reader.

#include <gtest/gtest.h>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "crypto_test.hpp"
#include "handles.hpp"

namespace velo::crypto {
namespace revocation_test {

using testing::below;
using testing::day;
using testing::fails;
using testing::Holder;
using testing::new_year;
using testing::options_of;
using testing::root;

static RevocationOptions revoking(std::vector<std::string> serials, std::uint64_t number = 1) {
  RevocationOptions options;
  options.serials = std::move(serials);
  options.number = number;
  options.now = new_year;
  return options;
}

static Bytes changed(const Holder& authority, const std::function<void(X509_CRL*)>& change) {
  const auto list = revoke(authority.key, authority.certificate, revoking({"0A"})).value();
  const CrlPtr copy(X509_CRL_dup(native_list(list)));
  change(copy.get());
  EXPECT_GT(X509_CRL_sign(copy.get(), native_key(authority.key), nullptr), 0);
  return encoded<i2d_X509_CRL>(copy.get());
}

TEST(RevocationList, SaysWhatItWasIssuedWith) {
  const Holder authority = root();
  const auto list =
      revoke(authority.key, authority.certificate, revoking({"0B", "0A", "0B"}, 7)).value();
  EXPECT_EQ(list.serials(), (std::vector<std::string>{"0A", "0B"}));
  EXPECT_EQ(list.number(), 7U);
  EXPECT_EQ(list.this_update(), new_year);
  EXPECT_EQ(list.next_update(), plus(new_year, 7 * day));
  EXPECT_EQ(list.issuer_common_name(), "root");
  EXPECT_TRUE(list.revokes("0A"));
  EXPECT_TRUE(list.revokes("0a"));
  EXPECT_FALSE(list.revokes("0C"));
  EXPECT_FALSE(list.revokes("no number"));
  EXPECT_TRUE(list.verify(authority.certificate).has_value());
  EXPECT_EQ(RevocationList::from_pem(list.to_pem())->der(), list.der());
}

TEST(RevocationList, MayBeEmpty) {
  const Holder authority = root();
  const auto list = revoke(authority.key, authority.certificate, revoking({})).value();
  EXPECT_TRUE(list.serials().empty());
  EXPECT_FALSE(list.revokes("0A"));
  EXPECT_TRUE(RevocationList::from_der(list.der()).has_value());
}

TEST(RevocationList, IsIssuedByAnAuthorityWithItsOwnKeyOnly) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  EXPECT_TRUE(fails(revoke(leaf.key, leaf.certificate, revoking({})), Errc::wrong_purpose));
  EXPECT_TRUE(
      fails(revoke(leaf.key, authority.certificate, revoking({})), velo::Errc::invalid_argument));
  for (const std::string& serial : {std::string(), std::string("-1"), std::string("xyz"),
                                    std::string(41, 'A'), std::string("1 2")}) {
    EXPECT_TRUE(fails(revoke(authority.key, authority.certificate, revoking({serial})),
                      velo::Errc::invalid_argument))
        << serial;
  }
  RevocationOptions brief = revoking({});
  brief.lifetime = Duration::zero();
  EXPECT_TRUE(
      fails(revoke(authority.key, authority.certificate, brief), velo::Errc::invalid_argument));
  EXPECT_TRUE(fails(revoke(authority.key, authority.certificate,
                           revoking(std::vector<std::string>(limits::revoked_max + 1, "01"))),
                    velo::Errc::invalid_argument));
}

TEST(RevocationList, OfAnotherAuthorityOrChangedIsNotVerified) {
  const Holder authority = root();
  const Holder namesake = root("root", 5);
  const auto list = revoke(authority.key, authority.certificate, revoking({"0A"})).value();
  EXPECT_TRUE(fails(list.verify(namesake.certificate), Errc::bad_signature));
  std::string der = list.der().to_string();
  const std::size_t at = der.find("\x02\x01\x0a");
  ASSERT_NE(at, std::string::npos);
  der[at + 2] = '\x0b';
  const auto forged = RevocationList::from_der(as_bytes(der));
  ASSERT_TRUE(forged.has_value());
  EXPECT_TRUE(forged->revokes("0B"));
  EXPECT_TRUE(fails(forged->verify(authority.certificate), Errc::bad_signature));
}

TEST(RevocationList, ThatIsCutOffIsMalformed) {
  const Holder authority = root();
  const Bytes der = revoke(authority.key, authority.certificate, revoking({"0A"}))->der();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_TRUE(fails(RevocationList::from_der(der.slice(0, size)), Errc::malformed)) << size;
  }
  EXPECT_TRUE(fails(RevocationList::from_der(as_bytes(der.to_string() + "x")), Errc::malformed));
  EXPECT_TRUE(fails(RevocationList::from_pem("x"), Errc::malformed));
}

TEST(RevocationList, OfAMeaningThatIsUnknownHereIsRefused) {
  const Holder authority = root();
  const auto with = [&](int id) {
    return RevocationList::from_der(changed(authority, [&](X509_CRL* list) {
      const IntegerPtr number(ASN1_INTEGER_new());
      ASN1_INTEGER_set(number.get(), 1);
      EXPECT_EQ(X509_CRL_add1_ext_i2d(list, id, number.get(), 1, X509V3_ADD_DEFAULT), 1);
    }));
  };
  EXPECT_TRUE(fails(with(NID_delta_crl), Errc::malformed)) << "a list of changes";
  const auto without_end = RevocationList::from_der(changed(authority, [](X509_CRL* list) {
    const TimePtr none(ASN1_TIME_new());
    EXPECT_EQ(X509_CRL_set1_nextUpdate(list, none.get()), 1);
  }));
  EXPECT_FALSE(without_end.has_value());
}

TEST(RevocationList, WithTooManyEntriesIsRefusedBeforeItIsRead) {
  const Holder authority = root();
  const auto with = [&](std::size_t count) {
    return changed(authority, [&](X509_CRL* list) {
      const TimePtr now(ASN1_TIME_set(nullptr, 0));
      for (std::size_t i = 1; i < count; ++i) {
        X509_REVOKED* const entry = X509_REVOKED_new();
        const IntegerPtr serial(ASN1_INTEGER_new());
        ASN1_INTEGER_set(serial.get(), static_cast<long>(i + 100));
        X509_REVOKED_set_serialNumber(entry, serial.get());
        X509_REVOKED_set_revocationDate(entry, now.get());
        X509_CRL_add0_revoked(list, entry);
      }
    });
  };
  EXPECT_EQ(RevocationList::from_der(with(limits::revoked_max))->serials().size(),
            limits::revoked_max);
  EXPECT_TRUE(fails(RevocationList::from_der(with(limits::revoked_max + 1)), Errc::malformed));
}

}  // namespace revocation_test
}  // namespace velo::crypto
