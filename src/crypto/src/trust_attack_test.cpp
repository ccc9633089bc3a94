// SPDX-License-Identifier: Apache-2.0
// Tests of the judgement against those who want to be believed: forged, stolen and withdrawn
// chains, leaves that issue, chains that are too long, pins and denials.

#include <velo/crypto/trust.hpp>

#include <gtest/gtest.h>
#include <velo/crypto/limits.hpp>

#include <string>
#include <vector>

#include "crypto_test.hpp"
#include "handles.hpp"

namespace velo::crypto {
namespace trust_attack_test {

using testing::below;
using testing::day;
using testing::fails;
using testing::Holder;
using testing::new_year;
using testing::options_of;
using testing::root;
using testing::trust_in;

static Result<PeerIdentity> judge(const std::shared_ptr<const TrustStore>& trust,
                                  const std::vector<Certificate>& chain,
                                  Purpose purpose = Purpose::client, WallTime now = new_year) {
  return trust->verify(chain, purpose, now);
}

static RevocationList list_of(const Holder& authority, std::vector<std::string> serials,
                              std::uint64_t number = 1, Duration lifetime = 7 * day) {
  RevocationOptions options;
  options.serials = std::move(serials);
  options.number = number;
  options.now = new_year;
  options.lifetime = lifetime;
  return revoke(authority.key, authority.certificate, options).value();
}

/// Signed as if `issuer` were an authority, which issue() refuses to do.
static Certificate forged(const Holder& issuer, const Certificate& victim) {
  const X509Ptr certificate(X509_dup(native_certificate(victim)));
  X509_set_issuer_name(certificate.get(),
                       X509_get_subject_name(native_certificate(issuer.certificate)));
  const int at = X509_get_ext_by_NID(certificate.get(), NID_authority_key_identifier, -1);
  if (at >= 0) X509_EXTENSION_free(X509_delete_ext(certificate.get(), at));
  EXPECT_GT(X509_sign(certificate.get(), native_key(issuer.key), nullptr), 0);
  return Certificate::from_der(encoded<i2d_X509>(certificate.get())).value();
}

TEST(TrustStore, RefusesALeafThatIssues) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const Holder other = below(authority, 3, options_of("other"));
  const Certificate made = forged(leaf, other.certificate);
  const auto trust = trust_in({authority.certificate});
  EXPECT_TRUE(fails(judge(trust, {made, leaf.certificate}), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {made}), Errc::untrusted)) << "who made it is not known";
}

TEST(TrustStore, RefusesAForgedSignature) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const auto trust = trust_in({authority.certificate});
  std::string der = leaf.certificate.der().to_string();
  der.back() = static_cast<char>(der.back() ^ 1);
  EXPECT_TRUE(fails(judge(trust, {Certificate::from_der(as_bytes(der)).value()}), Errc::untrusted));
  const std::size_t at = der.find("leaf");
  der[at] = 'L';
  EXPECT_TRUE(fails(judge(trust, {Certificate::from_der(as_bytes(der)).value()}), Errc::untrusted));
  const Holder namesake = root("root", 9);
  EXPECT_TRUE(fails(judge(trust, {forged(namesake, leaf.certificate)}), Errc::untrusted));
  EXPECT_TRUE(fails(judge(trust, {forged(namesake, leaf.certificate), namesake.certificate}),
                    Errc::untrusted));
}

TEST(TrustStore, RefusesAnAuthorityThatIsTooFarDown) {
  const Holder top = root("root", 1, 0);
  Holder middle{testing::key(2), {}};
  const Holder pretended = root("middle", 2, 0);
  middle.certificate = forged(top, pretended.certificate);
  const Holder leaf = below(middle, 3, options_of("leaf"));
  EXPECT_TRUE(judge(trust_in({middle.certificate}), {leaf.certificate}).has_value());
  EXPECT_TRUE(fails(judge(trust_in({top.certificate}), {leaf.certificate, middle.certificate}),
                    Errc::wrong_purpose));
}

