// SPDX-License-Identifier: Apache-2.0
// A machine loses power at any step of rotating its identity, again and again: its next run finds a
// whole one, the old or the new.

#include <velo/crypto/identity_store.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <string>

namespace velo::sim {
namespace identity_crash_test {

using crypto::Certificate;
using crypto::IdentityStore;
using crypto::IssueOptions;
using crypto::PrivateKey;

/// A node's files; the power fails before the change that is named.
class FailingFiles final : public Files {
 public:
  FailingFiles(Simulation& simulation, SimNode& node, std::size_t changes)
      : simulation_(simulation), node_(node), changes_left_(changes) {}

  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override {
    return node_.files().read(path, bytes_max);
  }
  Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) override {
    return node_.files().read_secret(path, bytes_max);
  }
  Result<void> write_atomic(const std::string& path, ByteSpan contents) override {
    count();
    return node_.files().write_atomic(path, contents);
  }
  Result<void> append(const std::string& path, ByteSpan contents) override {
    count();
    return node_.files().append(path, contents);
  }
  Result<void> remove(const std::string& path) override {
    count();
    return node_.files().remove(path);
  }
  Result<void> create_directories(const std::string& path) override {
    return node_.files().create_directories(path);
  }
  Result<std::vector<FileInfo>> list(const std::string& path) override {
    return node_.files().list(path);
  }
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) override {
    return node_.files().try_lock(path);
  }

 private:
  void count() {
    if (changes_left_-- == 0) simulation_.crash(node_, CrashKind::power);
  }

  Simulation& simulation_;
  SimNode& node_;
  std::size_t changes_left_;
};

class IdentityCrash : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  static PrivateKey draw_key(Random& random) {
    std::array<std::byte, 32> seed{};
    random.fill(seed);
    return PrivateKey::ed25519_from_seed(seed).value();
  }

  Certificate certify(SimNode& node, const PrivateKey& key, const Certificate* issuer,
                      crypto::Purpose purpose) const {
    IssueOptions options;
    options.common_name = "node";
    options.purpose = purpose;
    options.not_before = node.clock().wall_now();
    options.random = &node.random();
    return issue(authority_key, issuer, key.public_key(), options).value();
  }

  PrivateKey authority_key;
};

TEST_P(IdentityCrash, LeavesTheOldIdentityOrTheNewOneWhole) {
  Simulation simulation(GetParam());
  SimNode* node = &simulation.add_node("node");
  authority_key = draw_key(node->random());
  const Certificate authority = certify(*node, authority_key, nullptr, crypto::Purpose::authority);
  PrivateKey key = draw_key(node->random());
  IdentityStore first(node->files(), "/etc/identity");
  ASSERT_TRUE(first.create_key(key, std::nullopt).has_value());
  ASSERT_TRUE(first.store_certificate({certify(*node, key, &authority, crypto::Purpose::peer)})
                  .has_value());
  ASSERT_TRUE(first.store_trust({authority}).has_value());

  int kept = 0;
  int replaced = 0;
  for (int round = 0; round < 40; ++round) {
    const PrivateKey next = draw_key(node->random());
    const Certificate certificate = certify(*node, next, &authority, crypto::Purpose::peer);
    const std::size_t changes = node->random().below(5);
    FailingFiles files(simulation, *node, changes);
    static_cast<void>(
        IdentityStore(files, "/etc/identity").rotate(next, {certificate}, std::nullopt));
    node = &simulation.restart(*node);
    IdentityStore store(node->files(), "/etc/identity");
    const auto found = store.load(std::nullopt);
    ASSERT_TRUE(found.has_value())
        << "seed " << GetParam() << " round " << round << ": " << found.error().to_string();
    ASSERT_EQ(found->chain.front().public_key(), found->key.public_key());
    const bool is_new = found->key.public_key() == next.public_key();
    ASSERT_TRUE(is_new || found->key.public_key() == key.public_key());
    ASSERT_TRUE(found->trust->verify(found->chain, crypto::Purpose::peer, node->clock().wall_now())
                    .has_value());
    (is_new ? replaced : kept) += 1;
    key = found->key;
    EXPECT_LE(node->files().list("/etc/identity")->size(), 5U) << "keys are not hoarded";
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(replaced, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, IdentityCrash,
                         ::testing::Range(std::uint64_t{1}, std::uint64_t{9}));

}  // namespace identity_crash_test
}  // namespace velo::sim
