// SPDX-License-Identifier: Apache-2.0
// Eight threads on one object of each discovery: announce, look up, list, watch and withdraw.

#include "crew.hpp"

#include <velo/crypto/key.hpp>
#include <velo/discovery/backends/etcd.hpp>
#include <velo/discovery/backends/filesystem.hpp>
#include <velo/discovery/backends/filesystem/entry.hpp>
#include <velo/discovery/backends/multicast.hpp>
#include <velo/discovery/backends/multicast/message.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>
#include <velo/discovery/backends/static.hpp>
#include <velo/discovery/directory.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/peer_feed.hpp>
#include <velo/discovery/services.hpp>
#include <velo/discovery/testing/fake_etcd.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::threads_test {

class SharedDiscovery : public testing::Test {
 protected:
  SharedDiscovery() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    auto world = runtime::RealWorld::create();
    EXPECT_TRUE(world);
    world_ = std::move(*world);
    for (PeerInfo& peer : peers_) {
      peer.instance_id = InstanceId::random(world_->random());
      peer.address.emplace("tcp", Bytes::of_static("where it is"));
    }
  }
  ~SharedDiscovery() override {
    world_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::shared_ptr<discovery::FilesystemDiscovery> in_folder(const std::string& name) {
    auto made = discovery::FilesystemDiscovery::create(*world_, folder_, name);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  std::shared_ptr<discovery::StaticDiscovery> in_memory() {
    auto made = discovery::StaticDiscovery::create(world_->pool());
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }

  /// A watch whose calls are over when this returns.
  void drop_on_pool(std::unique_ptr<discovery::Registration> watch) {
    std::atomic<bool> gone{false};
    post(world_->pool(), [&gone, owned = std::move(watch)]() mutable {
      owned.reset();
      gone = true;
      gone.notify_all();
    });
    gone.wait(false);
  }

  /// Each thread announces and withdraws a peer of its own, and looks it up in between.
  void share(discovery::PeerDiscovery& shared, int rounds) {
    in_eight_threads([&](int thread) {
      const PeerInfo& self = peers_.at(static_cast<std::size_t>(thread));
      for (int i = 0; i < rounds; ++i) {
        auto seen = std::make_shared<std::atomic<int>>(0);
        auto watch = shared.watch(world_->pool(),
                                  [seen](const discovery::PeerChange&) { seen->fetch_add(1); });
        auto announced = shared.announce(self).get();
        ASSERT_TRUE(announced) << announced.error().to_string();
        const auto found = shared.discover_by_instance_id(self.instance_id).get();
        ASSERT_TRUE(found) << found.error().to_string();
        EXPECT_EQ(*found, self);
        EXPECT_TRUE(shared.discover_by_worker_id(self.worker_id()).get());
        EXPECT_TRUE(shared.list().get());
        announced->reset();
        EXPECT_FALSE(shared.discover_by_instance_id(self.instance_id).get());
        drop_on_pool(std::move(watch));
        const int calls = seen->load();
        EXPECT_EQ(seen->load(), calls);
      }
    });
    const auto left = shared.list().get();
    ASSERT_TRUE(left);
    EXPECT_TRUE(left->empty());
  }

  std::string folder_ = testing::TempDir() + "velo-threads-XXXXXX";
  std::unique_ptr<runtime::RealWorld> world_;
  std::array<PeerInfo, crew_size> peers_;
};

TEST_F(SharedDiscovery, Static) {
  const auto shared = in_memory();
  share(*shared, 50);
  in_eight_threads([&](int thread) {
    const PeerInfo& peer = peers_.at(static_cast<std::size_t>(thread));
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(shared->add(peer));
      EXPECT_TRUE(shared->remove(peer.instance_id));
    }
  });
  const auto absent = shared->discover_by_instance_id(peers_[0].instance_id).get();
  ASSERT_FALSE(absent);
  EXPECT_TRUE(absent.error().is(Errc::not_found)) << absent.error().to_string();
}

TEST_F(SharedDiscovery, Filesystem) {
  const auto shared = in_folder("cluster");
  share(*shared, 5);
  in_eight_threads([&](int thread) {
    discovery::PeerEntry entry;
    entry.cluster = "cluster";
    entry.announcement = static_cast<std::uint64_t>(thread);
    entry.info = peers_.at(static_cast<std::size_t>(thread));
    const std::string written = discovery::encode_filesystem_entry(entry);
    EXPECT_EQ(discovery::decode_filesystem_entry<discovery::PeerSubject>(as_bytes(written)).value(),
              entry);
    const auto cut = discovery::decode_filesystem_entry<discovery::PeerSubject>(
        as_bytes(written).first(written.size() / 2));
    ASSERT_FALSE(cut);
    EXPECT_TRUE(cut.error().is(discovery::Errc::malformed_entry)) << cut.error().to_string();
  });
}

