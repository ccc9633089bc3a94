// SPDX-License-Identifier: Apache-2.0
// Messengers with certificates and instance keys over real TLS and QUIC connections: who each sees
// at the other end, and what a replaced certificate changes of that.

#include <velo/crypto/credentials.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/backends/tls.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace velo::secure_peers_test {

/// Issues certificates of names, and trusts them.
class Authority {
 public:
  explicit Authority(World& world) : now_(world.clock().wall_now()) {
    crypto::IssueOptions options;
    options.common_name = "authority";
    options.purpose = crypto::Purpose::authority;
    options.not_before = now_;
    certificate_ = *crypto::issue(key_, nullptr, key_.public_key(), options);
  }
  crypto::Credentials of(const std::string& name) const {
    crypto::IssueOptions options;
    options.common_name = name;
    options.names = {name + ".example"};
    options.not_before = now_;
    crypto::Credentials made;
    made.key = *crypto::PrivateKey::generate();
    made.chain = {*crypto::issue(key_, &certificate_, made.key.public_key(), options)};
    crypto::TrustOptions trust;
    trust.authorities = {certificate_};
    made.trust = *crypto::TrustStore::create(std::move(trust));
    return made;
  }

 private:
  const WallTime now_;
  crypto::PrivateKey key_ = *crypto::PrivateKey::generate();
  crypto::Certificate certificate_;
};

/// The parameter: "tls" or "quic".
class SecurePeers : public ::testing::TestWithParam<std::string> {
 protected:
  struct Node {
    std::shared_ptr<crypto::CredentialSource> credentials;
    std::unique_ptr<Messenger> messenger;
  };

  Node start(const std::string& name, AccessPolicy access = AccessPolicy(),
             bool with_instance_key = true) {
    Node node;
    node.credentials = *crypto::CredentialSource::create(authority.of(name));
    auto builder = Messenger::builder(*world);
    builder.add_transport(transport_of(node.credentials)).access(std::move(access));
    if (with_instance_key) builder.instance_key(*crypto::PrivateKey::generate());
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    node.messenger = std::move(*built);
    EXPECT_TRUE(node.messenger->register_handler(
        Handler::unary_handler("who",
                               [](Context& context) {
                                 const ConnectionIdentity& caller = context.peer_identity();
                                 return Bytes::copy(
                                     caller.authentic() ? caller.certificate->common_name : "?");
                               })
            .inline_()
            .build()));
    return node;
  }
  static std::unique_ptr<transport::Transport> transport_of(
      std::shared_ptr<crypto::CredentialSource> credentials) {
    if (GetParam() == "quic") {
      transport::QuicOptions options;
      options.credentials = std::move(credentials);
      return transport::make_quic(std::move(options));
    }
    transport::TlsOptions options;
    options.credentials = std::move(credentials);
    return transport::make_tls(std::move(options));
  }
  static Result<Bytes> ask(const Node& from, const Node& to) {
    EXPECT_TRUE(from.messenger->register_peer(to.messenger->peer_info()));
    return from.messenger->unary("who").instance(to.messenger->instance_id()).send().get();
  }

  std::unique_ptr<runtime::RealWorld> world =
      *runtime::RealWorld::create(runtime::RuntimeOptions());
  Authority authority{*world};
};

TEST_P(SecurePeers, SeeWhoTheOtherIs) {
  const Node alice = start("alice");
  const Node bob = start("bob");
  const auto answer = ask(alice, bob);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->text(), "alice");
  const auto seen = alice.messenger->identity_of(bob.messenger->instance_id());
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->authentic());
  EXPECT_TRUE(seen->is_private);
  EXPECT_EQ(seen->node(), bob.credentials->current()->key.public_key().node_id());
}

TEST_P(SecurePeers, AreLetInByTheNameInTheirCertificate) {
  AccessPolicy rules;
  rules.allow("*", Who::named("alice.example")).deny("*", Who::anyone());
  const Node bob = start("bob", rules);
  EXPECT_TRUE(ask(start("alice"), bob));
  const auto refused = ask(start("mallory"), bob);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(messenger::Errc::permission_denied))
      << refused.error().to_string();
}

TEST_P(SecurePeers, KeepTheirIdsWhenTheirKeysAreReplaced) {
  const Node alice = start("alice");
  const Node bob = start("bob");
  ASSERT_TRUE(ask(alice, bob));
  const NodeId before = alice.messenger->identity_of(bob.messenger->instance_id())->node();
  ASSERT_TRUE(bob.credentials->replace(authority.of("bob")));
  EXPECT_TRUE(ask(alice, bob)) << "what is connected goes on";
  // A new connection shows the new certificate, and is still of the same instance.
  const Node carol = start("carol");
  ASSERT_TRUE(ask(carol, bob));
  const auto seen = carol.messenger->identity_of(bob.messenger->instance_id());
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->authentic());
  EXPECT_NE(seen->node(), before);
  EXPECT_EQ(seen->node(), bob.credentials->current()->key.public_key().node_id());
}

TEST_P(SecurePeers, AskForAProofOfTheInstanceAsWell) {
  const Node bob = start("bob");
  const auto refused = ask(start("alice", AccessPolicy(), false), bob);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("not_authenticated"), std::string::npos)
      << refused.error().to_string();
}

INSTANTIATE_TEST_SUITE_P(Transports, SecurePeers, ::testing::Values("tls", "quic"),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace velo::secure_peers_test
