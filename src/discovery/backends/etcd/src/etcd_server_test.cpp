// SPDX-License-Identifier: Apache-2.0
// The etcd backend with the machine's own server, which is restarted, frozen, emptied and compacted
// in the middle. Skipped where there is none.

#include <velo/discovery/backends/etcd.hpp>

#include <velo/base/log.hpp>
#include <velo/discovery/testing/real_etcd.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "etcd_channel.hpp"

namespace velo::discovery {
namespace etcd_server_test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using View = std::map<InstanceId, PeerInfo>;

struct EtcdServerTest : ::testing::Test {
  log::Capture log;
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<testing::RealEtcd> server;
  std::mutex mutex;
  std::condition_variable changed;
  View view;
  int calls = 0;

  void SetUp() override {
    if (const std::string why = testing::RealEtcd::missing(); !why.empty()) GTEST_SKIP() << why;
    server = std::make_unique<testing::RealEtcd>();
    auto made = runtime::RealWorld::create();
    ASSERT_TRUE(made);
    world = std::move(*made);
  }
  std::unique_ptr<EtcdDiscovery> join() {
    EtcdOptions options;
    options.endpoints = {server->endpoint()};
    options.lease_ttl = seconds(2);
    options.request_timeout = seconds(1);
    options.backoff_max = milliseconds(500);
    options.check_interval = seconds(1);
    auto made = EtcdDiscovery::create(*world, "demo", options);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  std::unique_ptr<Registration> announce(EtcdDiscovery& discovery, const PeerInfo& peer) {
    auto announced = discovery.announce(peer).get();
    EXPECT_TRUE(announced) << announced.error().to_string();
    return announced ? std::move(*announced) : nullptr;
  }
  std::unique_ptr<Registration> watch(EtcdDiscovery& discovery) {
    return discovery.watch(world->pool(), [this](const PeerChange& change) {
      const std::lock_guard lock(mutex);
      ++calls;
      if (change.kind == ChangeKind::snapshot || change.kind == ChangeKind::resync) view.clear();
      for (const PeerInfo& peer : change.peers) {
        if (change.kind == ChangeKind::removed) {
          view.erase(peer.instance_id);
        } else {
          view.insert_or_assign(peer.instance_id, peer);
        }
      }
      changed.notify_all();
    });
  }
  bool view_becomes(const View& expected) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(20), [&] { return calls > 0 && view == expected; });
  }
  PeerInfo make_peer(std::string_view address) {
    return PeerInfo{InstanceId::random(world->random()), {{"tcp", Bytes::copy(address)}}};
  }
};

TEST_F(EtcdServerTest, RestartInTheMiddleLosesNothing) {
  const auto owner = join();
  const auto reader = join();
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  auto announced = announce(*owner, first);
  const auto watching = watch(*reader);
  ASSERT_TRUE(view_becomes({{first.instance_id, first}}));
  server->kill();
  auto announcing = owner->announce(second);
  announced.reset();
  server->start();
  const auto also = std::move(announcing).get();
  ASSERT_TRUE(also) << also.error().to_string();
  EXPECT_TRUE(view_becomes({{second.instance_id, second}}));
  EXPECT_EQ(reader->list().get()->size(), 1U);
}

TEST_F(EtcdServerTest, EmptiedServerGetsEverythingBack) {
  const auto owner = join();
  const auto reader = join();
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  const auto announced = announce(*owner, first);
  for (int i = 0; i < 20; ++i) announce(*owner, second);  // revisions that the new server lacks
  const auto watching = watch(*reader);
  ASSERT_TRUE(view_becomes({{first.instance_id, first}}));
  server->wipe();
  server->start();
  const auto also = announce(*owner, second);
  EXPECT_TRUE(view_becomes({{first.instance_id, first}, {second.instance_id, second}}));
}

TEST_F(EtcdServerTest, FrozenServerIsWaitedFor) {
  const auto owner = join();
  const auto reader = join();
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(*owner, peer);
  const auto watching = watch(*reader);
  ASSERT_TRUE(view_becomes({{peer.instance_id, peer}}));
  server->freeze();
  auto listing = reader->list();
  std::mutex never_locked;
  std::condition_variable never;
  std::unique_lock lock(never_locked);
  // Longer than the lease: the frozen server's clock stands still with it.
  never.wait_for(lock, seconds(4), [&] { return listing.done(); });
  EXPECT_FALSE(listing.done());
  server->thaw();
  EXPECT_TRUE(std::move(listing).get());
  const PeerInfo late = make_peer("late");
  const auto also = announce(*owner, late);
  EXPECT_TRUE(view_becomes({{peer.instance_id, peer}, {late.instance_id, late}}));
}

