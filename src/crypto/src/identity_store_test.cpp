// SPDX-License-Identifier: Apache-2.0
// Tests of the folder of an identity: what is found after each crash, and during each rotation.

#include <velo/crypto/identity_store.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "crypto_test.hpp"
#include "memory_files.hpp"

namespace velo::crypto {
namespace identity_store_test {

using testing::below;
using testing::fails;
using testing::Holder;
using testing::MemoryFiles;
using testing::options_of;

class IdentityStoreTest : public ::testing::Test {
 protected:
  void make(std::optional<std::string_view> passphrase = std::nullopt) {
    ASSERT_TRUE(store.create_key(first.key, passphrase).has_value());
    ASSERT_TRUE(store.store_certificate({first.certificate}).has_value());
    ASSERT_TRUE(store.store_trust({authority.certificate}).has_value());
  }

  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& [name, contents] : files.files) all.insert(name);
    return all;
  }

  const Holder authority = testing::root();
  const Holder first = below(authority, 2, options_of("first"));
  const Holder second = below(authority, 3, options_of("second"));
  MemoryFiles files;
  IdentityStore store{files, "id"};
};

TEST_F(IdentityStoreTest, GivesBackWhatWasStored) {
  EXPECT_TRUE(fails(store.key_is_sealed(), velo::Errc::not_found));
  make();
  EXPECT_FALSE(store.key_is_sealed().value());
  const auto loaded = store.load(std::nullopt);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
  EXPECT_EQ(loaded->key.public_key(), first.key.public_key());
  EXPECT_EQ(loaded->chain, std::vector{first.certificate});
  EXPECT_TRUE(
      loaded->trust->verify(std::vector{second.certificate}, Purpose::peer, testing::new_year)
          .has_value());
  EXPECT_TRUE(CredentialSource::create(*loaded).has_value());
}

TEST_F(IdentityStoreTest, SealsTheKeyWithAPassphrase) {
  make("secret");
  for (const auto& [name, contents] : files.files) {
    EXPECT_EQ(contents.find("PRIVATE KEY"), std::string::npos) << name;
    EXPECT_EQ(contents.find(first.key.to_der().slice(16).to_string()), std::string::npos) << name;
  }
  EXPECT_TRUE(store.key_is_sealed().value());
  EXPECT_TRUE(store.load("secret").has_value());
  EXPECT_TRUE(fails(store.load("other"), Errc::wrong_secret));
  EXPECT_TRUE(fails(store.load(std::nullopt), Errc::wrong_secret));
  EXPECT_EQ(store.load_certificate()->front(), first.certificate) << "this needs no passphrase";
}

TEST_F(IdentityStoreTest, HasOneKeyAndItsCertificateOnly) {
  EXPECT_TRUE(fails(store.load(std::nullopt), velo::Errc::not_found));
  EXPECT_TRUE(fails(store.load_key(std::nullopt), velo::Errc::not_found));
  ASSERT_TRUE(store.create_key(first.key, std::nullopt).has_value());
  EXPECT_EQ(store.load_key(std::nullopt)->public_key(), first.key.public_key());
  EXPECT_TRUE(fails(store.create_key(second.key, std::nullopt), velo::Errc::already_exists));
  EXPECT_TRUE(fails(store.store_certificate({second.certificate}), velo::Errc::invalid_argument));
  EXPECT_TRUE(fails(store.store_certificate({}), velo::Errc::invalid_argument));
  EXPECT_TRUE(fails(store.store_trust({second.certificate}), velo::Errc::invalid_argument));
  EXPECT_TRUE(
      fails(store.rotate(second.key, {second.certificate}, std::nullopt), velo::Errc::not_found))
      << "there is no certificate yet";
}

TEST_F(IdentityStoreTest, RefusesAKeyThatOthersCanRead) {
  make();
  files.owner_only = false;
  EXPECT_TRUE(fails(store.load(std::nullopt), Errc::unsafe_permissions));
}

TEST_F(IdentityStoreTest, HoldsRevocationListsUntilTheyAreTakenAway) {
  make();
  EXPECT_TRUE(store.load_revocations()->empty());
  RevocationOptions options;
  options.serials = {second.certificate.serial()};
  options.now = testing::new_year;
  const auto list = revoke(authority.key, authority.certificate, options).value();
  ASSERT_TRUE(store.store_revocations({list}).has_value());
  const auto trust = store.load(std::nullopt)->trust;
  EXPECT_TRUE(
      fails(trust->verify(std::vector{second.certificate}, Purpose::peer, testing::new_year),
            Errc::revoked));
  const auto strangers =
      revoke(testing::root("other", 9).key, testing::root("other", 9).certificate, options);
  ASSERT_TRUE(store.store_revocations({*strangers}).has_value());
  EXPECT_TRUE(fails(store.load(std::nullopt), Errc::bad_signature));
  ASSERT_TRUE(store.store_revocations({}).has_value());
  EXPECT_TRUE(store.load(std::nullopt).has_value());
}

