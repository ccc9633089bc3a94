// SPDX-License-Identifier: Apache-2.0
// Tests of what a transport presents, and of its replacement.

#include <velo/crypto/credentials.hpp>

#include <gtest/gtest.h>

#include "crypto_test.hpp"

namespace velo::crypto {
namespace credentials_test {

using testing::below;
using testing::fails;
using testing::Holder;
using testing::options_of;

static Credentials credentials_of(const Holder& authority, const Holder& holder) {
  return {holder.key, {holder.certificate}, testing::trust_in({authority.certificate})};
}

TEST(CredentialSource, IsReplacedWholeAndCountsIt) {
  const Holder authority = testing::root();
  const Holder first = below(authority, 2, options_of("first"));
  const Holder second = below(authority, 3, options_of("second"));
  const auto source = CredentialSource::create(credentials_of(authority, first)).value();
  EXPECT_EQ(source->generation(), 1U);
  const auto before = source->current();
  ASSERT_TRUE(source->replace(credentials_of(authority, second)).has_value());
  EXPECT_EQ(source->generation(), 2U);
  EXPECT_EQ(source->current()->chain.front().common_name(), "second");
  EXPECT_EQ(before->chain.front().common_name(), "first") << "who has the old ones keeps them";
}

TEST(CredentialSource, RefusesWhatIsIncompleteAndKeepsTheOld) {
  const Holder authority = testing::root();
  const Holder holder = below(authority, 2, options_of("holder"));
  const Credentials whole = credentials_of(authority, holder);
  const auto source = CredentialSource::create(whole).value();
  std::vector<Credentials> wrong(4, whole);
  wrong[0].key = PrivateKey();
  wrong[1].chain.clear();
  wrong[2].trust = nullptr;
  wrong[3].key = testing::key(9);
  for (const Credentials& credentials : wrong) {
    EXPECT_TRUE(fails(CredentialSource::create(credentials), velo::Errc::invalid_argument));
    EXPECT_TRUE(fails(source->replace(credentials), velo::Errc::invalid_argument));
  }
  EXPECT_EQ(source->generation(), 1U);
  EXPECT_EQ(source->current()->chain.front().common_name(), "holder");
}

}  // namespace credentials_test
}  // namespace velo::crypto
