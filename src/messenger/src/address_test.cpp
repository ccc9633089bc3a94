// SPDX-License-Identifier: Apache-2.0
// Whose word about a peer's address counts: the user's, the proven peer's, discovery's, a
// stranger's.

#include "binding.hpp"
#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"
#include "testing/vouched_transport.hpp"

namespace velo::messenger::testing::address_test {

/// Node 0 hears of a peer, and the peer greets it from elsewhere.
class Moved : public ::testing::Test {
 protected:
  void start(bool certificates) {
    ClusterOptions options;
    options.setup = [certificates](sim::SimNode& node, std::size_t, NodeSetup& setup) {
      setup.transport = std::make_unique<VouchedTransport>(
          transport::make_tcp(tcp_of(node)), [certificates](bool /*dialed*/) {
            return certificates ? secured("node", "peer") : transport::ConnectionSecurity();
          });
    };
    cluster = std::make_unique<Cluster>(1, options);
    raw = std::make_unique<RawPeer>(*cluster);
    std::array<std::byte, 32> seed{};
    key = *crypto::PrivateKey::ed25519_from_seed(seed);
    moved = raw->info;
    moved.instance_id = *instance_of_key(key.public_key());
    first = moved;
    first.address["tcp"] = elsewhere();
  }
  void TearDown() override { raw.reset(); }

  /// An address where nobody is.
  Bytes elsewhere() {
    const transport::InterfaceEndpoint nobody("", "10.9.9.9", 7, 0);
    return transport::encode_interface_endpoints(std::span(&nobody, 1));
  }
  std::uint8_t greet(bool proven, bool certificates) {
    RawEnd& end = raw->dial((*cluster)[0]);
    Offer offer = local_offer(moved.worker_id().value());
    if (proven) {
      const NodeId channel = certificates ? NodeId::of(key_named("peer")) : NodeId();
      offer.bind =
          *bind(key, {moved.instance_id, (*cluster)[0].worker_id(), BindingRole::request, channel});
    }
    end.greet(moved, offer);
    return raw->next(end).response().outcome;
  }
  std::optional<PeerInfo> known() {
    for (const PeerInfo& each : (*cluster)[0].peers()) {
      if (each.instance_id == moved.instance_id) return each;
    }
    return std::nullopt;
  }

  std::unique_ptr<Cluster> cluster;
  std::unique_ptr<RawPeer> raw;
  crypto::PrivateKey key;
  PeerInfo first;
  PeerInfo moved;
};

TEST_F(Moved, TheUsersWordStandsEvenAgainstAProof) {
  start(true);
  ASSERT_TRUE((*cluster)[0].register_peer(first));
  EXPECT_EQ(greet(true, true), 0);
  EXPECT_EQ(known(), first);
}

TEST_F(Moved, AProvenPeerSaysWhereItIsNow) {
  start(true);
  EXPECT_EQ(greet(true, true), 0);
  EXPECT_EQ(known(), moved);
  moved.address["tcp"] = elsewhere();
  EXPECT_EQ(greet(true, true), 0);
  EXPECT_EQ(known(), moved);
}

TEST_F(Moved, AProofThatCouldBePlayedBackMovesNobody) {
  start(false);
  EXPECT_EQ(greet(true, false), 0);
  const auto before = known();
  moved.address["tcp"] = elsewhere();
  EXPECT_EQ(greet(true, false), 0);
  EXPECT_EQ(known(), before);
}

TEST_F(Moved, AClaimMovesNobody) {
  start(true);
  moved.instance_id = raw->info.instance_id;
  EXPECT_EQ(greet(false, true), 0);
  const auto before = known();
  ASSERT_TRUE(before);
  moved.address["tcp"] = elsewhere();
  EXPECT_EQ(greet(false, true), 0);
  EXPECT_EQ(known(), before);
}

TEST_F(Moved, WhoShowsACertificateMayBeAskedForAProof) {
  ClusterOptions options;
  options.setup = [](sim::SimNode& node, std::size_t, NodeSetup& setup) {
    setup.transport = std::make_unique<VouchedTransport>(
        transport::make_tcp(tcp_of(node)), [](bool) { return secured("node", "peer"); });
    setup.configure = [](MessengerBuilder& builder) { builder.require_authentication(true); };
  };
  cluster = std::make_unique<Cluster>(1, options);
  raw = std::make_unique<RawPeer>(*cluster);
  moved = raw->info;
  EXPECT_EQ(greet(false, true), 14);
}

TEST_F(Moved, ManyClaimedAddressesHoldNothing) {
  start(true);
  ASSERT_TRUE((*cluster)[0].register_peer(first));
  const auto before = (*cluster)[0].memory();
  for (int i = 0; i < 200; ++i) {
    moved.address["tcp" + std::to_string(i)] = Bytes::copy(std::string(1'000, 'x'));
    if (moved.address.size() > 8) moved.address.erase(std::prev(moved.address.end()));
    EXPECT_NE(greet(false, true), 0) << "its id is made from a key that it does not show";
  }
  cluster->sim.run_for(std::chrono::seconds(1));
  EXPECT_EQ(known(), first);
  EXPECT_EQ((*cluster)[0].drain_state().connections, 0u);
  EXPECT_EQ((*cluster)[0].peers().size(), 1u);
  EXPECT_EQ((*cluster)[0].memory().used, before.used);
}

}  // namespace velo::messenger::testing::address_test
