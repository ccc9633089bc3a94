// SPDX-License-Identifier: Apache-2.0
// Tests of ids from keys and of the proofs in greetings, as values.

#include "binding.hpp"
#include "testing/page_vectors.hpp"

#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>

namespace velo::messenger::binding_test {

static crypto::PrivateKey key_of(std::uint8_t first) {
  std::array<std::byte, 32> seed{};
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::byte>(first + i);
  auto key = crypto::PrivateKey::ed25519_from_seed(seed);
  EXPECT_TRUE(key) << key.error().to_string();
  return *key;
}

static InstanceId id_of(const crypto::PrivateKey& key) {
  auto id = instance_of_key(key.public_key());
  EXPECT_TRUE(id) << id.error().to_string();
  return id ? *id : InstanceId();
}

static NodeId channel(const char* name) { return NodeId::of(as_bytes(name)); }

/// What alice says to worker 7 over a connection on which she shows a certificate.
class Proof : public ::testing::Test {
 protected:
  crypto::PrivateKey alice = key_of(0);
  crypto::PrivateKey mallory = key_of(100);
  BindingStatement statement{id_of(alice), WorkerId(7), BindingRole::request, channel("alice")};

  void expect_refused(const Binding& binding, const BindingStatement& read) {
    const auto verified = verify(binding, read);
    ASSERT_FALSE(verified);
    EXPECT_TRUE(verified.error().is(Errc::not_authenticated)) << verified.error().to_string();
    EXPECT_FALSE(judge({read, binding, false}));
  }
};

TEST(BindingPage, EachVectorIsWhatTheCodeDerivesSignsAndVerifies) {
  const auto vectors = testing::read_vectors("binding-vectors");
  ASSERT_GE(vectors.size(), 2u);
  const crypto::PrivateKey key = key_of(0);
  for (const auto& vector : vectors) {
    SCOPED_TRACE(vector.at("name"));
    EXPECT_EQ(codec::to_hex(key.public_key().raw()), vector.at("key"));
    const auto instance = InstanceId::parse(vector.at("instance"));
    ASSERT_TRUE(instance);
    EXPECT_EQ(id_of(key), *instance);
    std::uint64_t receiver = 0;
    const std::string& digits = vector.at("receiver");
    std::from_chars(digits.data(), digits.data() + digits.size(), receiver, 16);
    const auto node = NodeId::parse(vector.at("channel"));
    ASSERT_TRUE(node);
    const BindingStatement statement(
        *instance, WorkerId(receiver),
        vector.at("role") == "1" ? BindingRole::request : BindingRole::answer, *node);
    EXPECT_EQ(codec::to_hex(encode_statement(statement)), vector.at("statement"));
    const auto binding = bind(key, statement);
    ASSERT_TRUE(binding);
    EXPECT_EQ(codec::to_hex(binding->signature), vector.at("sig"));
    EXPECT_TRUE(verify(*binding, statement));
  }
}

TEST(InstanceOfKey, IsAUuidOfVersion8ThatDependsOnTheKeyAlone) {
  const InstanceId id = id_of(key_of(1));
  EXPECT_EQ(id, id_of(key_of(1)));
  EXPECT_NE(id, id_of(key_of(2)));
  EXPECT_EQ(id.to_string()[14], '8');
  EXPECT_NE(std::string("89ab").find(id.to_string()[19]), std::string::npos);
  EXPECT_TRUE(must_be_proven(id));
}

TEST(InstanceOfKey, NeedsAnEd25519Key) {
  EXPECT_FALSE(instance_of_key(crypto::PublicKey()));
  const auto other = crypto::PrivateKey::generate(crypto::KeyKind::p256);
  ASSERT_TRUE(other);
  const auto refused = instance_of_key(other->public_key());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::invalid_argument));
}

TEST(InstanceOfKey, RandomIdsNeedNoProof) {
  EXPECT_FALSE(must_be_proven(*InstanceId::parse("67e55044-10b1-426f-9247-bb680e5fe0c8")));
}

TEST_F(Proof, HoldsForWhatWasSigned) {
  const auto binding = bind(alice, statement);
  ASSERT_TRUE(binding);
  EXPECT_TRUE(verify(*binding, statement));
  const auto judged = judge({statement, *binding, true});
  ASSERT_TRUE(judged);
  EXPECT_TRUE(*judged);
}

TEST_F(Proof, DoesNotHoldForAnotherReceiver) {
  const auto binding = bind(alice, statement);
  statement.receiver = WorkerId(8);
  expect_refused(*binding, statement);
}

TEST_F(Proof, DoesNotHoldOnAConnectionWithAnotherCertificate) {
  const auto binding = bind(alice, statement);
  statement.channel = channel("mallory");
  expect_refused(*binding, statement);
  statement.channel = NodeId();
  expect_refused(*binding, statement);
}

TEST_F(Proof, DoesNotHoldInTheOtherHalf) {
  const auto binding = bind(alice, statement);
  statement.role = BindingRole::answer;
  expect_refused(*binding, statement);
}

TEST_F(Proof, OfAnotherKeyIsNone) {
  // Mallory signs that she is Alice, with her own key.
  const auto binding = bind(mallory, statement);
  expect_refused(*binding, statement);
}

TEST_F(Proof, WithTheKeyOfTheIdAndAnotherSignatureIsNone) {
  auto binding = bind(mallory, statement);
  binding->key = bind(alice, statement)->key;
  expect_refused(*binding, statement);
}

TEST_F(Proof, EveryBitOfTheSignatureCounts) {
  const auto binding = bind(alice, statement);
  for (std::size_t i = 0; i < binding->signature.size(); ++i) {
    Binding changed = *binding;
    changed.signature[i] ^= std::byte{1};
    expect_refused(changed, statement);
  }
}

TEST_F(Proof, IsAskedOfAnIdMadeFromAKey) { EXPECT_FALSE(judge({statement, std::nullopt, false})); }

TEST_F(Proof, IsAskedOfAnybodyWhereItIsRequired) {
  statement.instance = *InstanceId::parse("67e55044-10b1-426f-9247-bb680e5fe0c8");
  const auto claimed = judge({statement, std::nullopt, false});
  ASSERT_TRUE(claimed);
  EXPECT_FALSE(*claimed);
  EXPECT_FALSE(judge({statement, std::nullopt, true}));
}

TEST_F(Proof, OfARandomIdIsRefusedEvenIfNobodyAskedForIt) {
  statement.instance = *InstanceId::parse("67e55044-10b1-426f-9247-bb680e5fe0c8");
  expect_refused(*bind(alice, statement), statement);
}

}  // namespace velo::messenger::binding_test
