// SPDX-License-Identifier: Apache-2.0
// The conformance suite over shared memory, and what is particular to its addresses.

#include <velo/transport/backends/shm.hpp>

#include <velo/base/shared_memory.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shm_stream.hpp"
#include "shm_testing.hpp"

namespace velo::transport {
namespace shm_test {

using shm_testing::Folder;

static std::string path_of(ByteSpan entry) {
  const std::string text(as_text(entry));
  return text.substr(text.find('/', std::string("shm://").size()));
}

class ShmKit final : public conformance::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t /*side*/) override {
    ShmOptions options;
    options.folder = folder_.path();
    options.ring_bytes = ring_bytes_;
    return make_shm(std::move(options));
  }
  std::unique_ptr<Connecting> connect_raw(World& world, ByteSpan entry,
                                          StreamHandler done) override {
    return world.network().connect_shared_memory(
        world.shard(0), Endpoint::unix_socket(path_of(entry)), SharedMemoryOptions(),
        [done = std::move(done)](Result<std::unique_ptr<SharedMemoryLink>> link) mutable {
          if (!link) return done(link.error());
          done(ShmStream::over(std::move(*link)));
        });
  }

 protected:
  explicit ShmKit(std::size_t ring_bytes) : ring_bytes_(ring_bytes) {}

 private:
  friend std::unique_ptr<conformance::Kit> make_kit();
  friend std::unique_ptr<conformance::Kit> make_narrow_kit();
  const std::size_t ring_bytes_;
  Folder folder_;
};

std::unique_ptr<conformance::Kit> make_kit() {
  return std::unique_ptr<conformance::Kit>(new ShmKit(limits::shm_ring_bytes_default));
}
/// Rings that are full all the time.
std::unique_ptr<conformance::Kit> make_narrow_kit() {
  return std::unique_ptr<conformance::Kit>(new ShmKit(limits::shm_ring_bytes_min));
}

static const bool real =
    conformance::register_suite("ShmReal", conformance::make_real_driver, make_kit, true);
static const bool simulated = conformance::register_suite(
    "ShmSim", [] { return conformance::make_sim_driver(13); }, make_kit, true);
static const bool narrow =
    conformance::register_suite("ShmNarrow", conformance::make_real_driver, make_narrow_kit, true);

class Refuse final : public AcceptHandler {
 public:
  void on_accepted(ConnectionPtr) override {}
};

class ShmTest : public testing::Test {
 protected:
  std::unique_ptr<Transport> start(ShmOptions options) {
    auto transport = make_shm(std::move(options));
    const InstanceId self = InstanceId::random(world_->random());
    const Result<void> started = transport->start(
        TransportContext(*world_, self, refuse_, std::make_shared<MemoryBudget>()));
    error_ = started ? std::nullopt : std::optional<Error>(started.error());
    return transport;
  }

  std::unique_ptr<runtime::RealWorld> world_ = std::move(runtime::RealWorld::create()).value();
  Refuse refuse_;
  Folder folder_;
  std::optional<Error> error_;
};

}  // namespace shm_test

using namespace shm_test;  // NOLINT(google-build-using-namespace)

