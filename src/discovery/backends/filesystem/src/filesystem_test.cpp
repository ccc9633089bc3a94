// SPDX-License-Identifier: Apache-2.0
// What is special to a shared folder: foreign and broken files, files that vanish, what dead owners
// leave, limits. Over the simulated World, where nodes of one machine are processes that share its
// files.

#include <velo/discovery/backends/filesystem.hpp>

#include <velo/base/files.hpp>
#include <velo/base/log.hpp>
#include <velo/discovery/backends/filesystem/entry.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <map>

namespace velo::discovery {
namespace filesystem_test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* folder = "/tmp/shared/demo/peers/";

struct FilesystemDiscoveryTest : testing::Test {
  log::Capture log;
  sim::Simulation sim{42};
  sim::SimNode& here = add_node("here");
  sim::SimNode& there = add_node("there");
  std::unique_ptr<FilesystemDiscovery> reader = join(here);
  std::unique_ptr<FilesystemDiscovery> owner = join(there);
  std::map<InstanceId, PeerInfo> view;
  int calls = 0;

  sim::SimNode& add_node(const std::string& name) {
    sim::NodeOptions options;
    options.machine = "machine";
    return sim.add_node(name, options);
  }
  static std::unique_ptr<FilesystemDiscovery> join(
      World& world, const FilesystemOptions& options = FilesystemOptions()) {
    auto made = FilesystemDiscovery::create(world, "/tmp/shared", "demo", options);
    return made ? std::move(*made) : nullptr;
  }
  template <class T>
  Result<T> wait(Op<T> op) {
    return sim.wait(std::move(op), minutes(1));
  }
  std::unique_ptr<Registration> announce(FilesystemDiscovery& discovery, const PeerInfo& peer) {
    auto announced = wait(discovery.announce(peer));
    EXPECT_TRUE(announced) << announced.error().to_string();
    return announced ? std::move(*announced) : nullptr;
  }
  std::unique_ptr<Registration> watch() {
    return reader->watch(here.shard(0), [this](const PeerChange& change) {
      ++calls;
      if (change.kind != PeerChange::Kind::added && change.kind != PeerChange::Kind::removed) {
        view.clear();
      }
      for (const PeerInfo& peer : change.peers) {
        if (change.kind == PeerChange::Kind::removed) {
          view.erase(peer.instance_id);
        } else {
          view.insert_or_assign(peer.instance_id, peer);
        }
      }
    });
  }
  bool until(const std::function<bool()>& condition) {
    return sim.run_until(condition, minutes(5));
  }

  void write(const std::string& name, std::string_view contents) {
    ASSERT_TRUE(here.files().create_directories(folder));
    ASSERT_TRUE(here.files().write_atomic(folder + name, as_bytes(contents)));
  }
  void remove_all() {
    const auto files = here.files().list(folder);
    ASSERT_TRUE(files);
    for (const FileInfo& file : *files) ASSERT_TRUE(here.files().remove(folder + file.name));
  }
  std::size_t files() {
    const auto listed = here.files().list(folder);
    return listed ? listed->size() : 0;
  }
  std::size_t log_lines_with(std::string_view text) const {
    std::size_t count = 0;
    for (const std::string& line : log.lines()) {
      count += line.find(text) != std::string::npos ? 1 : 0;
    }
    return count;
  }
  PeerInfo make_peer(std::string_view address) {
    return PeerInfo{InstanceId::random(sim.random()), {{"tcp", Bytes::copy(address)}}};
  }
};

TEST_F(FilesystemDiscoveryTest, RefusesArgumentsThatCanNeverWork) {
  const auto refused = [this](const std::string& directory, const std::string& cluster,
                              const FilesystemOptions& options = FilesystemOptions()) {
    const auto made = FilesystemDiscovery::create(here, directory, cluster, options);
    return !made && made.error().is(velo::Errc::invalid_argument);
  };
  EXPECT_TRUE(refused("", "demo"));
  EXPECT_TRUE(refused("/tmp", ""));
  EXPECT_TRUE(refused("/tmp", ".."));
  EXPECT_TRUE(refused("/tmp", "a/b"));
  EXPECT_TRUE(refused("/tmp", std::string("a\0b", 3)));
  EXPECT_TRUE(refused("/tmp", std::string(limits::cluster_name_bytes_max + 1, 'a')));
  EXPECT_FALSE(refused("/tmp", std::string(limits::cluster_name_bytes_max, 'a')));
  FilesystemOptions options;
  options.poll_interval = Duration::zero();
  EXPECT_TRUE(refused("/tmp", "demo", options));
}

TEST_F(FilesystemDiscoveryTest, IgnoresWhatIsNotAnAnnouncementAndSaysSoOnce) {
  const PeerInfo good = make_peer("good");
  const auto announced = announce(*owner, good);
  const std::string broken = InstanceId::random(sim.random()).to_string() + ".json";
  const PeerInfo liar = make_peer("liar");
  write("README", "not ours");
  write("x.json", "{}");
  write(broken, R"({"format":1,"clus)");
  write(InstanceId::random(sim.random()).to_string() + ".json",
        encode_filesystem_entry(PeerEntry{"demo", 1, liar}));
  write(InstanceId::random(sim.random()).to_string() + ".json",
        std::string(limits::file_bytes_max + 1, ' '));
  const PeerInfo foreign = make_peer("foreign");
  write(filesystem_entry_name<PeerSubject>(foreign.instance_id),
        encode_filesystem_entry(PeerEntry{"other", 1, foreign}));
  ASSERT_TRUE(here.files().create_directories(
      folder + filesystem_entry_name<PeerSubject>(InstanceId::random(sim.random()))));

  const auto watching = watch();
  ASSERT_TRUE(until([&] { return calls > 0; }));
  sim.run_for(seconds(10));
  EXPECT_EQ(view, (std::map<InstanceId, PeerInfo>{{good.instance_id, good}}));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(log_lines_with("an announcement is ignored"), 4U);
  EXPECT_EQ(wait(reader->list())->size(), 1U);
  EXPECT_FALSE(wait(reader->discover_by_instance_id(liar.instance_id)));
  EXPECT_FALSE(wait(reader->discover_by_worker_id(liar.worker_id())));
  const auto found = wait(reader->discover_by_instance_id(foreign.instance_id));
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().is(velo::Errc::not_found));
}

