// SPDX-License-Identifier: Apache-2.0
// Nodes with an identity, put together by the facade, over TLS on loopback.

#include <velo/velo.hpp>

#include <velo/crypto/identity_store.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace velo::identity_test {

/// An authority, and folders of nodes that it vouches for.
class Site {
 public:
  Site() : path_(testing::TempDir() + "velo-site-XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    world_ = std::move(runtime::RealWorld::create()).value();
    key_ = crypto::PrivateKey::generate().value();
    crypto::IssueOptions options;
    options.common_name = "site";
    options.purpose = crypto::Purpose::authority;
    options.not_before = world_->clock().wall_now();
    authority_ = crypto::issue(key_, nullptr, key_.public_key(), options).value();
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  ~Site() { std::filesystem::remove_all(path_); }

  /// The folder.
  std::string node(const std::string& name) {
    const std::string folder = path_ + "/" + name;
    std::filesystem::create_directories(folder);
    const auto key = crypto::PrivateKey::generate().value();
    crypto::IdentityStore store(world_->files(), folder);
    EXPECT_TRUE(store.create_key(key, std::nullopt));
    EXPECT_TRUE(store.store_certificate({issued(key, name)}));
    EXPECT_TRUE(store.store_trust({authority_}));
    return folder;
  }
  void rotate(const std::string& folder, const std::string& name) {
    const auto key = crypto::PrivateKey::generate().value();
    crypto::IdentityStore store(world_->files(), folder);
    EXPECT_TRUE(store.rotate(key, {issued(key, name)}, std::nullopt));
  }

 private:
  crypto::Certificate issued(const crypto::PrivateKey& key, const std::string& name) {
    crypto::IssueOptions options;
    options.common_name = name;
    options.not_before = world_->clock().wall_now();
    return crypto::issue(key_, &authority_, key.public_key(), options).value();
  }

  std::string path_;
  std::unique_ptr<runtime::RealWorld> world_;
  crypto::PrivateKey key_;
  crypto::Certificate authority_;
};

static std::unique_ptr<Velo> node(const std::string& folder, AccessPolicy policy = AccessPolicy()) {
  auto built = Velo::builder().identity(folder).tls().access(std::move(policy)).build();
  if (!built) {
    ADD_FAILURE() << built.error().to_string();
    return nullptr;
  }
  return std::move(*built);
}

static Handler who_calls() {
  return Handler::unary_handler("who",
                                [](Context& context) {
                                  const auto& caller = context.peer_identity();
                                  return Bytes::copy(caller.certificate == nullptr
                                                         ? "nobody"
                                                         : caller.certificate->common_name);
                                })
      .build();
}

TEST(VeloIdentity, ACallerIsKnownByItsCertificate) {
  Site site;
  auto a = node(site.node("alice"));
  auto b = node(site.node("bob"));
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_TRUE(b->register_handler(who_calls()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  const auto reply = a->unary("who").instance(b->instance_id()).send().get();
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "alice");
}

TEST(VeloIdentity, ANodeOfAnotherSiteIsNotAnswered) {
  Site site;
  Site elsewhere;
  auto a = node(elsewhere.node("mallory"));
  auto b = node(site.node("bob"));
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_TRUE(b->register_handler(who_calls()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  const auto reply = a->unary("who").instance(b->instance_id()).send().get();
  ASSERT_FALSE(reply);
  EXPECT_EQ(b->books().received.requests, 0U);
}

TEST(VeloIdentity, RotationKeepsConnectionsAndHoldsForNewOnes) {
  Site site;
  const std::string folder = site.node("bob");
  auto a = node(site.node("alice"));
  auto b = node(folder);
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_TRUE(b->register_handler(who_calls()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  ASSERT_TRUE(a->unary("who").instance(b->instance_id()).send().get());
  const NodeId before = b->credentials()->current()->key.public_key().node_id();
  site.rotate(folder, "bob");
  ASSERT_TRUE(b->reload_identity());
  EXPECT_NE(b->credentials()->current()->key.public_key().node_id(), before);
  EXPECT_TRUE(a->unary("who").instance(b->instance_id()).send().get());
  auto c = node(site.node("carol"));
  ASSERT_NE(c, nullptr);
  ASSERT_TRUE(c->register_peer(b->peer_info()));
  const auto reply = c->unary("who").instance(b->instance_id()).send().get();
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "carol");
}

TEST(VeloIdentity, RulesSayWhoMayCall) {
  Site site;
  auto a = node(site.node("alice"));
  auto m = node(site.node("mike"));
  auto b = node(site.node("bob"),
                AccessPolicy().allow("who", Who::named("alice")).deny("*", Who::anyone()));
  ASSERT_TRUE(a != nullptr && b != nullptr && m != nullptr);
  ASSERT_TRUE(b->register_handler(who_calls()));
  ASSERT_TRUE(a->register_peer(b->peer_info()));
  ASSERT_TRUE(m->register_peer(b->peer_info()));
  EXPECT_TRUE(a->unary("who").instance(b->instance_id()).send().get());
  const auto refused = m->unary("who").instance(b->instance_id()).send().get();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(messenger::Errc::permission_denied))
      << refused.error().to_string();
}

TEST(VeloIdentity, TlsWithoutAnIdentityIsNotBuilt) {
  const auto built = Velo::builder().tls().build();
  ASSERT_FALSE(built);
  EXPECT_TRUE(built.error().is(Errc::invalid_argument));
}

}  // namespace velo::identity_test