TEST(TrustStore, RefusesAChainThatIsTooLongOrNone) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const auto trust = trust_in({authority.certificate});
  std::vector<Certificate> chain(limits::chain_length_max, leaf.certificate);
  EXPECT_TRUE(judge(trust, chain).has_value()) << "what is not needed does not harm";
  chain.push_back(leaf.certificate);
  EXPECT_TRUE(fails(judge(trust, chain), Errc::malformed));
  EXPECT_TRUE(fails(judge(trust, {}), Errc::malformed));
  EXPECT_TRUE(fails(judge(trust, {Certificate()}), Errc::malformed));
}

TEST(TrustStore, RefusesARevokedAuthorityAboveALeaf) {
  const Holder top = root();
  const Holder middle = below(top, 2, options_of("middle", Purpose::authority));
  const Holder leaf = below(middle, 3, options_of("leaf"));
  const std::vector<Certificate> chain{leaf.certificate, middle.certificate};
  const auto trust = trust_in({top.certificate}, {list_of(top, {middle.certificate.serial()})});
  EXPECT_TRUE(fails(judge(trust, chain), Errc::revoked));
  const auto both = trust_in({top.certificate, middle.certificate},
                             {list_of(top, {middle.certificate.serial()})});
  EXPECT_TRUE(fails(judge(both, chain), Errc::revoked)) << "that it is trusted itself is no excuse";
}

TEST(TrustStore, TakesListsOfAuthoritiesBelowOthers) {
  const Holder top = root();
  const Holder middle = below(top, 2, options_of("middle", Purpose::authority));
  const Holder good = below(middle, 3, options_of("good"));
  const Holder bad = below(middle, 4, options_of("bad"));
  const auto trust = trust_in({top.certificate, middle.certificate},
                              {list_of(middle, {bad.certificate.serial()})});
  EXPECT_TRUE(judge(trust, {good.certificate, middle.certificate}).has_value());
  EXPECT_TRUE(fails(judge(trust, {bad.certificate, middle.certificate}), Errc::revoked));
}

TEST(TrustStore, CountsTheNewestListOfAnIssuerInAnyOrder) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const RevocationList older = list_of(authority, {leaf.certificate.serial()}, 1);
  const RevocationList newer = list_of(authority, {}, 2);
  EXPECT_TRUE(
      judge(trust_in({authority.certificate}, {older, newer}), {leaf.certificate}).has_value());
  EXPECT_TRUE(
      judge(trust_in({authority.certificate}, {newer, older}), {leaf.certificate}).has_value());
  EXPECT_TRUE(
      fails(judge(trust_in({authority.certificate}, {older}), {leaf.certificate}), Errc::revoked));
}

TEST(TrustStore, ComparesSerialNumbersPerIssuer) {
  const Holder one = root("one", 1);
  const Holder two = root("two", 2);
  const Holder leaf = below(one, 3, options_of("leaf"));
  const auto trust =
      trust_in({one.certificate, two.certificate}, {list_of(two, {leaf.certificate.serial()})});
  EXPECT_TRUE(judge(trust, {leaf.certificate}).has_value());
}

TEST(TrustStore, RefusesByAListThatIsOutOfDate) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  const auto trust = trust_in({authority.certificate}, {list_of(authority, {}, 1, day)});
  const auto at = [&](Duration later) {
    return judge(trust, {leaf.certificate}, Purpose::client, plus(new_year, later));
  };
  EXPECT_TRUE(at(day - std::chrono::seconds(1)).has_value());
  EXPECT_TRUE(fails(at(day), Errc::expired));
}

TEST(TrustStore, RefusesIssuersWithoutAListIfToldTo) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  TrustOptions options;
  options.authorities = {authority.certificate};
  options.require_revocation_list = true;
  EXPECT_TRUE(
      fails(judge(TrustStore::create(options).value(), {leaf.certificate}), Errc::untrusted));
  options.revocations = {list_of(authority, {})};
  EXPECT_TRUE(judge(TrustStore::create(options).value(), {leaf.certificate}).has_value());
}

