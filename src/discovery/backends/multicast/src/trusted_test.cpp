// SPDX-License-Identifier: Apache-2.0
// Multicast discovery among nodes that show certificates of one authority.

#include <velo/discovery/backends/multicast.hpp>

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace velo::discovery {
namespace trusted_test {

using std::chrono::seconds;

static crypto::PrivateKey key_of(std::uint8_t number) {
  std::array<std::byte, 32> seed{};
  seed.fill(static_cast<std::byte>(number));
  return *crypto::PrivateKey::ed25519_from_seed(seed);
}

struct Authority {
  explicit Authority(std::uint8_t number) : key(key_of(number)) {
    crypto::IssueOptions options;
    options.common_name = "authority " + std::to_string(number);
    options.purpose = crypto::Purpose::authority;
    options.not_before = WallTime{1'767'225'600'000'000'000};
    certificate = *crypto::issue(key, nullptr, key.public_key(), options);
    crypto::TrustOptions trusting;
    trusting.authorities.push_back(certificate);
    trust = *crypto::TrustStore::create(trusting);
  }
  MulticastOptions options_of(std::uint8_t number) const {
    MulticastOptions made;
    made.key = key_of(number);
    crypto::IssueOptions options;
    options.common_name = "node " + std::to_string(number);
    options.not_before = WallTime{1'767'225'600'000'000'000};
    made.chain.push_back(*crypto::issue(key, &certificate, made.key.public_key(), options));
    made.trust = trust;
    return made;
  }

  crypto::PrivateKey key;
  crypto::Certificate certificate;
  std::shared_ptr<const crypto::TrustStore> trust;
};

struct Node {
  Node(sim::Simulation& sim, const std::string& name, const MulticastOptions& options)
      : node(sim.add_node(name)) {
    auto made = MulticastDiscovery::create(node, "demo", options);
    EXPECT_TRUE(made) << made.error().to_string();
    discovery = std::move(*made);
    self = PeerInfo{InstanceId::random(node.random()), {{"tcp", Bytes::copy(name)}}};
    auto announced = sim.wait(discovery->announce(self), seconds(5));
    EXPECT_TRUE(announced);
    registration = std::move(*announced);
  }
  std::size_t peers(sim::Simulation& sim) {
    auto listed = sim.wait(discovery->list(), seconds(5));
    return listed ? listed->size() : 0;
  }

  sim::SimNode& node;
  std::unique_ptr<MulticastDiscovery> discovery;
  PeerInfo self;
  std::unique_ptr<Registration> registration;
};

TEST(MulticastTrust, NodesOfOneAuthorityFindEachOtherAndNobodyElse) {
  sim::SimOptions lossy;
  lossy.link.datagram_loss_per_million = 100'000;
  sim::Simulation sim(1, lossy);
  const Authority authority(100);
  const Authority other(101);
  Node a(sim, "a", authority.options_of(1));
  Node b(sim, "b", authority.options_of(2));
  Node stranger(sim, "stranger", other.options_of(3));
  MulticastOptions without;
  without.key = key_of(4);
  Node keyed(sim, "keyed", without);
  sim.run_for(seconds(30));
  EXPECT_EQ(a.peers(sim), 2U);
  EXPECT_EQ(b.peers(sim), 2U);
  EXPECT_EQ(stranger.peers(sim), 1U);
  EXPECT_EQ(keyed.peers(sim), 4U) << "asks for no certificate";
  EXPECT_GT(a.discovery->counters().untrusted, 0U);
  const auto found = sim.wait(a.discovery->discover_by_instance_id(b.self.instance_id), seconds(5));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, b.self);
}

TEST(MulticastTrust, CertificateThatRunsOutEndsTheBelief) {
  sim::Simulation sim(2);
  const Authority authority(100);
  MulticastOptions brief = authority.options_of(2);
  crypto::IssueOptions options;
  options.not_before = WallTime{1'767'225'600'000'000'000};
  options.lifetime = std::chrono::minutes(5);
  brief.chain = {
      *crypto::issue(authority.key, &authority.certificate, brief.key.public_key(), options)};
  Node a(sim, "a", authority.options_of(1));
  Node b(sim, "b", brief);
  sim.run_for(seconds(20));
  EXPECT_EQ(a.peers(sim), 2U);
  sim.run_for(std::chrono::minutes(7));
  EXPECT_EQ(a.peers(sim), 1U);
}

TEST(MulticastTrust, NeedsACertificateOfTheKey) {
  sim::Simulation sim(3);
  sim::SimNode& node = sim.add_node("node");
  const Authority authority(100);
  MulticastOptions none = authority.options_of(1);
  none.chain.clear();
  EXPECT_FALSE(MulticastDiscovery::create(node, "demo", none));
  MulticastOptions wrong = authority.options_of(1);
  wrong.key = key_of(2);
  EXPECT_FALSE(MulticastDiscovery::create(node, "demo", wrong));
}

}  // namespace trusted_test
}  // namespace velo::discovery