TEST_F(IdentityStoreTest, RotatesToTheNewKeyAndLeavesNothingOfTheOld) {
  make();
  const auto before = names();
  ASSERT_TRUE(store.rotate(second.key, {second.certificate}, std::nullopt).has_value());
  EXPECT_EQ(store.load(std::nullopt)->key.public_key(), second.key.public_key());
  EXPECT_EQ(names().size(), before.size());
  EXPECT_TRUE(fails(store.rotate(first.key, {second.certificate}, std::nullopt),
                    velo::Errc::invalid_argument));
}

TEST_F(IdentityStoreTest, SealsAndUnsealsTheSameKeyByRotation) {
  make();
  ASSERT_TRUE(store.rotate(first.key, {first.certificate}, "secret").has_value());
  EXPECT_TRUE(fails(store.load(std::nullopt), Errc::wrong_secret));
  EXPECT_TRUE(store.load("secret").has_value());
  ASSERT_TRUE(store.rotate(first.key, {first.certificate}, std::nullopt).has_value());
  EXPECT_TRUE(store.load(std::nullopt).has_value());
}

TEST_F(IdentityStoreTest, IsWholeAfterACrashBetweenAnyTwoStepsOfARotation) {
  make();
  const auto untouched = files.files;
  bool complete = false;
  int old_found = 0;
  int new_found = 0;
  for (std::size_t changes = 0; !complete; ++changes) {
    ASSERT_LT(changes, 20U);
    files.files = untouched;
    files.changes_left = changes;
    complete = store.rotate(second.key, {second.certificate}, std::nullopt).has_value();
    files.changes_left = SIZE_MAX;
    const auto loaded = store.load(std::nullopt);
    ASSERT_TRUE(loaded.has_value()) << changes << " " << loaded.error().to_string();
    EXPECT_EQ(loaded->key.public_key(), loaded->chain.front().public_key());
    (loaded->chain.front() == first.certificate ? old_found : new_found) += 1;
    // What was left behind goes with the next rotation.
    ASSERT_TRUE(store.rotate(first.key, {first.certificate}, std::nullopt).has_value());
    EXPECT_EQ(files.files, untouched) << changes;
  }
  EXPECT_GT(old_found, 1);
  EXPECT_GT(new_found, 1);
}

TEST_F(IdentityStoreTest, IsWholeForAReaderWhileItIsRotated) {
  make();
  // A rotation comes before the n-th read of the reader, and no other.
  for (int place = 0; place < 12; ++place) {
    int reads = 0;
    bool busy = false;
    const Holder& next = place % 2 == 0 ? second : first;
    files.before_read = [&] {
      if (busy || reads++ != place) return;
      busy = true;
      EXPECT_TRUE(store.rotate(next.key, {next.certificate}, std::nullopt).has_value());
      busy = false;
    };
    const auto loaded = store.load(std::nullopt);
    ASSERT_TRUE(loaded.has_value()) << place << " " << loaded.error().to_string();
    EXPECT_EQ(loaded->key.public_key(), loaded->chain.front().public_key()) << place;
  }
}

TEST_F(IdentityStoreTest, EndsForAReaderThatIsNeverLeftInPeace) {
  make();
  bool busy = false;
  bool turn = false;
  files.before_read = [&] {
    if (std::exchange(busy, true)) return;
    turn = !turn;
    const Holder& next = turn ? second : first;
    EXPECT_TRUE(store.rotate(next.key, {next.certificate}, std::nullopt).has_value());
    busy = false;
  };
  const auto loaded = store.load(std::nullopt);
  if (loaded.has_value()) {
    EXPECT_EQ(loaded->key.public_key(), loaded->chain.front().public_key());
  } else {
    EXPECT_TRUE(loaded.error().is(velo::Errc::not_found) || loaded.error().is(Errc::malformed));
  }
}

TEST_F(IdentityStoreTest, KeepsASecondWriterOut) {
  make();
  const auto held = files.try_lock("id/lock");
  EXPECT_TRUE(
      fails(store.rotate(second.key, {second.certificate}, std::nullopt), velo::Errc::overloaded));
  EXPECT_TRUE(fails(store.store_trust({authority.certificate}), velo::Errc::overloaded));
  EXPECT_TRUE(store.load(std::nullopt).has_value()) << "a reader does not wait";
}

TEST_F(IdentityStoreTest, SaysWhichFileIsDamaged) {
  make();
  const auto whole = files.files;
  for (const auto& [name, contents] : whole) {
    for (const std::string& damaged :
         {std::string(), std::string("text"), contents.substr(0, 90)}) {
      files.files = whole;
      files.files[name] = damaged;
      EXPECT_TRUE(fails(store.load(std::nullopt), Errc::malformed)) << name << ": " << damaged;
    }
  }
}

TEST_F(IdentityStoreTest, RefusesAKeyFileWithAnotherKeyInIt) {
  make();
  for (auto& [name, contents] : files.files) {
    if (name.starts_with("id/key-")) contents = second.key.to_pem();
  }
  EXPECT_TRUE(fails(store.load(std::nullopt), Errc::malformed));
}

}  // namespace identity_store_test
}  // namespace velo::crypto
