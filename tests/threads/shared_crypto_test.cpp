// SPDX-License-Identifier: Apache-2.0
// Keys, certificates, trust, credentials and a folder of an identity, used by eight threads at
// once.

#include "crew.hpp"

#include <velo/crypto/certificate.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/crypto/identity_store.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/seal.hpp>
#include <velo/crypto/trust.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace velo::threads_test {
namespace shared_crypto_test {

constexpr WallTime now{1'767'225'600'000'000'000};

struct Cast {
  crypto::PrivateKey authority_key = crypto::PrivateKey::generate().value();
  crypto::PrivateKey leaf_key = crypto::PrivateKey::generate(crypto::KeyKind::p256).value();
  crypto::Certificate authority;
  crypto::Certificate leaf;
  std::shared_ptr<const crypto::TrustStore> trust;

  Cast() {
    crypto::IssueOptions options;
    options.not_before = now;
    options.common_name = "authority";
    options.purpose = crypto::Purpose::authority;
    authority = issue(authority_key, nullptr, authority_key.public_key(), options).value();
    leaf = renewed();
    crypto::TrustOptions whom;
    whom.authorities = {authority};
    crypto::RevocationOptions list;
    list.now = now;
    list.serials = {"01"};
    whom.revocations = {revoke(authority_key, authority, list).value()};
    trust = crypto::TrustStore::create(whom).value();
  }

  crypto::Certificate renewed() const {
    crypto::IssueOptions options;
    options.not_before = now;
    options.common_name = "leaf";
    options.names = {"leaf.example"};
    return issue(authority_key, &authority, leaf_key.public_key(), options).value();
  }

  crypto::Credentials credentials() const { return {leaf_key, {leaf}, trust}; }
};

TEST(SharedCrypto, OneKeyAndOneTrustStoreServeEverybody) {
  const Cast cast;
  std::atomic<int> wrong{0};
  in_eight_threads([&](int thread) {
    const std::string message = "message " + std::to_string(thread);
    for (int i = 0; i < 20; ++i) {
      const auto signature = cast.leaf_key.sign(as_bytes(message));
      const bool signs = signature.has_value() &&
                         cast.leaf.public_key().verify(as_bytes(message), *signature).has_value();
      const std::vector<crypto::Certificate> chain{i % 2 == 0 ? cast.leaf : cast.renewed()};
      const auto peer = cast.trust->verify(chain, crypto::Purpose::peer, now);
      const bool named = cast.leaf.names() == std::vector<std::string>{"leaf.example"};
      if (!signs || !peer.has_value() || !named) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(SharedCrypto, CredentialsAreReplacedWhileTheyAreRead) {
  const Cast cast;
  const auto source = crypto::CredentialSource::create(cast.credentials()).value();
  std::atomic<int> wrong{0};
  in_eight_threads([&](int thread) {
    std::uint64_t last = 0;
    for (int i = 0; i < 50; ++i) {
      if (thread == 0 && !source->replace(cast.credentials()).has_value()) ++wrong;
      const std::uint64_t generation = source->generation();
      const auto current = source->current();
      if (generation < last || current->chain.front().public_key() != current->key.public_key()) {
        ++wrong;
      }
      last = generation;
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(source->generation(), 51U);
}

TEST(SharedCrypto, SealsAreMadeAndOpened) {
  const crypto::SecretKey key = crypto::derive_key(as_bytes("secret"), {}, "test");
  std::atomic<int> wrong{0};
  in_eight_threads([&](int) {
    for (int i = 0; i < 100; ++i) {
      const auto sealed = crypto::seal(key, as_bytes("plain"), "here");
      const auto opened = crypto::open(key, sealed.value(), "here");
      if (!opened.has_value() || opened->text() != "plain") ++wrong;
      if (crypto::open(key, *sealed, "there").error().code().room != Room::crypto) ++wrong;
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(SharedCrypto, AnIdentityIsRotatedWhileItIsRead) {
  const Cast cast;
  const auto world = runtime::RealWorld::create().value();
  std::string folder = (std::filesystem::temp_directory_path() / "velo-threads-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  crypto::IdentityStore store(world->files(), folder);
  ASSERT_TRUE(store.create_key(cast.leaf_key, std::nullopt).has_value());
  ASSERT_TRUE(store.store_certificate({cast.leaf}).has_value());
  ASSERT_TRUE(store.store_trust({cast.authority}).has_value());
  std::atomic<int> wrong{0};
  std::atomic<int> read{0};
  in_eight_threads([&](int thread) {
    crypto::IdentityStore own(world->files(), folder);
    for (int i = 0; i < 20; ++i) {
      if (thread == 0) {
        const auto key = crypto::PrivateKey::generate().value();
        crypto::IssueOptions options;
        options.not_before = now;
        const auto made = issue(cast.authority_key, &cast.authority, key.public_key(), options);
        if (!own.rotate(key, {made.value()}, std::nullopt).has_value()) ++wrong;
        continue;
      }
      const auto loaded = (thread % 2 == 0 ? own : store).load(std::nullopt);
      if (!loaded.has_value()) {
        ++wrong;
        ADD_FAILURE() << loaded.error().to_string();
        continue;
      }
      if (loaded->chain.front().public_key() != loaded->key.public_key()) ++wrong;
      ++read;
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(read, 140);
  std::filesystem::remove_all(folder);
}

}  // namespace shared_crypto_test
}  // namespace velo::threads_test
