// SPDX-License-Identifier: Apache-2.0
// Announcing, looking up, withdrawing, and the ends of objects and worlds.

#include "scenarios.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>

namespace velo::discovery::conformance {
namespace lookup_scenarios_detail {

using Announced = std::unique_ptr<Registration>;

static Announced announce(Ground& ground, PeerDiscovery& discovery, const PeerInfo& peer) {
  auto announced = ground.wait(discovery.announce(peer));
  EXPECT_TRUE(announced) << announced.error().to_string();
  return announced ? std::move(*announced) : nullptr;
}

static bool not_found(const Result<PeerInfo>& found) {
  return !found && found.error().is(Errc::not_found);
}

static bool gone(Ground& ground, PeerDiscovery& discovery, const PeerInfo& peer) {
  return ground.eventually([&] { return discovery.discover_by_instance_id(peer.instance_id); },
                           not_found);
}

static std::vector<PeerInfo> sorted(std::vector<PeerInfo> peers) {
  std::ranges::sort(peers, {}, &PeerInfo::instance_id);
  return peers;
}

static void announced_peer_is_found_by_instance_worker_and_list(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "127.0.0.1:1");
  const Announced announced = announce(ground, *announcer, peer);
  for (const auto& discovery : {announcer, reader}) {
    const auto by_instance = ground.wait(discovery->discover_by_instance_id(peer.instance_id));
    ASSERT_TRUE(by_instance) << by_instance.error().to_string();
    EXPECT_EQ(*by_instance, peer);
    const auto by_worker = ground.wait(discovery->discover_by_worker_id(peer.worker_id()));
    ASSERT_TRUE(by_worker) << by_worker.error().to_string();
    EXPECT_EQ(*by_worker, peer);
    const auto list = ground.wait(discovery->list());
    ASSERT_TRUE(list) << list.error().to_string();
    EXPECT_EQ(*list, std::vector<PeerInfo>{peer});
  }
}

static void unknown_peer_is_not_found(Ground& ground) {
  const auto reader = ground.join();
  const PeerInfo stranger = make_peer(ground.world(), "");
  EXPECT_TRUE(not_found(ground.wait(reader->discover_by_instance_id(stranger.instance_id))));
  EXPECT_TRUE(not_found(ground.wait(reader->discover_by_worker_id(stranger.worker_id()))));
  const auto list = ground.wait(reader->list());
  ASSERT_TRUE(list) << list.error().to_string();
  EXPECT_TRUE(list->empty());
}

static void invalid_instance_is_refused(Ground& ground) {
  const auto announcer = ground.join();
  const auto announced = ground.wait(announcer->announce(PeerInfo{}));
  ASSERT_FALSE(announced);
  EXPECT_EQ(announced.error().retry(), Retry::never);
}

static void destroyed_registration_withdraws(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "a");
  const PeerInfo other = make_peer(ground.world(), "b");
  Announced announced = announce(ground, *announcer, peer);
  const Announced stays = announce(ground, *announcer, other);
  announced.reset();
  EXPECT_TRUE(not_found(ground.wait(announcer->discover_by_instance_id(peer.instance_id))));
  EXPECT_TRUE(gone(ground, *reader, peer));
  EXPECT_TRUE(not_found(ground.wait(reader->discover_by_worker_id(peer.worker_id()))));
  const auto list = ground.wait(reader->list());
  ASSERT_TRUE(list);
  EXPECT_EQ(*list, std::vector<PeerInfo>{other});
}

static void announcing_again_replaces_the_address(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  PeerInfo peer = make_peer(ground.world(), "old");
  Announced first = announce(ground, *announcer, peer);
  peer.address = {{"tcp", Bytes::copy("new")}, {"uds", Bytes::copy("path")}};
  Announced second = announce(ground, *announcer, peer);
  auto found = ground.wait(reader->discover_by_instance_id(peer.instance_id));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, peer);
  first.reset();  // was replaced, so it withdraws nothing
  found = ground.wait(announcer->discover_by_instance_id(peer.instance_id));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, peer);
  second.reset();
  EXPECT_TRUE(gone(ground, *reader, peer));
}

static void withdrawn_peer_may_be_announced_again(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  PeerInfo peer = make_peer(ground.world(), "0");
  for (int round = 1; round <= 10; ++round) {
    peer.address["tcp"] = Bytes::copy(std::to_string(round));
    const Announced announced = announce(ground, *announcer, peer);
    const auto found = ground.wait(reader->discover_by_instance_id(peer.instance_id));
    ASSERT_TRUE(found) << round;
    ASSERT_EQ(*found, peer) << round;
  }
  EXPECT_TRUE(gone(ground, *reader, peer));
}

static void several_announcers_are_seen_by_all(Ground& ground) {
  std::vector<std::shared_ptr<PeerDiscovery>> participants;
  std::vector<PeerInfo> peers;
  std::vector<Announced> announced;
  for (int i = 0; i < 5; ++i) {
    participants.push_back(ground.join());
    peers.push_back(make_peer(ground.world(), std::to_string(i)));
    announced.push_back(announce(ground, *participants.back(), peers.back()));
  }
  for (const auto& participant : participants) {
    const auto list = ground.wait(participant->list());
    ASSERT_TRUE(list);
    EXPECT_EQ(sorted(*list), sorted(peers));
  }
}