TEST(TrustStore, BelievesPinnedNodesOnly) {
  const Holder authority = root();
  const Holder pinned = below(authority, 2, options_of("pinned"));
  const Holder other = below(authority, 3, options_of("other"));
  TrustOptions options;
  options.authorities = {authority.certificate};
  options.pinned = {pinned.certificate.node_id()};
  const auto trust = TrustStore::create(options).value();
  EXPECT_TRUE(judge(trust, {pinned.certificate}).has_value());
  EXPECT_TRUE(fails(judge(trust, {other.certificate}), Errc::untrusted));
}

TEST(TrustStore, BelievesAPinnedNodeThatSignsItselfAndStillJudgesTimeAndPurpose) {
  const PrivateKey key = testing::key(2);
  const auto self = [&](Purpose purpose) {
    return issue(key, nullptr, key.public_key(), options_of("self", purpose)).value();
  };
  TrustOptions options;
  options.pinned = {key.public_key().node_id()};
  const auto trust = TrustStore::create(options).value();
  EXPECT_TRUE(judge(trust, {self(Purpose::peer)}).has_value());
  EXPECT_TRUE(fails(judge(trust, {self(Purpose::server)}), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, {self(Purpose::peer)}, Purpose::client, plus(new_year, 91 * day)),
                    Errc::expired));
  EXPECT_TRUE(fails(judge(trust, {self(Purpose::peer)}, Purpose::client, plus(new_year, -day)),
                    Errc::not_yet_valid));
  const Holder stranger = root("stranger", 5);
  const Holder issued = below(stranger, 2, options_of("self"));
  EXPECT_TRUE(fails(judge(trust, {issued.certificate}), Errc::untrusted))
      << "who leans on an authority needs one that is known";
  std::string der = self(Purpose::peer).der().to_string();
  der.back() = static_cast<char>(der.back() ^ 1);
  EXPECT_TRUE(fails(judge(trust, {Certificate::from_der(as_bytes(der)).value()}), Errc::untrusted));
}

TEST(TrustStore, RefusesASelfSignedNodeThatNobodyPinned) {
  const Holder authority = root();
  const PrivateKey key = testing::key(2);
  const auto self = issue(key, nullptr, key.public_key(), options_of("self")).value();
  EXPECT_TRUE(fails(judge(trust_in({authority.certificate}), {self}), Errc::untrusted));
}

TEST(TrustStore, RefusesDeniedNodesAndWhatDeniedAuthoritiesIssued) {
  const Holder top = root();
  const Holder middle = below(top, 2, options_of("middle", Purpose::authority));
  const Holder leaf = below(middle, 3, options_of("leaf"));
  for (const NodeId& denied : {leaf.certificate.node_id(), middle.certificate.node_id()}) {
    TrustOptions options;
    options.authorities = {top.certificate};
    options.denied = {denied};
    EXPECT_TRUE(
        fails(judge(TrustStore::create(options).value(), {leaf.certificate, middle.certificate}),
              Errc::untrusted));
  }
}

/// An authority below `top` whose certificate has an extension that issue() does not offer.
static Holder authority_with(const Holder& top, int extension, const char* value) {
  const Holder pretended = root("middle", 2, 0);
  const X509Ptr made(X509_dup(native_certificate(pretended.certificate)));
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION* const added = X509V3_EXT_conf_nid(nullptr, &context, extension, value);
  EXPECT_EQ(X509_add_ext(made.get(), added, -1), 1);
  X509_EXTENSION_free(added);
  X509_sign(made.get(), native_key(pretended.key), nullptr);
  return {testing::key(2),
          forged(top, Certificate::from_der(encoded<i2d_X509>(made.get())).value())};
}

