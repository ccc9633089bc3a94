// SPDX-License-Identifier: Apache-2.0
// Merging of sources: minimal changes, precedence, limits, and agreement with a simple model.

#include <velo/discovery/peer_table.hpp>

#include <gtest/gtest.h>

#include <random>

namespace velo::discovery {
namespace peer_table_test {

using Kind = PeerChange::Kind;

static PeerInfo peer(std::uint8_t number, std::string_view tcp, std::string_view uds = {}) {
  PeerInfo info{InstanceId({number}), {}};
  if (!tcp.empty()) info.address.emplace("tcp", Bytes::copy(tcp));
  if (!uds.empty()) info.address.emplace("uds", Bytes::copy(uds));
  return info;
}

static PeerChange change(Kind kind, std::vector<PeerInfo> peers) {
  return PeerChange(kind, std::move(peers));
}

static void expect_changes(const std::vector<PeerChange>& changes,
                           const std::vector<std::pair<Kind, PeerInfo>>& expected) {
  ASSERT_EQ(changes.size(), expected.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_EQ(changes[i].kind, expected[i].first) << i;
    EXPECT_EQ(changes[i].peers, std::vector<PeerInfo>{expected[i].second}) << i;
  }
}

TEST(PeerTable, SaysOnlyWhatWasNotKnown) {
  PeerTable table;
  expect_changes(table.apply(0, change(Kind::added, {peer(1, "a")})),
                 {{Kind::added, peer(1, "a")}});
  EXPECT_TRUE(table.apply(0, change(Kind::added, {peer(1, "a")})).empty());
  expect_changes(table.apply(0, change(Kind::added, {peer(1, "b")})),
                 {{Kind::added, peer(1, "b")}});
  EXPECT_TRUE(table.apply(0, change(Kind::removed, {peer(2, "")})).empty());
  expect_changes(table.apply(0, change(Kind::removed, {peer(1, "")})),
                 {{Kind::removed, peer(1, "b")}});
  EXPECT_TRUE(table.apply(0, change(Kind::removed, {peer(1, "")})).empty());
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(table.address_bytes(), 0U);
}

TEST(PeerTable, ResyncRemovesWhatIsMissingFromItAndThenAddsWhatIsNew) {
  PeerTable table;
  table.apply(0, change(Kind::snapshot, {peer(1, "a"), peer(2, "b")}));
  expect_changes(table.apply(0, change(Kind::resync, {peer(2, "b"), peer(3, "c")})),
                 {{Kind::removed, peer(1, "a")}, {Kind::added, peer(3, "c")}});
  EXPECT_EQ(table.list(), (std::vector<PeerInfo>{peer(2, "b"), peer(3, "c")}));
}

TEST(PeerTable, KeepsAPeerWhileAnySourceHasIt) {
  PeerTable table;
  table.apply(0, change(Kind::added, {peer(1, "a")}));
  EXPECT_TRUE(table.apply(5, change(Kind::added, {peer(1, "a")})).empty());
  EXPECT_TRUE(table.apply(0, change(Kind::removed, {peer(1, "")})).empty());
  EXPECT_TRUE(table.has(5, peer(1, "").instance_id));
  EXPECT_FALSE(table.has(0, peer(1, "").instance_id));
  expect_changes(table.apply(5, change(Kind::resync, {})), {{Kind::removed, peer(1, "a")}});
}

TEST(PeerTable, TakesEachTransportFromTheFirstSourceThatHasIt) {
  PeerTable table;
  table.apply(1, change(Kind::added, {peer(1, "later", "path")}));
  expect_changes(table.apply(0, change(Kind::added, {peer(1, "first")})),
                 {{Kind::added, peer(1, "first", "path")}});
  EXPECT_EQ(*table.find(peer(1, "").instance_id), peer(1, "first", "path"));
  expect_changes(table.apply(0, change(Kind::removed, {peer(1, "")})),
                 {{Kind::added, peer(1, "later", "path")}});
}

TEST(PeerTable, FindsByWorkerAsLongAsThePeerIsThere) {
  PeerTable table;
  table.apply(0, change(Kind::snapshot, {peer(1, "a"), peer(2, "b")}));
  ASSERT_NE(table.find(peer(2, "").worker_id()), nullptr);
  EXPECT_EQ(*table.find(peer(2, "").worker_id()), peer(2, "b"));
  table.apply(0, change(Kind::removed, {peer(2, "")}));
  EXPECT_EQ(table.find(peer(2, "").worker_id()), nullptr);
  EXPECT_EQ(table.find(WorkerId()), nullptr);
}

TEST(PeerTable, RefusesPeersBeyondItsLimitAndCountsThem) {
  PeerTable table(2);
  table.apply(0, change(Kind::added, {peer(1, "a"), peer(2, "b"), peer(3, "c")}));
  EXPECT_EQ(table.size(), 2U);
  EXPECT_EQ(table.refused(), 1U);
  // A change of one that is in still works, and one that leaves makes room.
  expect_changes(table.apply(0, change(Kind::added, {peer(1, "z")})),
                 {{Kind::added, peer(1, "z")}});
  expect_changes(table.apply(0, change(Kind::resync, {peer(2, "b"), peer(3, "c")})),
                 {{Kind::removed, peer(1, "z")}, {Kind::added, peer(3, "c")}});
  EXPECT_EQ(table.refused(), 1U);
}

TEST(PeerTable, RefusesAddressBytesBeyondItsLimit) {
  PeerTable table(10, 20);
  table.apply(0, change(Kind::added, {peer(1, "0123456789")}));  // "tcp" and ten bytes
  EXPECT_EQ(table.address_bytes(), 13U);
  EXPECT_TRUE(table.apply(0, change(Kind::added, {peer(2, "01234")})).empty());
  EXPECT_EQ(table.refused(), 1U);
  EXPECT_EQ(table.apply(0, change(Kind::added, {peer(2, "0123")})).size(), 1U);
  EXPECT_TRUE(table.apply(1, change(Kind::added, {peer(1, "more")})).empty());
  EXPECT_EQ(table.refused(), 2U);
  table.apply(0, change(Kind::resync, {}));
  EXPECT_EQ(table.address_bytes(), 0U);
}

TEST(PeerTable, RefusesThePeerWithoutAnId) {
  PeerTable table;
  EXPECT_TRUE(table.apply(0, change(Kind::added, {PeerInfo{}})).empty());
  EXPECT_EQ(table.refused(), 1U);
}

/// Applies what the table said to a follower's copy.
static void follow(std::map<InstanceId, PeerInfo>& view, const std::vector<PeerChange>& changes) {
  for (const PeerChange& said : changes) {
    ASSERT_EQ(said.peers.size(), 1U);
    const PeerInfo& about = said.peers.front();
    const auto known = view.find(about.instance_id);
    if (said.kind == Kind::removed) {
      ASSERT_NE(known, view.end()) << "removed what was not there";
      view.erase(known);
    } else {
      ASSERT_EQ(said.kind, Kind::added);
      ASSERT_TRUE(known == view.end() || known->second != about) << "said what was known";
      view.insert_or_assign(about.instance_id, about);
    }
  }
}

TEST(PeerTable, AgreesWithASimpleModelUnderRandomReports) {
  std::mt19937_64 random(7);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  for (int run = 0; run < 200; ++run) {
    PeerTable table;
    std::array<std::map<InstanceId, PeerInfo>, 3> sources;
    std::map<InstanceId, PeerInfo> view;
    for (int step = 0; step < 60; ++step) {
      const auto source = static_cast<PeerTable::Source>(below(3));
      const auto any_peer = [&] {
        const auto number = static_cast<std::uint8_t>(1 + below(5));
        const std::string tcp(1, static_cast<char>('a' + below(3)));
        return peer(number, below(4) == 0 ? "" : tcp, below(2) == 0 ? "" : tcp);
      };
      PeerChange report;
      const std::size_t kind = below(4);
      if (kind == 0) {
        report.kind = Kind::resync;
        sources[source].clear();
      } else {
        report.kind = kind == 1 ? Kind::removed : Kind::added;
      }
      const std::size_t count = kind == 0 ? below(5) : 1;
      for (std::size_t i = 0; i < count; ++i) {
        report.peers.push_back(any_peer());
        const PeerInfo& about = report.peers.back();
        if (kind == 1) {
          sources[source].erase(about.instance_id);
        } else {
          sources[source].insert_or_assign(about.instance_id, about);
        }
      }
      ASSERT_NO_FATAL_FAILURE(follow(view, table.apply(source, report)));
      std::map<InstanceId, PeerInfo> expected;
      for (const auto& known : sources) {
        for (const auto& [id, info] : known) {
          auto& merged = expected.try_emplace(id, PeerInfo{id, {}}).first->second;
          merged.address.insert(info.address.begin(), info.address.end());
        }
      }
      ASSERT_EQ(view, expected) << "run " << run << " step " << step;
      ASSERT_EQ(table.list().size(), expected.size());
      for (const auto& [id, info] : expected) {
        ASSERT_EQ(*table.find(id), info);
        ASSERT_EQ(*table.find(id.worker_id()), info);
      }
    }
  }
}

}  // namespace peer_table_test
}  // namespace velo::discovery