TEST_F(ShmTest, ItsEntryNamesTheHostAndThePathAndTheSocketIsPrivate) {
  ShmOptions options;
  options.path = folder_.path() + "/node.shm";
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  const std::string identity = world_->network().unix_socket_identity(options.path);
  ASSERT_FALSE(identity.empty());
  EXPECT_EQ(transport->address_entry().text(), "shm://" + identity + options.path);
  struct stat status{};
  ASSERT_EQ(::stat(options.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_TRUE(transport->check_entry(transport->address_entry()));
  transport->stop();
  EXPECT_FALSE(std::filesystem::exists(options.path));
}

TEST_F(ShmTest, AnAbstractNameIsReachableFromItsEntry) {
  ShmOptions options;
  options.path = "@velo-shm-test-" + std::to_string(::getpid());
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  EXPECT_TRUE(transport->check_entry(transport->address_entry()));
  transport->stop();
}

TEST_F(ShmTest, AnEntryOfAnotherHostOrContainerHasNoEndpoint) {
  ShmOptions options;
  options.path = folder_.path() + "/node.shm";
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  const std::string identity = world_->network().unix_socket_identity(options.path);
  // Another boot, another file of the same name, and a file that is not there.
  const std::string other_boot = std::string(32, '0') + identity.substr(identity.find('-'));
  const std::string other_file = identity.substr(0, identity.rfind('-')) + "-1";
  for (const std::string& entry :
       {"shm://" + other_boot + options.path, "shm://" + other_file + options.path,
        "shm://" + identity + folder_.path() + "/nobody.shm"}) {
    const Result<void> checked = transport->check_entry(as_bytes(entry));
    ASSERT_FALSE(checked) << entry;
    EXPECT_TRUE(checked.error().is(Errc::no_endpoint)) << checked.error().to_string();
  }
  transport->stop();
}

TEST_F(ShmTest, RefusesEntriesThatNameNoHostOrNoPath) {
  ShmOptions options;
  options.listen = false;
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  EXPECT_TRUE(transport->address_entry().empty());
  for (const std::string& entry :
       {std::string("shm://"), std::string("shm:///tmp/x"), std::string("shm://host"),
        std::string("shm://host/"), std::string("uds://host/x"),
        "shm://host/" + std::string(101, 'x'), std::string("shm://host/a\0b", 14)}) {
    const Result<void> checked = transport->check_entry(as_bytes(entry));
    ASSERT_FALSE(checked) << entry;
    EXPECT_TRUE(checked.error().is(Errc::invalid_address)) << checked.error().to_string();
  }
  transport->stop();
}

TEST_F(ShmTest, RefusesPathsAndRingsThatCannotBe) {
  ShmOptions none;
  start(none);
  ASSERT_TRUE(error_);
  EXPECT_TRUE(error_->is(velo::Errc::invalid_argument)) << error_->to_string();
  for (const std::string& path : {folder_.path() + "/" + std::string(120, 'x'),
                                  std::string("relative"), std::string("/@x")}) {
    ShmOptions options;
    options.path = path;
    start(options);
    ASSERT_TRUE(error_) << path;
    EXPECT_TRUE(error_->is(velo::Errc::invalid_argument)) << error_->to_string();
  }
  for (const std::size_t ring :
       {std::size_t{0}, std::size_t{5000}, std::size_t{2048}, std::size_t{32} << 20}) {
    ShmOptions options;
    options.path = folder_.path() + "/node.shm";
    options.ring_bytes = ring;
    start(options);
    ASSERT_TRUE(error_) << ring;
    EXPECT_TRUE(error_->is(velo::Errc::invalid_argument)) << error_->to_string();
  }
}

/// Accepts, and looks at who is there.
struct Look final : AcceptHandler, ConnectionEvents {
  void on_accepted(ConnectionPtr connection) override {
    seen = connection->security();
    key = connection->transport_key();
    // Dropped: that is seen by the other end as a loss.
  }
  void on_frame(Connection&, const InFrame&) override {}
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error&) override { closed = true; }
  std::optional<ConnectionSecurity> seen;
  std::string key;
  std::atomic<bool> closed{false};
};

TEST_F(ShmTest, BothEndsKnowThatItIsPrivateOnThisHostAndWhoseProcessItIs) {
  runtime::RuntimeOptions runtime;
  runtime.external_first_shard = true;
  const auto world = std::move(runtime::RealWorld::create(runtime)).value();
  Look look;
  ShmOptions options;
  options.path = folder_.path() + "/node.shm";
  const auto transport = make_shm(options);
  ASSERT_TRUE(transport->start(TransportContext(*world, InstanceId::random(world->random()), look,
                                                std::make_shared<MemoryBudget>())));
  ConnectionPtr mine;
  const auto dial = transport->connect(world->shard(0), transport->address_entry(),
                                       [&](Result<ConnectionPtr> connection) {
                                         ASSERT_TRUE(connection);
                                         mine = std::move(*connection);
                                         mine->start(look);
                                       });
  while (!look.closed) world->run_once(std::chrono::milliseconds(100));
  ASSERT_TRUE(look.seen.has_value());
  EXPECT_EQ(look.key, "shm");
  for (const ConnectionSecurity& security : {*look.seen, mine->security()}) {
    EXPECT_TRUE(security.is_private);
    EXPECT_TRUE(security.same_host);
    EXPECT_FALSE(security.authenticated());
    ASSERT_TRUE(security.user.has_value());
    EXPECT_EQ(security.user->user, ::geteuid());
    EXPECT_EQ(security.user->process, ::getpid());
  }
  const Reach reach = transport->assess(transport->address_entry());
  EXPECT_EQ(reach.locality, Locality::shared_memory);
  EXPECT_TRUE(reach.is_private);
  EXPECT_EQ(transport->assess(as_bytes("shm://elsewhere/x")), Reach());
  mine = ConnectionPtr();
  bool stopped = false;
  post(world->shard(0), [&] {
    transport->stop();
    stopped = true;
  });
  while (!stopped) world->run_once(std::chrono::milliseconds(100));
}

/// Keeps what is accepted.
struct Keep final : AcceptHandler, ConnectionEvents {
  void on_accepted(ConnectionPtr connection) override {
    connections.push_back(std::move(connection));
    connections.back()->start(*this);
  }
  void on_frame(Connection&, const InFrame&) override {}
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error&) override { ++closed; }
  std::vector<ConnectionPtr> connections;
  std::size_t closed = 0;
};

