// SPDX-License-Identifier: Apache-2.0
// Announcers that are other processes, and what is left of them when they are killed.

#include "scenarios.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace velo::discovery::conformance {
namespace process_scenarios_detail {

using Peers = std::vector<PeerInfo>;

/// As peers_of_this_process() makes them in the started process.
static Peers make_peers(Ground& ground, int count) {
  Peers peers;
  for (int i = 0; i < count; ++i) {
    PeerInfo peer = make_peer(ground.world(), "");
    peer.address["tcp"] = Bytes::copy(peer.instance_id.to_string());
    peers.push_back(std::move(peer));
  }
  return peers;
}

static auto lists(Peers expected) {
  std::ranges::sort(expected, {}, &PeerInfo::instance_id);
  return [expected](Result<Peers> listed) {
    if (!listed) return false;
    std::ranges::sort(*listed, {}, &PeerInfo::instance_id);
    return *listed == expected;
  };
}

static void announcers_in_other_processes_are_all_seen(Ground& ground) {
  Peers all;
  std::vector<std::unique_ptr<Process>> processes;
  for (int i = 0; i < 6; ++i) {
    const Peers peers = make_peers(ground, 5);
    all.insert(all.end(), peers.begin(), peers.end());
    processes.push_back(ground.start_process(peers));
  }
  const auto reader = ground.join();
  EXPECT_TRUE(lists(all)(ground.wait(reader->list())));
  processes.front()->leave();
  EXPECT_TRUE(
      ground.eventually([&] { return reader->list(); }, lists(Peers(all.begin() + 5, all.end()))));
}

static void killed_announcer_disappears(Ground& ground) {
  const Peers doomed = make_peers(ground, 3);
  const Peers others = make_peers(ground, 2);
  const auto process = ground.start_process(doomed);
  const auto other_process = ground.start_process(others);
  const auto reader = ground.join();
  const auto looker = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  ASSERT_TRUE(ground.wait_until([&] { return record.view().size() == 5; }));
  process->kill();
  ASSERT_TRUE(ground.wait_until([&] { return record.view().size() == 2; }));
  for (const PeerInfo& peer : others) EXPECT_TRUE(record.view().contains(peer.instance_id));
  const auto gone = [](const Result<PeerInfo>& found) {
    return !found && found.error().is(Errc::not_found);
  };
  // Who asks may learn of a death a moment after who watches.
  EXPECT_TRUE(ground.eventually(
      [&] { return looker->discover_by_instance_id(doomed[0].instance_id); }, gone));
  EXPECT_TRUE(ground.eventually([&] { return looker->list(); }, lists(others)));
}

static void killed_announcer_is_not_found_without_a_watch(Ground& ground) {
  const Peers doomed = make_peers(ground, 2);
  const auto process = ground.start_process(doomed);
  const auto reader = ground.join();
  EXPECT_TRUE(ground.wait(reader->discover_by_instance_id(doomed[0].instance_id)));
  process->kill();
  const auto not_found = [](const Result<PeerInfo>& found) {
    return !found && found.error().is(Errc::not_found);
  };
  const auto by_instance = [&] { return reader->discover_by_instance_id(doomed[0].instance_id); };
  if (ground.lapse() == Lapse::in_time) {
    EXPECT_TRUE(ground.eventually(by_instance, not_found));
  }
  EXPECT_TRUE(not_found(ground.wait(by_instance())));
  EXPECT_TRUE(ground.eventually(
      [&] { return reader->discover_by_worker_id(doomed[1].worker_id()); }, not_found));
}

static void churn_of_processes_leaves_nothing(Ground& ground) {
  const auto reader = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  for (int round = 0; round < 6; ++round) {
    const Peers peers = make_peers(ground, 2);
    const auto process = ground.start_process(peers);
    ASSERT_TRUE(ground.wait_until([&] { return record.view().contains(peers[0].instance_id); }));
    if (round % 2 == 0) process->leave();
  }
  EXPECT_TRUE(ground.wait_until([&] { return record.view().empty(); }));
  EXPECT_TRUE(lists({})(ground.wait(reader->list())));
}

constexpr std::array scenarios{
    Scenario{"AnnouncersInOtherProcessesAreAllSeen", &announcers_in_other_processes_are_all_seen},
    Scenario{"KilledAnnouncerDisappears", &killed_announcer_disappears},
    Scenario{"KilledAnnouncerIsNotFoundWithoutAWatch",
             &killed_announcer_is_not_found_without_a_watch},
    Scenario{"ChurnOfProcessesLeavesNothing", &churn_of_processes_leaves_nothing},
};

}  // namespace process_scenarios_detail

std::span<const Scenario> process_scenarios() { return process_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
