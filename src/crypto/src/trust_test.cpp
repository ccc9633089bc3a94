// SPDX-License-Identifier: Apache-2.0
// Tests of the judgement: each way in which a chain is wrong has its own error.

#include <velo/crypto/trust.hpp>

#include <gtest/gtest.h>

#include "crypto_test.hpp"

namespace velo::crypto {
namespace trust_test {

using testing::below;
using testing::day;
using testing::fails;
using testing::Holder;
using testing::new_year;
using testing::options_of;
using testing::root;
using testing::trust_in;

static WallTime after(Duration duration) { return plus(new_year, duration); }

static Result<PeerIdentity> judge(const std::shared_ptr<const TrustStore>& trust,
                                  const std::vector<Certificate>& chain,
                                  Purpose purpose = Purpose::client, WallTime now = new_year) {
  return trust->verify(chain, purpose, now);
}

TEST(TrustStore, BelievesALeafOfItsAuthorityAndSaysWhoItIs) {
  const Holder authority = root();
  IssueOptions options = options_of("node-a");
  options.names = {"velo:node-a", "a.example", "192.0.2.1", "2001:db8::1"};
  const Holder leaf = below(authority, 2, options);
  const auto trust = trust_in({authority.certificate});
  for (const Purpose purpose : {Purpose::client, Purpose::server, Purpose::peer}) {
    const auto peer = judge(trust, {leaf.certificate}, purpose);
    ASSERT_TRUE(peer.has_value()) << peer.error().to_string();
    EXPECT_EQ(peer->node, leaf.key.public_key().node_id());
    EXPECT_EQ(peer->public_key, leaf.key.public_key().der());
    EXPECT_EQ(peer->common_name, "node-a");
    EXPECT_EQ(peer->names,
              (std::vector<std::string>{"a.example", "192.0.2.1", "2001:db8::1", "velo:node-a"}));
    EXPECT_EQ(peer->serial, leaf.certificate.serial());
    EXPECT_EQ(peer->expires, after(90 * day));
  }
}

TEST(TrustStore, BelievesAChainThatThePeerSent) {
  const Holder top = root();
  const Holder middle = below(top, 2, options_of("middle", Purpose::authority));
  const Holder leaf = below(middle, 3, options_of("leaf"));
  const auto trust = trust_in({top.certificate});
  EXPECT_TRUE(judge(trust, {leaf.certificate, middle.certificate}).has_value());
  EXPECT_TRUE(judge(trust, {leaf.certificate, middle.certificate, top.certificate}).has_value());
  EXPECT_TRUE(fails(judge(trust, {leaf.certificate}), Errc::untrusted));
  EXPECT_TRUE(judge(trust_in({middle.certificate}), {leaf.certificate}).has_value())
      << "an authority below another one can be trusted alone";
}

TEST(TrustStore, JudgesByTheTimeItIsGiven) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const auto trust = trust_in({authority.certificate});
  const auto at = [&](Duration duration) {
    return judge(trust, {leaf.certificate}, Purpose::client, after(duration));
  };
  EXPECT_TRUE(fails(at(-6 * std::chrono::minutes(1)), Errc::not_yet_valid));
  EXPECT_TRUE(at(-4 * std::chrono::minutes(1)).has_value()) << "clocks differ";
  EXPECT_TRUE(at(90 * day - std::chrono::seconds(2)).has_value());
  EXPECT_TRUE(fails(at(90 * day + std::chrono::seconds(1)), Errc::expired));
}

TEST(TrustStore, RefusesAnExpiredAuthorityAboveAValidLeaf) {
  const Holder top = root();
  IssueOptions brief = options_of("middle", Purpose::authority);
  brief.lifetime = day;
  const Holder middle = below(top, 2, brief);
  const Holder leaf = below(middle, 3, options_of("leaf"));
  EXPECT_TRUE(fails(judge(trust_in({top.certificate}), {leaf.certificate, middle.certificate},
                          Purpose::client, after(2 * day)),
                    Errc::expired));
}

TEST(TrustStore, RefusesACertificateForAnotherUse) {
  const Holder authority = root();
  const Holder client = below(authority, 2, options_of("client", Purpose::client));
  const Holder server = below(authority, 3, options_of("server", Purpose::server));
  const auto trust = trust_in({authority.certificate});
  EXPECT_TRUE(judge(trust, {client.certificate}, Purpose::client).has_value());
  EXPECT_TRUE(judge(trust, {server.certificate}, Purpose::server).has_value());
  EXPECT_TRUE(fails(judge(trust, {client.certificate}, Purpose::server), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {server.certificate}, Purpose::client), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {client.certificate}, Purpose::peer), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {server.certificate}, Purpose::peer), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {client.certificate}, Purpose::authority), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {authority.certificate}, Purpose::client), Errc::wrong_purpose));
  EXPECT_TRUE(judge(trust, {authority.certificate}, Purpose::authority).has_value());
}

TEST(TrustStore, RefusesAnUnknownAuthority) {
  const Holder known = root("root", 1);
  const Holder stranger = root("stranger", 2);
  const Holder namesake = root("root", 3);
  const auto trust = trust_in({known.certificate});
  for (const Holder& other : {stranger, namesake}) {
    const Holder leaf = below(other, 4, options_of("leaf"));
    EXPECT_TRUE(fails(judge(trust, {leaf.certificate}), Errc::untrusted));
    EXPECT_TRUE(fails(judge(trust, {leaf.certificate, other.certificate}), Errc::untrusted));
  }
}

TEST(TrustStore, RefusesARevokedLeafAndAStaleList) {
  const Holder authority = root();
  const Holder good = below(authority, 2, options_of("good"));
  const Holder bad = below(authority, 3, options_of("bad"));
  RevocationOptions options;
  options.serials = {bad.certificate.serial()};
  options.now = new_year;
  const auto list = revoke(authority.key, authority.certificate, options);
  ASSERT_TRUE(list.has_value()) << list.error().to_string();
  const auto trust = trust_in({authority.certificate}, {*list});
  EXPECT_TRUE(judge(trust, {good.certificate}).has_value());
  EXPECT_TRUE(fails(judge(trust, {bad.certificate}), Errc::revoked));
  EXPECT_TRUE(
      fails(judge(trust, {good.certificate}, Purpose::client, after(8 * day)), Errc::expired));
}

}  // namespace trust_test
}  // namespace velo::crypto