TEST_F(FilesystemDiscoveryTest, EntryWithoutAnOwnerIsRemoved) {
  const PeerInfo dead = make_peer("dead");
  write(filesystem_entry_name<PeerSubject>(dead.instance_id),
        encode_filesystem_entry(PeerEntry{"demo", 7, dead}));
  EXPECT_EQ(files(), 1U);
  const auto found = wait(reader->discover_by_instance_id(dead.instance_id));
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().is(velo::Errc::not_found));
  EXPECT_EQ(files(), 0U);
}

TEST_F(FilesystemDiscoveryTest, FilesThatACleanerTookAreWrittenAgain) {
  const PeerInfo peer = make_peer("a");
  auto announced = announce(*owner, peer);
  const auto watching = watch();
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  remove_all();
  ASSERT_TRUE(until([&] { return view.empty(); }));
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  EXPECT_EQ(view.begin()->second, peer);
  announced.reset();
  ASSERT_TRUE(until([&] { return view.empty(); }));
  sim.run_for(seconds(20));
  EXPECT_EQ(files(), 0U) << "and not again after it was withdrawn";
}

TEST_F(FilesystemDiscoveryTest, BrokenFileOfALivingOwnerIsRepaired) {
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(*owner, peer);
  write(filesystem_entry_name<PeerSubject>(peer.instance_id), "rubbish");
  EXPECT_FALSE(wait(reader->discover_by_instance_id(peer.instance_id)));
  sim.run_for(seconds(6));
  EXPECT_EQ(*wait(reader->discover_by_instance_id(peer.instance_id)), peer);
}

TEST_F(FilesystemDiscoveryTest, SettledFilesAreNotReadAgainButTheirOwnersAreStillProbed) {
  const auto announced = announce(*owner, make_peer("a"));
  const auto watching = watch();
  sim.run_for(minutes(1));
  ASSERT_EQ(view.size(), 1U);
  sim.crash(there);
  sim.run_for(milliseconds(200));
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(files(), 0U);
}

TEST_F(FilesystemDiscoveryTest, FewProbesPerPollFindTheDeadAllTheSame) {
  FilesystemOptions options;
  options.probes_per_poll = 3;
  reader = join(here, options);
  std::vector<std::unique_ptr<Registration>> announced;
  for (int i = 0; i < 20; ++i) announced.push_back(announce(*owner, make_peer("a")));
  const auto watching = watch();
  ASSERT_TRUE(until([&] { return view.size() == 20; }));
  sim.crash(there);
  ASSERT_TRUE(until([&] { return view.empty(); }));
}

