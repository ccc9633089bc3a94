// SPDX-License-Identifier: Apache-2.0
// Tests of access rules as values: whom they mean, which decides, and their text.

#include <velo/messenger/access.hpp>

#include <velo/messenger/limits.hpp>

#include "testing/vouched_transport.hpp"

#include <gtest/gtest.h>

namespace velo::messenger::access_test {

static ConnectionIdentity stranger() { return {}; }
static ConnectionIdentity local(std::uint32_t user) {
  ConnectionIdentity caller;
  caller.same_host = true;
  caller.user = PeerCredentials{user, user, 1};
  return caller;
}
static ConnectionIdentity certified(const std::string& name) {
  ConnectionIdentity caller;
  caller.certificate = testing::certificate_of(name);
  return caller;
}
static InstanceId some_instance() {
  return *InstanceId::parse("9cdd81eb-333b-85e3-a39e-766b8f149280");
}

static std::vector<Who> one_of_each() {
  return {Who::anyone(),
          Who::same_host(),
          Who::user(1000),
          Who::authenticated(),
          Who::node(NodeId::of(testing::key_named("a"))),
          Who::named("*.example"),
          Who::instance(some_instance())};
}

TEST(Who, AnyoneIsAnyone) { EXPECT_TRUE(Who::anyone().includes(stranger())); }

TEST(Who, SameHostIsWhatTheTransportSays) {
  EXPECT_TRUE(Who::same_host().includes(local(7)));
  EXPECT_FALSE(Who::same_host().includes(certified("a")));
}

TEST(Who, AUserIsTheOneThatTheSystemNamed) {
  EXPECT_TRUE(Who::user(7).includes(local(7)));
  EXPECT_FALSE(Who::user(7).includes(local(8)));
  ConnectionIdentity loopback = stranger();
  loopback.same_host = true;
  EXPECT_FALSE(Who::user(0).includes(loopback)) << "who is not known is not the superuser";
}

TEST(Who, AuthenticatedIsWhoShowedACertificate) {
  EXPECT_TRUE(Who::authenticated().includes(certified("a")));
  EXPECT_FALSE(Who::authenticated().includes(local(7)));
}

TEST(Who, ANodeIsTheHolderOfItsKey) {
  const Who a = Who::node(NodeId::of(testing::key_named("a")));
  EXPECT_TRUE(a.includes(certified("a")));
  EXPECT_FALSE(a.includes(certified("b")));
  EXPECT_FALSE(Who::node(NodeId()).includes(stranger())) << "no node is nobody's";
}

TEST(Who, NamesAreTheCommonOneAndAllOthers) {
  EXPECT_TRUE(Who::named("worker").includes(certified("worker")));
  EXPECT_TRUE(Who::named("WORKER.example").includes(certified("worker")));
  EXPECT_TRUE(Who::named("*.example").includes(certified("worker")));
  EXPECT_TRUE(Who::named("worker.*").includes(certified("worker")));
  EXPECT_FALSE(Who::named("worker").includes(certified("workers")));
  EXPECT_FALSE(Who::named("worker*").includes(certified("other")));
  EXPECT_FALSE(Who::named("*worker.example").includes(certified("worker")))
      << "the star stands for something";
  EXPECT_FALSE(Who::named("worker").includes(stranger()));
}

TEST(Who, AnInstanceIsMeantOnlyWhenItIsAuthentic) {
  const Who who = Who::instance(some_instance());
  ConnectionIdentity caller = certified("a");
  caller.instance = some_instance();
  EXPECT_FALSE(who.includes(caller)) << "merely claimed";
  caller.instance_proven = true;
  EXPECT_TRUE(who.includes(caller));
  caller.certificate = nullptr;
  EXPECT_FALSE(who.includes(caller)) << "it could have been played back";
  caller.same_host = true;
  EXPECT_TRUE(who.includes(caller));
}

TEST(Who, SurvivesItsText) {
  for (const Who& who : one_of_each()) {
    const auto again = Who::parse(who.to_string());
    ASSERT_TRUE(again) << who.to_string();
    EXPECT_EQ(*again, who);
  }
}

TEST(Who, OtherTextIsRefused) {
  for (const char* text :
       {"", "anybody", "user:", "user:x", "user:-1", "user:4294967296", "node:ab",
        "name:", "name:a*b", "name:*a*", "instance:7", "Anyone", "user:1 "}) {
    EXPECT_FALSE(Who::parse(text)) << text;
  }
}

TEST(AccessPolicy, WithoutRulesEverybodyMayCallTheApplication) {
  EXPECT_TRUE(AccessPolicy().allows(stranger(), "echo"));
}

TEST(AccessPolicy, WithoutRulesVelosOwnIsForThisHostButForWhatPeersNeed) {
  for (const char* name : {"_hello", "_cancel", "_list_handlers", "_path"}) {
    EXPECT_TRUE(AccessPolicy().allows(stranger(), name)) << name;
  }
  EXPECT_FALSE(AccessPolicy().allows(stranger(), "_books"));
  EXPECT_FALSE(AccessPolicy().allows(certified("a"), "_explain"));
  EXPECT_TRUE(AccessPolicy().allows(local(7), "_books"));
  EXPECT_TRUE(
      AccessPolicy().allow("_books", Who::authenticated()).allows(certified("a"), "_books"));
}

TEST(AccessPolicy, TheFirstRuleThatMatchesDecides) {
  AccessPolicy policy;
  policy.allow("orders/list", Who::anyone())
      .allow("orders/*", Who::authenticated())
      .deny("*", Who::anyone());
  EXPECT_TRUE(policy.allows(stranger(), "orders/list"));
  EXPECT_FALSE(policy.allows(stranger(), "orders/cancel"));
  EXPECT_TRUE(policy.allows(certified("a"), "orders/cancel"));
  EXPECT_FALSE(policy.allows(certified("a"), "other"));
  EXPECT_FALSE(policy.allows(certified("a"), "orders"));
}

TEST(AccessPolicy, WhatIsForThisHostCanBeTakenFromIt) {
  EXPECT_TRUE(AccessPolicy().allows(local(7), "_drain"));
  AccessPolicy policy;
  policy.allow("_drain", Who::user(7)).deny("_drain", Who::anyone());
  EXPECT_TRUE(policy.allows(local(7), "_drain"));
  EXPECT_FALSE(policy.allows(local(8), "_drain"));
  ConnectionIdentity loopback = stranger();
  loopback.same_host = true;
  EXPECT_FALSE(policy.allows(loopback, "_drain"));
  EXPECT_TRUE(policy.allows(loopback, "_books")) << "of which no rule speaks";
}

TEST(AccessPolicy, ARuleMeansAnyOfItsCallers) {
  AccessPolicy policy;
  policy.allow("*", {Who::user(7), Who::named("a")}).deny("*", Who::anyone());
  EXPECT_TRUE(policy.allows(local(7), "x"));
  EXPECT_TRUE(policy.allows(certified("a"), "x"));
  EXPECT_FALSE(policy.allows(local(8), "x"));
}

TEST(AccessPolicy, NobodyIsKeptFromGreetingAndCancelling) {
  AccessPolicy policy;
  policy.deny("_*", Who::anyone()).deny("*", Who::anyone());
  EXPECT_TRUE(policy.allows(stranger(), "_hello"));
  EXPECT_TRUE(policy.allows(stranger(), "_cancel"));
  EXPECT_FALSE(policy.allows(stranger(), "_list_handlers"));
}

TEST(AccessPolicy, RulesAboutEverythingSayNothingOfVelosOwn) {
  AccessPolicy policy;
  policy.deny("*", Who::anyone());
  EXPECT_TRUE(policy.allows(stranger(), "_list_handlers"));
  EXPECT_FALSE(policy.allows(stranger(), "list"));
}

TEST(AccessPolicy, AMessengerMayCallItself) {
  AccessPolicy policy;
  policy.deny("*", Who::anyone());
  ConnectionIdentity self;
  self.self = true;
  EXPECT_TRUE(policy.allows(self, "echo"));
}

TEST(AccessPolicy, RulesThatMakeNoSenseAreNamed) {
  EXPECT_TRUE(AccessPolicy().allow("a*", Who::anyone()).check());
  for (const char* handlers : {"", "*a", "a*b", "**"}) {
    const auto checked = AccessPolicy().allow(handlers, Who::anyone()).check();
    ASSERT_FALSE(checked) << handlers;
    EXPECT_TRUE(checked.error().is(velo::Errc::invalid_argument));
    EXPECT_NE(checked.error().context().find("rules[0]"), std::string::npos);
  }
  EXPECT_FALSE(AccessPolicy().allow("a", std::vector<Who>()).check());
  EXPECT_FALSE(AccessPolicy().allow("a", Who::named("a*b")).check());
}

TEST(AccessPolicy, IsBounded) {
  AccessPolicy policy;
  for (std::size_t i = 0; i < limits::access_rules_max; ++i) policy.allow("a", Who::anyone());
  EXPECT_TRUE(policy.check());
  policy.allow("a", Who::anyone());
  EXPECT_FALSE(policy.check());
  const std::vector<Who> many(limits::access_callers_max + 1, Who::anyone());
  EXPECT_FALSE(AccessPolicy().allow("a", many).check());
}

TEST(AccessPolicyText, IsReadAndWritten) {
  const auto policy = AccessPolicy::from_json(
      R"({"rules":[{"allow":"orders/*","who":["authenticated","user:1000"]},)"
      R"({"deny":"*","who":["anyone"]}]})");
  ASSERT_TRUE(policy) << policy.error().to_string();
  AccessPolicy expected;
  expected.allow("orders/*", {Who::authenticated(), Who::user(1000)}).deny("*", Who::anyone());
  EXPECT_EQ(*policy, expected);
  const auto again = AccessPolicy::from_json(policy->to_json());
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(*again, expected);
}

TEST(AccessPolicyText, ErrorsSayWhere) {
  const auto expect = [](const char* text, const char* place) {
    const auto refused = AccessPolicy::from_json(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_TRUE(refused.error().is(velo::Errc::invalid_argument));
    EXPECT_NE(refused.error().context().find(place), std::string::npos)
        << refused.error().to_string();
  };
  expect("[]", "rules");
  expect("{", "access rules");
  expect(R"({"rules":[],"default":"deny"})", "one member");
  expect(R"({"rules":[{"allow":"a","who":["anyone"]},{"deney":"b","who":["anyone"]}]})",
         "rules[1].deney");
  expect(R"({"rules":[{"who":["anyone"]}]})", "rules[0]: one of allow and deny");
  expect(R"({"rules":[{"allow":"a","deny":"b","who":["anyone"]}]})", "rules[0]");
  expect(R"({"rules":[{"allow":"a"}]})", "rules[0]");
  expect(R"({"rules":[{"allow":"a","who":["nobody"]}]})", "rules[0].who");
  expect(R"({"rules":[{"allow":"a","who":"anyone"}]})", "rules[0].who");
  expect(R"({"rules":[{"allow":"a*b","who":["anyone"]}]})", "rules[0]");
}

}  // namespace velo::messenger::access_test