static void announcements_at_the_same_time_all_count(Ground& ground) {
  const auto left = ground.join();
  const auto right = ground.join();
  std::vector<PeerInfo> peers;
  std::vector<Op<Announced>> running;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(make_peer(ground.world(), std::to_string(i)));
    running.push_back((i % 2 == 0 ? left : right)->announce(peers.back()));
  }
  std::vector<Announced> announced;
  for (auto& op : running) {
    auto done = ground.wait(std::move(op));
    ASSERT_TRUE(done) << done.error().to_string();
    announced.push_back(std::move(*done));
  }
  const auto list = ground.wait(ground.join()->list());
  ASSERT_TRUE(list);
  EXPECT_EQ(sorted(*list), sorted(peers));
}

static void thousand_peers_are_listed_found_and_withdrawn(Ground& ground) {
  const auto announcer = ground.join();
  const auto reader = ground.join();
  std::vector<PeerInfo> peers;
  std::vector<Op<Announced>> running;
  for (int i = 0; i < 1000; ++i) {
    peers.push_back(make_peer(ground.world(), std::to_string(i)));
    running.push_back(announcer->announce(peers.back()));
  }
  std::vector<Announced> announced;
  for (auto& op : running) {
    auto done = ground.wait(std::move(op));
    ASSERT_TRUE(done) << done.error().to_string();
    announced.push_back(std::move(*done));
  }
  auto list = ground.wait(reader->list());
  ASSERT_TRUE(list);
  EXPECT_EQ(sorted(*list), sorted(peers));
  const auto found = ground.wait(reader->discover_by_worker_id(peers[777].worker_id()));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, peers[777]);
  announced.clear();
  const auto empty = [](const auto& listed) { return listed && listed->empty(); };
  EXPECT_TRUE(empty(ground.wait(announcer->list())));
  EXPECT_TRUE(ground.eventually([&] { return reader->list(); }, empty));
}

static void dropped_operations_leave_nothing_behind(Ground& ground) {
  const auto announcer = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "dropped");
  static_cast<void>(announcer->announce(peer));
  static_cast<void>(announcer->list());
  static_cast<void>(announcer->discover_by_instance_id(peer.instance_id));
  auto cancelled = announcer->announce(peer);
  cancelled.cancel();
  static_cast<void>(ground.wait(std::move(cancelled)));  // either end is right, and nobody kept it
  EXPECT_TRUE(gone(ground, *announcer, peer));
}

static void discovery_may_go_before_its_registrations(Ground& ground) {
  auto announcer = ground.join();
  const auto reader = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "a");
  Announced announced = announce(ground, *announcer, peer);
  Record record;
  auto watching = announcer->watch(ground.world().shard(0), record.watcher());
  auto listing = announcer->list();
  announcer.reset();
  static_cast<void>(ground.wait(std::move(listing)));  // ends, one way or the other
  announced.reset();
  watching.reset();
  EXPECT_TRUE(gone(ground, *reader, peer));
}

static void world_may_end_before_everything(Ground& ground) {
  auto announcer = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "a");
  Announced announced = announce(ground, *announcer, peer);
  Record record;
  auto watching = announcer->watch(ground.world().shard(0), record.watcher());
  auto late = announcer->announce(make_peer(ground.world(), "b"));
  ground.end_world();
  auto later = announcer->list();
  announced.reset();
  watching.reset();
  announcer.reset();
  // The operations go last; whether they ended is up to the world.
}

constexpr std::array scenarios{
    Scenario{"AnnouncedPeerIsFoundByInstanceWorkerAndList",
             &announced_peer_is_found_by_instance_worker_and_list},
    Scenario{"UnknownPeerIsNotFound", &unknown_peer_is_not_found},
    Scenario{"InvalidInstanceIsRefused", &invalid_instance_is_refused},
    Scenario{"DestroyedRegistrationWithdraws", &destroyed_registration_withdraws},
    Scenario{"AnnouncingAgainReplacesTheAddress", &announcing_again_replaces_the_address},
    Scenario{"WithdrawnPeerMayBeAnnouncedAgain", &withdrawn_peer_may_be_announced_again},
    Scenario{"SeveralAnnouncersAreSeenByAll", &several_announcers_are_seen_by_all},
    Scenario{"AnnouncementsAtTheSameTimeAllCount", &announcements_at_the_same_time_all_count},
    Scenario{"ThousandPeersAreListedFoundAndWithdrawn",
             &thousand_peers_are_listed_found_and_withdrawn},
    Scenario{"DroppedOperationsLeaveNothingBehind", &dropped_operations_leave_nothing_behind},
    Scenario{"DiscoveryMayGoBeforeItsRegistrations", &discovery_may_go_before_its_registrations},
    Scenario{"WorldMayEndBeforeEverything", &world_may_end_before_everything},
};

}  // namespace lookup_scenarios_detail

std::span<const Scenario> lookup_scenarios() { return lookup_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