TEST_F(SharedDiscovery, Etcd) {
  std::unique_ptr<discovery::testing::FakeEtcd> server;
  std::atomic<bool> there{false};
  post(world_->shard(0), [&] {
    server = std::make_unique<discovery::testing::FakeEtcd>(
        *world_, Endpoint::tcp("127.0.0.1", 0),
        std::make_shared<discovery::testing::FakeEtcdStore>());
    there = true;
    there.notify_all();
  });
  there.wait(false);
  discovery::EtcdOptions options;
  options.endpoints = {server->local()};
  auto shared = discovery::EtcdDiscovery::create(*world_, "threads", options);
  ASSERT_TRUE(shared) << shared.error().to_string();
  share(**shared, 5);
  in_eight_threads([&](int thread) {
    const InstanceId id = peers_.at(static_cast<std::size_t>(thread)).instance_id;
    const auto registered = (*shared)->register_service({"sum", id, {}}).get();
    ASSERT_TRUE(registered) << registered.error().to_string();
    EXPECT_FALSE((*shared)->instances("sum").get()->empty());
    EXPECT_TRUE(discovery::parse_etcd_endpoint("http://127.0.0.1:1").has_value());
  });
  shared->reset();
  world_->stop();
  server.reset();
}

TEST_F(SharedDiscovery, DirectoryOfTwo) {
  discovery::Directory shared(world_->pool(), {in_memory(), in_folder("other")});
  share(shared, 5);
  in_eight_threads([&](int thread) {
    const PeerInfo& peer = peers_.at(static_cast<std::size_t>(thread));
    static_cast<void>(shared.find(peer.instance_id));
    static_cast<void>(shared.find(peer.worker_id()));
    static_cast<void>(shared.known());
  });
}

TEST_F(SharedDiscovery, PeerFeed) {
  using discovery::PeerChange;
  discovery::PeerFeed shared(discovery::PeerFeed::Start::empty, crew_size);
  in_eight_threads([&](int thread) {
    const PeerInfo& peer = peers_.at(static_cast<std::size_t>(thread));
    const auto source = static_cast<discovery::PeerTable::Source>(thread);
    for (int i = 0; i < 100; ++i) {
      auto watch = shared.watch(world_->pool(), [](const PeerChange&) {});
      EXPECT_TRUE(shared.apply(source, {PeerChange::Kind::added, {peer}}));
      EXPECT_EQ(shared.find(peer.instance_id), peer);
      EXPECT_TRUE(shared.find(peer.worker_id()).has_value());
      EXPECT_FALSE(shared.list().empty());
      EXPECT_GE(shared.watchers(), 1U);
      EXPECT_TRUE(shared.apply(source, {PeerChange::Kind::removed, {peer}}));
      if (i % 50 == 0) shared.mark_unknown();
      drop_on_pool(std::move(watch));
    }
  });
  EXPECT_TRUE(shared.list().empty());
  in_eight_threads([&](int /*thread*/) { shared.close(); });
}

TEST_F(SharedDiscovery, Multicast) {
  namespace multicast = discovery::multicast;
  discovery::MulticastOptions options;
  options.interfaces.emplace_back("127.0.0.1");
  options.answer_spread = std::chrono::milliseconds(5);
  options.lookup_time = options.list_time = std::chrono::milliseconds(20);
  options.key = crypto::PrivateKey::generate().value();
  const auto shared = discovery::MulticastDiscovery::create(*world_, folder_, options);
  if (!shared) GTEST_SKIP() << "no multicast here: " << shared.error().to_string();
  share(**shared, 5);
  const auto signing = multicast::make_signing(options.key).value();
  in_eight_threads([&](int thread) {
    multicast::Statement said;
    said.announcer = said.sequence = 1;
    said.rows.push_back({{}, peers_.at(static_cast<std::size_t>(thread)).instance_id, {}});
    for (int i = 0; i < 20; ++i) {
      auto bytes = multicast::encode(1, said);
      const multicast::Signature signature = signing->sign(bytes).value();
      EXPECT_TRUE(signing->verify(signing->key(), bytes, std::as_bytes(std::span(signature))));
      bytes.resize(bytes.size() + signature.size());
      EXPECT_EQ(std::get<multicast::Statement>(multicast::decode(bytes)->message), said);
    }
  });
  EXPECT_EQ((*shared)->counters().forged, 0U);
}

TEST_F(SharedDiscovery, Services) {
  discovery::Directory shared(*world_, {in_memory(), in_folder("services")});
  in_eight_threads([&](int thread) {
    const InstanceId id = peers_.at(static_cast<std::size_t>(thread)).instance_id;
    for (int i = 0; i < 5; ++i) {
      auto watch =
          shared.watch_service("sum", world_->pool(), [](const discovery::ServiceChange&) {});
      auto registered = shared.register_service({"sum", id, {}}).get();
      ASSERT_TRUE(registered) << registered.error().to_string();
      const auto names = shared.list_services().get();
      ASSERT_TRUE(names) << names.error().to_string();
      EXPECT_EQ(*names, std::vector<std::string>{"sum"});
      const auto found = shared.instances("sum").get();
      ASSERT_TRUE(found) << found.error().to_string();
      EXPECT_FALSE(found->empty());
      drop_on_pool(std::move(watch));
    }
  });
  const auto left = shared.instances("sum").get();
  ASSERT_TRUE(left) << left.error().to_string();
  EXPECT_TRUE(left->empty());
}

}  // namespace velo::threads_test
