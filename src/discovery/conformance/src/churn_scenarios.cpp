// SPDX-License-Identifier: Apache-2.0
// Much coming and going: nothing stale, nothing missing, nothing left behind.

#include "scenarios.hpp"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

namespace velo::discovery::conformance {
namespace churn_scenarios_detail {

using Announced = std::unique_ptr<Registration>;
using View = std::map<InstanceId, PeerInfo>;

static Announced announce(Ground& ground, PeerDiscovery& discovery, const PeerInfo& peer) {
  auto announced = ground.wait(discovery.announce(peer));
  EXPECT_TRUE(announced) << announced.error().to_string();
  return announced ? std::move(*announced) : nullptr;
}

static std::ptrdiff_t open_descriptors() {
  return std::ranges::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                               std::filesystem::directory_iterator());
}

static void thousand_joins_and_leaves_end_in_the_true_view(Ground& ground) {
  const auto announcer = ground.join();
  const auto other = ground.join();
  const auto reader = ground.join();
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  View truth;
  std::map<InstanceId, Announced> here;
  for (int joined = 0; joined < 1000; ++joined) {
    const PeerInfo peer = make_peer(ground.world(), std::to_string(joined));
    here[peer.instance_id] = announce(ground, joined % 2 == 0 ? *announcer : *other, peer);
    truth.emplace(peer.instance_id, peer);
    // Some stay long, some leave at once, all but the last few leave in the end.
    if (here.size() > 20 || ground.world().random().below(3) == 0) {
      auto leaving = here.begin();
      std::advance(leaving,
                   static_cast<std::ptrdiff_t>(ground.world().random().below(here.size())));
      truth.erase(leaving->first);
      here.erase(leaving);
    }
  }
  EXPECT_TRUE(ground.wait_until([&] { return record.calls() > 0 && record.view() == truth; }));
  const auto list = [&](PeerDiscovery& discovery) {
    return ground.eventually([&] { return discovery.list(); },
                             [&](const Result<std::vector<PeerInfo>>& listed) {
                               if (!listed) return false;
                               View view;
                               for (const PeerInfo& peer : *listed) {
                                 view.emplace(peer.instance_id, peer);
                               }
                               return view == truth && listed->size() == truth.size();
                             });
  };
  EXPECT_TRUE(list(*reader));
  EXPECT_TRUE(list(*announcer));
  here.clear();
  truth.clear();
  EXPECT_TRUE(ground.wait_until([&] { return record.view().empty(); }));
  EXPECT_TRUE(list(*reader));
}

static void one_instance_announced_twice_is_one_peer(Ground& ground) {
  const auto first = ground.join();
  const auto second = ground.join();
  const auto reader = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "same");
  const PeerInfo other = make_peer(ground.world(), "other");
  Record record;
  const auto watching = reader->watch(ground.world().shard(0), record.watcher());
  Announced one = announce(ground, *first, peer);
  ASSERT_TRUE(ground.wait_until([&] { return record.view().contains(peer.instance_id); }));
  const Announced again = announce(ground, *first, peer);
  const Announced marker = announce(ground, *second, other);
  ASSERT_TRUE(ground.wait_until([&] { return record.view().contains(other.instance_id); }));
  EXPECT_EQ(record.view().size(), 2U);
  one.reset();  // was replaced
  const auto list = ground.wait(reader->list());
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 2U);
}

static void participants_that_come_and_go_leave_nothing(Ground& ground) {
  const auto reader = ground.join();
  const PeerInfo peer = make_peer(ground.world(), "a");
  Record seen;
  const auto watching_reader = reader->watch(ground.world().shard(0), seen.watcher());
  const auto once = [&] {
    // An instance is announced through one object; the one before is over when others see it gone.
    EXPECT_TRUE(ground.wait_until([&] { return !seen.view().contains(peer.instance_id); }));
    const auto participant = ground.join();
    Record record;
    const auto watching = participant->watch(ground.world().pool(), record.watcher());
    const Announced announced = announce(ground, *participant, peer);
    EXPECT_TRUE(ground.wait_until([&] { return record.view().contains(peer.instance_id); }));
    EXPECT_TRUE(ground.wait(reader->discover_by_instance_id(peer.instance_id)));
  };
  once();
  const auto before = open_descriptors();
  for (int i = 0; i < 20; ++i) once();
  const auto no_more = [&] { return open_descriptors() <= before; };
  EXPECT_TRUE(ground.wait_until(no_more))
      << "descriptors before: " << before << ", now: " << open_descriptors();
}

constexpr std::array scenarios{
    Scenario{"ThousandJoinsAndLeavesEndInTheTrueView",
             &thousand_joins_and_leaves_end_in_the_true_view},
    Scenario{"OneInstanceAnnouncedTwiceIsOnePeer", &one_instance_announced_twice_is_one_peer},
    Scenario{"ParticipantsThatComeAndGoLeaveNothing", &participants_that_come_and_go_leave_nothing},
};

}  // namespace churn_scenarios_detail

std::span<const Scenario> churn_scenarios() { return churn_scenarios_detail::scenarios; }

}  // namespace velo::discovery::conformance