TEST(TrustStore, RefusesAPurposeThatAnAuthorityInBetweenDoesNotGive) {
  const Holder top = root();
  const Holder middle = authority_with(top, NID_ext_key_usage, "serverAuth");
  const Holder leaf = below(middle, 3, options_of("leaf"));
  const auto trust = trust_in({top.certificate});
  const std::vector<Certificate> chain{leaf.certificate, middle.certificate};
  EXPECT_TRUE(judge(trust, chain, Purpose::server).has_value());
  EXPECT_TRUE(fails(judge(trust, chain, Purpose::client), Errc::wrong_purpose));
  EXPECT_TRUE(fails(judge(trust, chain, Purpose::peer), Errc::wrong_purpose));
}

TEST(TrustStore, HoldsEveryNameOfALeafAgainstTheConstraintsOfItsAuthorities) {
  const Holder top = root();
  const Holder middle = authority_with(top, NID_name_constraints,
                                       "critical,permitted;DNS:.a.example,permitted;IP:"
                                       "192.0.2.0/255.255.255.0");
  const auto trust = trust_in({top.certificate});
  const auto believed = [&](const std::string& common_name, std::vector<std::string> names) {
    IssueOptions options = options_of(common_name);
    options.names = std::move(names);
    const Holder leaf = below(middle, 3, options);
    const auto judged = judge(trust, {leaf.certificate, middle.certificate});
    if (!judged.has_value()) {
      EXPECT_TRUE(judged.error().is(Errc::untrusted)) << judged.error().to_string();
    }
    return judged.has_value();
  };
  EXPECT_TRUE(believed("node.a.example", {"node.a.example"}));
  EXPECT_TRUE(believed("node", {"node.a.example", "192.0.2.7"}));
  EXPECT_FALSE(believed("node", {"node.b.example"}));
  EXPECT_FALSE(believed("node", {"node.a.example", "node.b.example"}));
  EXPECT_FALSE(believed("node", {"198.51.100.7"}));
  // Names that only the common name says: others decide by it, too.
  EXPECT_FALSE(believed("node.b.example", {}));
  EXPECT_FALSE(believed("node.b.example", {"node.a.example"}));
  // Not one of the constrained kinds.
  EXPECT_TRUE(believed("node", {}));
}

TEST(TrustStore, HoldsTheConstraintsOfItsOwnAuthoritiesToo) {
  const Holder top = root();
  const Holder middle =
      authority_with(top, NID_name_constraints, "critical,excluded;DNS:secret.example");
  const auto trust = trust_in({middle.certificate});
  IssueOptions options = options_of("a.secret.example");
  options.names = {"b.example"};
  EXPECT_TRUE(fails(judge(trust, {below(middle, 3, options).certificate}), Errc::untrusted));
  options.common_name = "a.example";
  EXPECT_TRUE(judge(trust, {below(middle, 3, options).certificate}).has_value());
}

TEST(TrustStore, IsNotMadeOfWhatCanNeverBelieve) {
  const Holder authority = root();
  const Holder leaf = below(authority, 2, options_of("leaf"));
  EXPECT_TRUE(fails(TrustStore::create(TrustOptions()), velo::Errc::invalid_argument));
  TrustOptions options;
  options.authorities = {leaf.certificate};
  EXPECT_TRUE(fails(TrustStore::create(options), Errc::wrong_purpose));
  options.authorities = {authority.certificate};
  options.revocations = {list_of(root("stranger", 7), {})};
  EXPECT_TRUE(fails(TrustStore::create(options), Errc::bad_signature));
  options.revocations.clear();
  options.denied.resize(limits::node_list_max + 1);
  EXPECT_TRUE(fails(TrustStore::create(options), velo::Errc::invalid_argument));
}

TEST(TrustStore, LeavesNoErrorsOfOpenSslBehind) {
  const auto trust = trust_in({root().certificate});
  const Holder stranger = root("stranger", 7);
  ERR_clear_error();
  EXPECT_FALSE(judge(trust, {stranger.certificate}).has_value());
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace trust_attack_test
}  // namespace velo::crypto
