// SPDX-License-Identifier: Apache-2.0
// One seed, one run: the same trace hash again, from disturbed memory, and from both compilers.

#include "stream_test_kit.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::sim::determinism_test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using stream_test_kit::Talker;

/// Echoes what it hears and logs its lives on its disk.
class Echo {
 public:
  explicit Echo(SimNode& node) : node_(node) {
    (void)node.files().append("/lives", as_bytes("born;"));
    auto listening = node.network().listen(node.shard(0), node.endpoint(7), ListenOptions(),
                                           [this](Result<std::unique_ptr<ByteStream>> stream) {
                                             if (stream) serve(std::move(*stream));
                                           });
    if (listening) listener_ = std::move(*listening);
  }

 private:
  void serve(std::unique_ptr<ByteStream> stream) {
    auto talker = std::make_unique<Talker>(std::move(stream));
    Talker* one = talker.get();
    talkers_.push_back(std::move(talker));
    one->on_heard = [this, one, echoed = std::size_t{0}]() mutable {
      const std::size_t from = std::exchange(echoed, one->heard().size());
      velo::post(node_.pool(),
                 [one, from, to = echoed] { one->say(one->heard().substr(from, to - from)); });
    };
  }

  SimNode& node_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Talker>> talkers_;
};

/// Connects to everyone and talks on a timer; connects again when a stream fails.
class Caller {
 public:
  Caller(SimNode& node, std::vector<Endpoint> peers) : node_(node), peers_(std::move(peers)) {
    arm();
  }

 private:
  void arm() {
    const TimePoint next =
        node_.clock().now() + Duration(1'000'000 + node_.random().below(20'000'000));
    node_.shard(0).start_timer(next,
                               Task0{[](void* self) { static_cast<Caller*>(self)->tick(); }, this});
  }
  void tick() {
    const std::size_t peer = node_.random().below(peers_.size());
    auto& talker = talkers_[peer];
    if (talker && talker->over()) talker.reset();
    if (talker) {
      talker->say(stream_test_kit::pattern(1 + node_.random().below(5000)));
    } else if (!connecting_[peer]) {
      connecting_[peer] =
          node_.network().connect(node_.shard(0), peers_[peer], ConnectOptions(),
                                  [this, peer](Result<std::unique_ptr<ByteStream>> stream) {
                                    connecting_[peer].reset();
                                    if (stream)
                                      talkers_[peer] = std::make_unique<Talker>(std::move(*stream));
                                  });
    }
    arm();
  }

  SimNode& node_;
  std::vector<Endpoint> peers_;
  std::map<std::size_t, std::unique_ptr<Connecting>> connecting_;
  std::map<std::size_t, std::unique_ptr<Talker>> talkers_;
};

struct Both {
  Echo echo;
  Caller caller;
  Both(SimNode& node, std::vector<Endpoint> peers) : echo(node), caller(node, std::move(peers)) {}
};

struct Outcome {
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::uint64_t crashes = 0;
};

/// Eight nodes that all talk to each other for twenty seconds, under 30 faults of every kind.
Outcome run_scenario(std::uint64_t seed) {
  constexpr std::size_t nodes = 8;
  SimOptions options;
  options.torn_appends = true;
  options.clock_offset_max = seconds(3);
  options.clock_drift_ppm_max = 100;
  options.link.reset_per_million_segments = 100;
  options.link.bytes_per_second = 50'000'000;
  Simulation sim(seed, options);
  std::vector<Endpoint> everyone;
  for (std::size_t i = 1; i <= nodes; ++i) {
    everyone.push_back(Endpoint::tcp("10.0.0." + std::to_string(i), 7));
  }
  for (std::size_t i = 0; i < nodes; ++i) {
    sim.add_node("node" + std::to_string(i), NodeOptions(),
                 [&everyone](SimNode& node) { return std::make_shared<Both>(node, everyone); });
  }
  FaultPlanOptions faults;
  faults.nodes = nodes;
  faults.faults = 30;
  faults.span = seconds(20);
  sim.apply(random_fault_plan(seed, faults));
  sim.run_for(seconds(20));
  return {sim.trace_hash(), sim.event_count(), sim.stats().stream_bytes, sim.stats().crashes};
}

TEST(SimDeterminism, TheSameSeedGivesTheSameHashFromADisturbedHeap) {
  const Outcome first = run_scenario(1);
  std::vector<std::unique_ptr<char[]>> noise;
  for (std::size_t i = 1; i < 5000; ++i) {
    auto block = std::make_unique<char[]>((i * 7919) % 3000 + 1);
    if (i % 3 != 0) noise.push_back(std::move(block));
  }
  const Outcome second = run_scenario(1);
  EXPECT_EQ(first.hash, second.hash);
  EXPECT_EQ(first.events, second.events);
  EXPECT_GT(first.crashes, 0U);
}

TEST(SimDeterminism, DifferentSeedsGiveDifferentHashes) {
  EXPECT_NE(run_scenario(1).hash, run_scenario(2).hash);
}

/// The constants hold for every compiler and build type. Whoever changes what the simulation does
/// on purpose replaces them by what this test prints.
TEST(SimDeterminism, TheHashOfAFixedScenarioIsTheSameWithEveryCompiler) {
  const Outcome outcome = run_scenario(20'261'120);
  EXPECT_EQ(outcome.events, 43'604U);
  EXPECT_EQ(outcome.bytes, 30'340'580U);
  EXPECT_EQ(outcome.hash, 12'429'264'975'498'874'920U);
}

}  // namespace velo::sim::determinism_test