TEST_F(FilesystemDiscoveryTest, ChurnLeavesNoFiles) {
  for (int round = 0; round < 20; ++round) {
    sim::SimNode& node = add_node("churn" + std::to_string(round));
    auto joined = join(node);
    auto announced = announce(*joined, make_peer("a"));
    auto unfinished = joined->announce(make_peer("b"));
    if (round % 2 == 0) {
      sim.run_for(Duration(sim.random().below(30'000)));
      sim.crash(node);
    }
  }
  const auto watching = watch();
  sim.run_for(minutes(3));  // locks whose entry was never written are left alone for a minute
  EXPECT_EQ(files(), 0U);
  EXPECT_TRUE(view.empty());
}

TEST_F(FilesystemDiscoveryTest, LockWithoutAnEntryIsCollectedWhenItIsOld) {
  sim.run_for(minutes(2));
  const std::string fresh = filesystem_lock_name<PeerSubject>(InstanceId::random(sim.random()), 5);
  write(fresh, "");
  EXPECT_TRUE(wait(reader->list()));
  EXPECT_EQ(files(), 1U);
  sim.run_for(minutes(2));
  EXPECT_TRUE(wait(reader->list()));
  EXPECT_EQ(files(), 0U);
}

TEST_F(FilesystemDiscoveryTest, WatchersKeepWhatTheyKnowWhileTheFolderCannotBeRead) {
  const auto announced = announce(*owner, make_peer("a"));
  const auto watching = watch();
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  sim.crash(here);
  sim.run_for(seconds(5));
  EXPECT_EQ(view.size(), 1U);
}

TEST_F(FilesystemDiscoveryTest, AnnouncementThatDoesNotFitIsRefused) {
  PeerInfo peer = make_peer("");
  peer.address["tcp"] = Bytes::copy(std::string(limits::file_bytes_max / 2, 'x'));
  const auto announced = wait(owner->announce(peer));
  ASSERT_FALSE(announced);
  EXPECT_TRUE(announced.error().is(velo::Errc::invalid_argument));
  EXPECT_EQ(files(), 0U);
  const auto small = announce(*owner, make_peer("x"));
}

TEST_F(FilesystemDiscoveryTest, TooManyWaitingOperationsAreRefused) {
  std::vector<Op<PeerInfo>> running;
  for (std::size_t i = 0; i < limits::file_operations_pending_max + 10; ++i) {
    running.push_back(reader->discover_by_worker_id(WorkerId(i + 1)));
  }
  std::size_t overloaded = 0;
  for (auto& op : running) {
    const auto ended = wait(std::move(op));
    ASSERT_FALSE(ended);
    overloaded += ended.error().is(velo::Errc::overloaded) ? 1U : 0U;
  }
  EXPECT_GE(overloaded, 9U);
  EXPECT_LE(overloaded, 10U);
  EXPECT_TRUE(wait(reader->list()));
}

TEST_F(FilesystemDiscoveryTest, NobodyWatchingAndNothingAnnouncedLeavesTheWorldIdle) {
  {
    auto announced = announce(*owner, make_peer("a"));
    const auto watching = watch();
    ASSERT_TRUE(until([&] { return view.size() == 1; }));
  }
  EXPECT_TRUE(sim.run_until_idle(minutes(1))) << "no timer is left";
}

TEST_F(FilesystemDiscoveryTest, LaterWatchStartsWithWhatIsThereThen) {
  const PeerInfo second = make_peer("second");
  auto announced = announce(*owner, make_peer("first"));
  auto watching = watch();
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  watching.reset();
  announced = announce(*owner, second);
  sim.run_for(seconds(1));
  calls = 0;
  watching = watch();
  ASSERT_TRUE(until([&] { return calls > 0; }));
  EXPECT_EQ(view, (std::map<InstanceId, PeerInfo>{{second.instance_id, second}}));
}

TEST_F(FilesystemDiscoveryTest, ClustersOfOneFolderDoNotSeeEachOther) {
  auto made = FilesystemDiscovery::create(there, "/tmp/shared", "other");
  ASSERT_TRUE(made);
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(**made, peer);
  EXPECT_FALSE(wait(reader->discover_by_instance_id(peer.instance_id)));
  EXPECT_TRUE(wait(reader->list())->empty());
}

TEST(FilesystemDiscoveryReplay, OneSeedGivesOneTrace) {
  const auto run = [](std::uint64_t seed) {
    sim::Simulation sim(seed);
    std::vector<std::unique_ptr<FilesystemDiscovery>> all;
    std::vector<std::unique_ptr<Registration>> held;
    sim::NodeOptions options;
    options.machine = "machine";
    for (int i = 0; i < 5; ++i) {
      auto& node = sim.add_node("node" + std::to_string(i), options);
      all.push_back(std::move(*FilesystemDiscovery::create(node, "/tmp/shared", "demo")));
      held.push_back(all.back()->watch(node.shard(0), [](const PeerChange&) {}));
      const PeerInfo peer{InstanceId::random(node.random()), {{"tcp", Bytes::copy("x")}}};
      held.push_back(std::move(*sim.wait(all.back()->announce(peer), seconds(10))));
    }
    sim.crash(sim.node(2));
    sim.run_for(seconds(10));
    return sim.trace_hash();
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

}  // namespace filesystem_test
}  // namespace velo::discovery