TEST_F(EtcdServerTest, ThousandJoinsAndLeavesWithARestartEndInTheTrueView) {
  const auto owner = join();
  const auto reader = join();
  const auto watching = watch(*reader);
  std::vector<PeerInfo> peers;
  for (int i = 0; i < 100; ++i) peers.push_back(make_peer(std::to_string(i)));
  std::map<InstanceId, std::unique_ptr<Registration>> announced;
  for (int step = 0; step < 1000; ++step) {
    if (step == 500) {
      server->kill();
      server->start();
    }
    const PeerInfo& peer = peers[world->random().below(peers.size())];
    if (announced.erase(peer.instance_id) == 0) {
      announced[peer.instance_id] = announce(*owner, peer);
    }
  }
  View expected;
  for (const PeerInfo& peer : peers) {
    if (announced.contains(peer.instance_id)) expected.emplace(peer.instance_id, peer);
  }
  EXPECT_TRUE(view_becomes(expected));
  EXPECT_EQ(reader->list().get()->size(), expected.size());
  announced.clear();
  EXPECT_TRUE(view_becomes({}));
}

TEST_F(EtcdServerTest, CompactionDuringACutStartsAnew) {
  const auto owner = join();
  const auto reader = join();
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  auto announced = announce(*owner, first);
  // The reader's way to the server, which the test cuts.
  std::atomic<bool> cut{false};
  EtcdOptions options;
  options.endpoints = {server->endpoint()};
  options.backoff_max = milliseconds(500);
  options.request_timeout = seconds(1);
  options.check_interval = milliseconds(200);
  options.operation_timeout = seconds(1);
  options.connect = [&](Shard& shard, const Endpoint& remote, const ConnectOptions& how,
                        StreamHandler done) {
    const Endpoint way = cut ? Endpoint::tcp("127.0.0.1", 1) : remote;
    return world->network().connect(shard, way, how, std::move(done));
  };
  auto far = EtcdDiscovery::create(*world, "demo", options);
  ASSERT_TRUE(far);
  const auto watching = watch(**far);
  ASSERT_TRUE(view_becomes({{first.instance_id, first}}));
  cut = true;
  server->kill();  // ends the connections that the cut does not reach
  server->start();
  announced.reset();
  const auto also = announce(*owner, second);
  EXPECT_EQ(reader->list().get()->size(), 1U);

  const auto range = etcd::range_request("/velo/", "/velo0", 1, 0);
  Shard& shard = world->shard(0);
  std::atomic<bool> compacted{false};
  EtcdOptions plain;
  plain.endpoints = {server->endpoint()};
  plain.connect = [&](Shard& home, const Endpoint& remote, const ConnectOptions& how,
                      StreamHandler done) {
    return world->network().connect(home, remote, how, std::move(done));
  };
  std::unique_ptr<etcd::Channel> channel;
  post(shard, [&] {
    channel = std::make_unique<etcd::Channel>(*world, shard, plain);
    static_cast<void>(channel->submit(etcd::path::range, range, [&](Result<etcd::Answer> answer) {
      const auto reply =
          answer ? etcd::read_range(answer->body) : Result<etcd::RangeReply>(answer.error());
      const std::int64_t revision = reply ? reply->revision : 0;
      const std::string body = "{\"revision\":\"" + std::to_string(revision) + "\"}";
      static_cast<void>(
          channel->submit("/v3/kv/compaction", body, [&](const Result<etcd::Answer>& done) {
            EXPECT_TRUE(done && done->ok());
            compacted = true;
            compacted.notify_all();
          }));
    }));
  });
  compacted.wait(false);
  cut = false;
  EXPECT_TRUE(view_becomes({{second.instance_id, second}}));
  std::atomic<bool> gone{false};
  post(shard, [&] {
    channel.reset();
    gone = true;
    gone.notify_all();
  });
  gone.wait(false);
}