/// Two transports of one process, and what comes of dialling from one to the other.
class ShmRoom : public testing::Test {
 protected:
  void start(std::size_t here, std::size_t there) {
    runtime::RuntimeOptions runtime;
    runtime.external_first_shard = true;
    world_ = std::move(runtime::RealWorld::create(runtime)).value();
    server_ = make(there, folder_.path() + "/there.shm");
    client_ = make(here, folder_.path() + "/here.shm");
  }
  std::unique_ptr<Transport> make(std::size_t memory, const std::string& path) {
    ShmOptions options;
    options.path = path;
    options.ring_bytes = std::size_t{64} << 10;
    options.memory_bytes_max = memory;
    auto transport = make_shm(options);
    EXPECT_TRUE(transport->start(TransportContext(*world_, InstanceId::random(world_->random()),
                                                  ends_, std::make_shared<MemoryBudget>())));
    return transport;
  }
  std::optional<Error> dial() {
    bool answered = false;
    std::optional<Error> error;
    const auto attempt = client_->connect(world_->shard(0), server_->address_entry(),
                                          [&](Result<ConnectionPtr> connection) {
                                            answered = true;
                                            if (!connection) error = connection.error();
                                            if (connection) {
                                              ends_.on_accepted(std::move(*connection));
                                            }
                                          });
    while (!answered) world_->run_once(std::chrono::milliseconds(100));
    return error;
  }
  void run_until(const std::function<bool()>& condition) {
    while (!condition()) world_->run_once(std::chrono::milliseconds(100));
  }
  void TearDown() override {
    for (const ConnectionPtr& each : ends_.connections) {
      each->close(make_error(Errc::closed_locally));
    }
    run_until([this] { return ends_.closed == ends_.connections.size(); });
    bool stopped = false;
    post(world_->shard(0), [&] {
      client_->stop();
      server_->stop();
      stopped = true;
    });
    run_until([&] { return stopped; });
  }

  Folder folder_;
  std::unique_ptr<runtime::RealWorld> world_;
  Keep ends_;
  std::unique_ptr<Transport> server_;
  std::unique_ptr<Transport> client_;
};

TEST_F(ShmRoom, WhoDialsWithoutRoomForRingsIsToldSoAndGetsItBack) {
  start(std::size_t{1} << 20, std::size_t{64} << 20);
  std::optional<Error> error;
  while (!error && ends_.connections.size() < 40) error = dial();
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->is(Errc::no_room)) << error->to_string();
  const std::size_t most = ends_.connections.size();
  // 1 MiB, rings of 128 KiB and a little, a quarter of what is free at most.
  EXPECT_GT(most, 4U);
  EXPECT_LT(most, 20U);
  for (const ConnectionPtr& each : ends_.connections) {
    each->close(make_error(Errc::closed_locally));
  }
  run_until([this] { return ends_.closed == ends_.connections.size(); });
  ends_.connections.clear();
  ends_.closed = 0;
  EXPECT_FALSE(dial());
}

TEST_F(ShmRoom, WhoComesWhereThereIsNoRoomIsRefusedAndCounted) {
  start(std::size_t{64} << 20, std::size_t{1} << 20);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(dial());
  run_until([this] { return server_->gate_counts().refused_for(GateRefusal::memory) > 5; });
  EXPECT_LT(server_->gate_counts().connections, 10U);
}

}  // namespace velo::transport
