// SPDX-License-Identifier: Apache-2.0
// A medium that is out of reach for a while: what was missed is made up for, and nothing is made
// up.

#include "scenarios.hpp"

#include <gtest/gtest.h>

#include <array>
#include <iterator>

namespace velo::discovery::conformance {
namespace outage_scenarios_detail {

using std::chrono::milliseconds;
using View = std::map<InstanceId, PeerInfo>;

/// Peers that come and go through two participants, and who is there.
struct Crowd {
  Ground& ground;
  std::array<std::shared_ptr<PeerDiscovery>, 2> through{ground.join(), ground.join()};
  View truth;
  std::map<InstanceId, std::unique_ptr<Registration>> present;
  int joined = 0;

  explicit Crowd(Ground& where) : ground(where) {}
  Op<std::unique_ptr<Registration>> begin_joining(PeerInfo& peer) {
    peer = make_peer(ground.world(), std::to_string(joined));
    return through.at(static_cast<std::size_t>(joined++) % through.size())->announce(peer);
  }
  void joins(const PeerInfo& peer, Result<std::unique_ptr<Registration>> outcome) {
    if (!outcome) return;
    truth.emplace(peer.instance_id, peer);
    present[peer.instance_id] = std::move(*outcome);
  }
  void leave_some(std::size_t most) {
    while (present.size() > most) {
      auto leaving = present.begin();
      std::advance(leaving,
                   static_cast<std::ptrdiff_t>(ground.world().random().below(present.size())));
      truth.erase(leaving->first);
      present.erase(leaving);
    }
  }
  void churn(int count) {
    for (int i = 0; i < count; ++i) {
      PeerInfo peer;
      auto outcome = ground.wait(begin_joining(peer));
      EXPECT_TRUE(outcome) << outcome.error().to_string();
      joins(peer, std::move(outcome));
      leave_some(12);
    }
  }
};

static void watch_survives_churn_and_outages(Ground& ground) {
  Crowd crowd(ground);
  const auto reader = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  crowd.churn(400);
  for (int outage = 0; outage < 2; ++outage) {
    ASSERT_TRUE(ground.wait_until([&] { return record.view() == crowd.truth; }));
    ground.set_outage(true);
    // Nobody hears of those who go now, nor of those who come.
    crowd.leave_some(6);
    std::array<PeerInfo, 3> coming;
    std::vector<Op<std::unique_ptr<Registration>>> joining;
    joining.reserve(coming.size());
    for (PeerInfo& peer : coming) joining.push_back(crowd.begin_joining(peer));
    ground.let_pass(milliseconds(1500));
    ground.set_outage(false);
    // It may have been refused; then nobody may ever see it.
    for (std::size_t i = 0; i < coming.size(); ++i) {
      crowd.joins(coming.at(i), ground.wait(std::move(joining[i])));
    }
    EXPECT_TRUE(ground.wait_until([&] { return record.view() == crowd.truth; }))
        << "outage " << outage;
    crowd.churn(300);
  }
  EXPECT_TRUE(ground.wait_until([&] { return record.view() == crowd.truth; }));
  EXPECT_TRUE(ground.eventually([&] { return reader->list(); },
                                [&](const Result<std::vector<PeerInfo>>& listed) {
                                  return listed && listed->size() == crowd.truth.size();
                                }));
  crowd.leave_some(0);
  EXPECT_TRUE(ground.wait_until([&] { return record.view().empty(); }));
  EXPECT_FALSE(record.overlapped());
}

static void watch_that_begins_in_an_outage_sees_everything_afterwards(Ground& ground) {
  Crowd crowd(ground);
  crowd.churn(20);
  ground.set_outage(true);
  const auto reader = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  ground.let_pass(milliseconds(500));
  ground.set_outage(false);
  EXPECT_TRUE(
      ground.wait_until([&] { return record.calls() > 0 && record.view() == crowd.truth; }));
  EXPECT_LE(record.snapshots(), 1U);
}

constexpr std::array scenarios{
    Scenario{"WatchSurvivesChurnAndOutages", &watch_survives_churn_and_outages},
    Scenario{"WatchThatBeginsInAnOutageSeesEverythingAfterwards",
             &watch_that_begins_in_an_outage_sees_everything_afterwards},
};

}  // namespace outage_scenarios_detail

std::span<const Scenario> outage_scenarios() { return outage_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
