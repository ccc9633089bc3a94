// SPDX-License-Identifier: Apache-2.0
// The two ways between processes of one host, shared memory and TCP, in simulation: moving between
// them a hundred times and back, and the better one dying in every manner, under load.

#include "testing/path_pair.hpp"

#include <velo/transport/backends/shm.hpp>

#include <ostream>
#include <string>

namespace velo::messenger::testing::path_media_test {

struct Case {
  std::uint64_t seed;
  bool memory_first;  ///< shared memory is the better one; otherwise it is TCP
};

/// Printed by GoogleTest where a test of the case is listed.
void PrintTo(const Case& tested, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << (tested.memory_first ? "shm" : "tcp") << " first, seed " << tested.seed;
}

static PathPairOptions options_of(const Case& tested) {
  PathPairOptions options;
  options.seed = tested.seed;
  options.cluster.machine = "host";
  options.cluster.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) {
    // Often full, so that there is something to hold back.
    setup.window_calls = 40;
  };
  const PathPairOptions::Make memory = [](const sim::SimNode& node) {
    transport::ShmOptions shm;
    shm.path = "@" + std::string(node.name());
    return transport::make_shm(std::move(shm));
  };
  const PathPairOptions::Make tcp = options.far_transport;
  options.near = std::make_shared<Medium>(tested.memory_first ? "shm" : "tcp");
  options.far = std::make_shared<Medium>(tested.memory_first ? "tcp" : "shm");
  options.near_transport = tested.memory_first ? memory : tcp;
  options.far_transport = tested.memory_first ? tcp : memory;
  return options;
}

class PathMedia : public ::testing::TestWithParam<Case> {
 protected:
  const std::string& near() const { return paths.near->key(); }
  const std::string& far() const { return paths.far->key(); }
  ::testing::AssertionResult load_until_on(const std::string& key) {
    return paths.load_until([&] { return paths.chosen() == key; });
  }
  /// Nobody dials it from here on, and what is open ends: at one end, at both, or in between.
  void kill_near(std::uint64_t how) {
    paths.near->close_road();
    if (how % 4 == 0) return paths.near->break_all(Medium::End::dialled);
    if (how % 4 == 1) return paths.near->break_all(Medium::End::accepted);
    if (how % 4 == 2) return paths.near->break_all(Medium::End::both);
    sim::Simulation& sim = paths.cluster->sim;
    sim.reset_connections(sim.node(0), sim.node(1));
  }

  PathPair paths{options_of(GetParam())};
};

TEST_P(PathMedia, AHundredMovesThereAndBackUnderLoadLoseRepeatAndReorderNothing) {
  ASSERT_TRUE(load_until_on(near()));
  for (int i = 0; i < 200; ++i) {
    const std::string wanted = i % 2 == 0 ? far() : near();
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), wanted));
    ASSERT_TRUE(load_until_on(wanted)) << "move " << i;
  }
  EXPECT_EQ(paths.report().upgrades, 200U);
  paths.expect_all_in_order();
  const PathBooks books = paths.client().books().paths;
  EXPECT_EQ(books.upgrades, 200U);
  EXPECT_EQ(books.failovers, 0U);
  EXPECT_EQ(books.resumed + books.deduplicated + books.lost, 0U);
}

TEST_P(PathMedia, ABetterOneThatDiesInAnyMannerUnderLoadLosesRepeatsAndReordersNothing) {
  constexpr std::uint64_t deaths = 24;
  ASSERT_TRUE(load_until_on(near()));
  for (std::uint64_t i = 0; i < deaths; ++i) {
    for (int k = 0; k < 20; ++k) paths.send_one();
    paths.cluster->sim.run_for(Duration(paths.cluster->sim.random().below(400'000)));
    kill_near(i);
    ASSERT_TRUE(load_until_on(far())) << "death " << i;
    paths.near->mend();
    // As who knows that it is back.
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), near()));
    ASSERT_TRUE(load_until_on(near())) << "death " << i;
    ASSERT_TRUE(paths.client().prefer_path(paths.server_id(), ""));
  }
  paths.expect_all_in_order();
  const PathBooks books = paths.client().books().paths;
  EXPECT_EQ(books.failovers, deaths);
  EXPECT_GT(books.resumed, 0U);
  EXPECT_GT(books.deduplicated, 0U);
  EXPECT_EQ(books.lost, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PathMedia,
                         ::testing::Values(Case{1, true}, Case{2, true}, Case{3, true},
                                           Case{4, true}, Case{5, false}, Case{6, false}));

}  // namespace velo::messenger::testing::path_media_test
