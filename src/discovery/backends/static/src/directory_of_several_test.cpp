// SPDX-License-Identifier: Apache-2.0
// A directory in a World: sources that say nothing or fail hide nobody else's peers and services.

#include <velo/discovery/backends/static.hpp>
#include <velo/discovery/directory.hpp>
#include <velo/discovery/error.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace velo::discovery {
namespace directory_of_several_test {

using std::chrono::seconds;

/// Down: fails each question and tells its watchers nothing until told.
class Down final : public PeerDiscovery, public ServiceDiscovery {
 public:
  explicit Down(Executor& callbacks) : callbacks_(callbacks) {}
  template <class T>
  Op<T> fails() {
    return Op<T>::ready(callbacks_, velo::make_error(velo::Errc::io, "down"));
  }
  std::string_view name() const noexcept override { return "down"; }
  Op<std::unique_ptr<Registration>> announce(const PeerInfo&) override {
    return fails<std::unique_ptr<Registration>>();
  }
  Op<PeerInfo> discover_by_instance_id(const InstanceId&) override { return fails<PeerInfo>(); }
  Op<PeerInfo> discover_by_worker_id(WorkerId) override { return fails<PeerInfo>(); }
  Op<std::vector<PeerInfo>> list() override { return fails<std::vector<PeerInfo>>(); }
  std::unique_ptr<Registration> watch(Executor& executor, PeerWatcher watcher) override {
    return peers.watch(executor, std::move(watcher));
  }
  ServiceDiscovery* services() noexcept override { return this; }
  Op<std::unique_ptr<Registration>> register_service(const ServiceInstance&) override {
    return fails<std::unique_ptr<Registration>>();
  }
  Op<std::vector<std::string>> list_services() override {
    return fails<std::vector<std::string>>();
  }
  Op<std::vector<ServiceInstance>> instances(std::string_view) override {
    return fails<std::vector<ServiceInstance>>();
  }
  std::unique_ptr<Registration> watch_service(std::string_view service, Executor& executor,
                                              ServiceWatcher watcher) override {
    return of_services.watch(executor, std::move(watcher), std::string(service));
  }

  PeerFeed peers{FeedStart::unknown};
  ServiceFeed of_services{FeedStart::unknown};

 private:
  Executor& callbacks_;
};

static PeerInfo peer(std::uint8_t number, std::string_view address) {
  return {InstanceId({number}), {{"tcp", Bytes::copy(address)}}};
}

struct DirectoryOfSeveral : testing::Test {
  sim::Simulation sim{1};
  sim::SimNode& node = sim.add_node("node");
  std::shared_ptr<Down> down = std::make_shared<Down>(node.pool());
  std::shared_ptr<StaticDiscovery> works = *StaticDiscovery::create(node.pool(), {peer(1, "a")});
  std::shared_ptr<StaticDiscovery> later =
      *StaticDiscovery::create(node.pool(), {peer(1, "b"), peer(2, "b")});
  std::unique_ptr<Directory> directory =
      std::make_unique<Directory>(node, Directory::Sources{down, works, later});
};

TEST_F(DirectoryOfSeveral, ASourceThatSaysNothingHoldsNobodyBackForLong) {
  std::vector<PeerChange> said;
  const auto watching =
      directory->watch(node.shard(0), [&](const PeerChange& change) { said.push_back(change); });
  sim.run_for(seconds(1));
  EXPECT_TRUE(said.empty());
  sim.run_for(seconds(2));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].kind, ChangeKind::snapshot);
  EXPECT_EQ(said[0].peers, (std::vector<PeerInfo>{peer(1, "a"), peer(2, "b")}));
  // It comes back, first in order: its addresses count from now on.
  down->peers.apply(0, PeerChange(ChangeKind::snapshot, {peer(1, "z"), peer(3, "z")}));
  sim.run_for(seconds(1));
  EXPECT_EQ(directory->known(), (std::vector<PeerInfo>{peer(1, "z"), peer(2, "b"), peer(3, "z")}));
  EXPECT_GE(said.size(), 3U);
}

TEST_F(DirectoryOfSeveral, ServicesAreTheUnionOfThoseThatAnswer) {
  const ServiceInstance one{"sum", InstanceId({1}), {{"version", Bytes::copy("1")}}};
  const ServiceInstance two{"sum", InstanceId({2}), {}};
  ASSERT_TRUE(works->add_service(one));
  ASSERT_TRUE(later->add_service(two));
  ASSERT_TRUE(later->add_service({"log", InstanceId({2}), {}}));
  EXPECT_EQ(sim.wait(directory->instances("sum"), seconds(5)).value(),
            (std::vector<ServiceInstance>{one, two}));
  EXPECT_EQ(sim.wait(directory->list_services(), seconds(5)).value(),
            (std::vector<std::string>{"log", "sum"}));
  std::vector<ServiceChange> said;
  const auto watching = directory->watch_service(
      "sum", node.shard(0), [&](const ServiceChange& change) { said.push_back(change); });
  sim.run_for(seconds(3));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].instances, (std::vector<ServiceInstance>{one, two}));
  works->remove_service("sum", one.instance_id);
  sim.run_for(seconds(1));
  ASSERT_EQ(said.size(), 2U);
  EXPECT_EQ(said[1].kind, ChangeKind::removed);
  auto registered = sim.wait(directory->register_service(one), seconds(5));
  ASSERT_TRUE(registered) << "two of three took it";
  EXPECT_EQ(sim.wait(later->instances("sum"), seconds(5)).value().size(), 2U);
  registered->reset();
  EXPECT_EQ(sim.wait(later->instances("sum"), seconds(5)).value().size(), 1U);
}

TEST_F(DirectoryOfSeveral, NothingIsKnownWhenEverySourceFails) {
  Directory asked(node, {down});
  EXPECT_TRUE(sim.wait(asked.instances("sum"), seconds(5)).error().is(velo::Errc::io));
  EXPECT_TRUE(sim.wait(asked.list_services(), seconds(5)).error().is(velo::Errc::io));
  Directory none(node, {});
  const auto refused = sim.wait(none.register_service({"sum", InstanceId({1}), {}}), seconds(5));
  EXPECT_TRUE(refused.error().code() == error_code(Errc::no_source));
}

TEST_F(DirectoryOfSeveral, MayGoBeforeItsPatienceIsOver) {
  directory.reset();
  sim.run_for(seconds(5));
  EXPECT_EQ(works->services(), static_cast<ServiceDiscovery*>(works.get()));
}

}  // namespace directory_of_several_test
}  // namespace velo::discovery