/// Asks the server something that the backend never does; true if it did it.
static bool ask(World& world, EtcdOptions options, const char* path, std::string body) {
  // Done twice it would be refused, so a slow server has its time.
  options.request_timeout = seconds(15);
  options.operation_timeout = seconds(20);
  Shard& shard = world.shard(0);
  std::unique_ptr<etcd::Channel> channel;
  std::atomic<int> answered{0};
  post(shard, [&] {
    channel = std::make_unique<etcd::Channel>(world, shard, options);
    static_cast<void>(
        channel->submit(path, std::move(body), [&](const Result<etcd::Answer>& reply) {
          answered = reply && reply->ok() ? 1 : 2;
          answered.notify_all();
        }));
  });
  answered.wait(0);
  std::atomic<bool> gone{false};
  post(shard, [&] {
    channel.reset();
    gone = true;
    gone.notify_all();
  });
  gone.wait(false);
  return answered == 1;
}

TEST_F(EtcdServerTest, AServerWithUsersAsksForThePasswordAndAgainAfterARestart) {
  EtcdOptions plain;
  plain.endpoints = {server->endpoint()};
  plain.request_timeout = seconds(1);
  plain.backoff_max = milliseconds(500);
  plain.check_interval = seconds(1);
  plain.connect = [&](Shard& shard, const Endpoint& remote, const ConnectOptions& how,
                      StreamHandler done) {
    return world->network().connect(shard, remote, how, std::move(done));
  };
  const std::string all = R"("key":"AA==","range_end":"AA==")";
  for (const auto& [path, body] : std::vector<std::pair<const char*, std::string>>{
           {"/v3/auth/user/add", R"({"name":"root","password":"unused"})"},
           {"/v3/auth/role/add", R"({"name":"root"})"},
           {"/v3/auth/user/grant", R"({"user":"root","role":"root"})"},
           {"/v3/auth/user/add", R"({"name":"velo","password":"open sesame"})"},
           {"/v3/auth/role/add", R"({"name":"all"})"},
           {"/v3/auth/role/grant", R"({"name":"all","perm":{"permType":"READWRITE",)" + all + "}}"},
           {"/v3/auth/user/grant", R"({"user":"velo","role":"all"})"},
           {"/v3/auth/enable", "{}"}}) {
    ASSERT_TRUE(ask(*world, plain, path, body)) << path;
  }
  const auto stranger = join();
  EXPECT_FALSE(stranger->list().get());
  EtcdOptions how = plain;
  how.lease_ttl = seconds(2);
  how.user = "velo";
  how.password = "wrong";
  const auto wrong = std::move(*EtcdDiscovery::create(*world, "demo", how));
  const auto refused = wrong->announce(make_peer("nobody")).get();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::permission_denied)) << refused.error().to_string();
  how.password = "open sesame";
  const auto known = std::move(*EtcdDiscovery::create(*world, "demo", how));
  const PeerInfo first = make_peer("first");
  const PeerInfo second = make_peer("second");
  const auto announced = announce(*known, first);
  const auto watching = watch(*known);
  ASSERT_TRUE(view_becomes({{first.instance_id, first}}));
  // Its tokens are gone with it.
  server->kill();
  server->start();
  auto also = announce(*known, second);
  EXPECT_TRUE(view_becomes({{first.instance_id, first}, {second.instance_id, second}}));
  also.reset();
  EXPECT_TRUE(view_becomes({{first.instance_id, first}}));
  for (const std::string& line : log.lines()) {
    EXPECT_EQ(line.find("sesame"), std::string::npos) << line;
  }
}

TEST_F(EtcdServerTest, WithdrawingLeavesWhatAnotherObjectAnnouncedSince) {
  const auto owner = join();
  const auto heir = join();
  const PeerInfo old = make_peer("old");
  PeerInfo moved = old;
  moved.address = {{"tcp", Bytes::copy("moved")}};
  auto first = announce(*owner, old);
  auto second = announce(*heir, moved);
  first.reset();
  // Asked of the same object afterwards, so that the withdrawal is done.
  EXPECT_EQ(owner->discover_by_instance_id(old.instance_id).get().value(), moved);
  second.reset();
  EXPECT_FALSE(heir->discover_by_instance_id(old.instance_id).get());
}

}  // namespace etcd_server_test
}  // namespace velo::discovery
