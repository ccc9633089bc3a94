// SPDX-License-Identifier: Apache-2.0
// The conformance suite over Unix domain sockets, and what is particular to their addresses.

#include <velo/transport/backends/uds.hpp>

#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace velo::transport {
namespace uds_test {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "velo-uds-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

class UdsKit final : public conformance::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t /*side*/) override {
    UdsOptions options;
    options.folder = folder_.path();
    return make_uds(std::move(options));
  }
  std::optional<Endpoint> raw_endpoint(ByteSpan entry) override {
    return Endpoint::parse(as_text(entry)).value();
  }

 private:
  Folder folder_;
};

static std::unique_ptr<conformance::Kit> make_kit() { return std::make_unique<UdsKit>(); }

static const bool real =
    conformance::register_suite("UdsReal", conformance::make_real_driver, make_kit, true);
static const bool simulated = conformance::register_suite(
    "UdsSim", [] { return conformance::make_sim_driver(12); }, make_kit, true);

class Refuse final : public AcceptHandler {
 public:
  void on_accepted(ConnectionPtr) override {}
};

class UdsTest : public testing::Test {
 protected:
  std::unique_ptr<Transport> start(UdsOptions options) {
    auto transport = make_uds(std::move(options));
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

}  // namespace uds_test

using namespace uds_test;  // NOLINT(google-build-using-namespace)

TEST_F(UdsTest, ItsEntryIsThePathAndTheSocketIsPrivate) {
  UdsOptions options;
  options.path = folder_.path() + "/node.sock";
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  EXPECT_EQ(transport->address_entry().text(), "uds://" + options.path);
  struct stat status{};
  ASSERT_EQ(::stat(options.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_TRUE(transport->check_entry(transport->address_entry()));
  EXPECT_TRUE(transport->check_entry(as_bytes(options.path)));
  transport->stop();
  EXPECT_FALSE(std::filesystem::exists(options.path));
}

TEST_F(UdsTest, AnEntryWhoseSocketIsNotVisibleHasNoEndpoint) {
  UdsOptions options;
  options.listen = false;
  const auto transport = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  EXPECT_TRUE(transport->address_entry().empty());
  const Result<void> absent = transport->check_entry(as_bytes("uds:///nowhere/node.sock"));
  ASSERT_FALSE(absent);
  EXPECT_TRUE(absent.error().is(Errc::no_endpoint)) << absent.error().to_string();
  const Result<void> folder = transport->check_entry(as_bytes("uds://" + folder_.path()));
  ASSERT_FALSE(folder);
  EXPECT_TRUE(folder.error().is(Errc::no_endpoint)) << folder.error().to_string();
  transport->stop();
}

TEST_F(UdsTest, RefusesAPathThatIsTooLongAndNone) {
  UdsOptions options;
  auto transport = start(options);
  ASSERT_TRUE(error_);
  options.path = folder_.path() + "/" + std::string(120, 'x');
  transport = start(options);
  ASSERT_TRUE(error_);
  EXPECT_TRUE(error_->is(velo::Errc::invalid_argument)) << error_->to_string();
}

/// A listener and a dialler of one simulated machine, as processes of two users.
class UdsUsers : public testing::Test, private AcceptHandler {
 protected:
  /// What the attempt came to.
  Result<ConnectionPtr> connect(std::uint32_t listening, std::uint32_t dialling,
                                const UdsOptions& at_listener, const UdsOptions& at_dialler) {
    const auto as = [](std::uint32_t user) {
      sim::NodeOptions node;
      node.machine = "host";
      node.user = user;
      return node;
    };
    sim::SimNode& server = simulation_.add_node("server", as(listening));
    sim::SimNode& client = simulation_.add_node("client", as(dialling));
    server_ = start(server, at_listener, true);
    client_ = start(client, at_dialler, false);
    std::optional<Result<ConnectionPtr>> outcome;
    const auto dial = client_->connect(
        client.shard(0), server_->address_entry(),
        [&](Result<ConnectionPtr> connection) { outcome.emplace(std::move(connection)); });
    EXPECT_TRUE(
        simulation_.run_until([&] { return outcome.has_value(); }, std::chrono::seconds(9)));
    simulation_.run_for(std::chrono::seconds(1));
    return std::move(*outcome);
  }
  void TearDown() override {
    client_->stop();
    server_->stop();
    accepted_ = ConnectionPtr();
  }

  sim::Simulation simulation_{21};
  std::unique_ptr<Transport> server_;
  std::unique_ptr<Transport> client_;
  ConnectionPtr accepted_;

 private:
  void on_accepted(ConnectionPtr connection) override { accepted_ = std::move(connection); }

  std::unique_ptr<Transport> start(sim::SimNode& node, UdsOptions options, bool listen) {
    options.path = "/run/velo.sock";
    options.listen = listen;
    auto transport = make_uds(std::move(options));
    const InstanceId self = InstanceId::random(node.random());
    EXPECT_TRUE(
        transport->start(TransportContext(node, self, *this, std::make_shared<MemoryBudget>())));
    return transport;
  }
};

TEST_F(UdsUsers, ProcessesOfOneUserKnowEachOther) {
  const auto connection = connect(1000, 1000, UdsOptions(), UdsOptions());
  ASSERT_TRUE(connection) << connection.error().to_string();
  ASSERT_TRUE(accepted_);
  for (const Connection* each : {connection->get(), accepted_.get()}) {
    const ConnectionSecurity& security = each->security();
    EXPECT_TRUE(security.is_private);
    EXPECT_TRUE(security.same_host);
    EXPECT_FALSE(security.authenticated());
    ASSERT_TRUE(security.user);
    EXPECT_EQ(security.user->user, 1000U);
  }
}

TEST_F(UdsUsers, RootIsLetInUnlessTheListSaysOtherwise) {
  UdsOptions both;
  both.allowed_users = {0, 1000};
  ASSERT_TRUE(connect(1000, 0, UdsOptions(), both));
  EXPECT_TRUE(accepted_);
}

TEST_F(UdsUsers, AStrangersProcessIsDroppedAndCounted) {
  UdsOptions any;
  any.allow_any_user = true;
  static_cast<void>(connect(1000, 1001, UdsOptions(), any));
  EXPECT_FALSE(accepted_);
  const GateCounts counts = server_->gate_counts();
  EXPECT_EQ(counts.refused_for(GateRefusal::identity), 1U);
  EXPECT_EQ(counts.connections, 0U);
}

TEST_F(UdsUsers, AStrangersSocketIsNotTrustedEither) {
  UdsOptions any;
  any.allow_any_user = true;
  const auto connection = connect(1001, 1000, any, UdsOptions());
  ASSERT_FALSE(connection);
  EXPECT_TRUE(connection.error().is(Errc::not_authenticated)) << connection.error().to_string();
}

TEST_F(UdsUsers, AListIsExact) {
  UdsOptions listed;
  listed.allowed_users = {1001};
  UdsOptions any;
  any.allow_any_user = true;
  ASSERT_TRUE(connect(1000, 1001, listed, any));
  ASSERT_TRUE(accepted_);
  EXPECT_EQ(accepted_->security().user->user, 1001U);
}

TEST_F(UdsTest, RefusesAPathWhereSomebodyListens) {
  UdsOptions options;
  options.path = folder_.path() + "/node.sock";
  const auto first = start(options);
  ASSERT_FALSE(error_) << error_->to_string();
  const auto second = start(options);
  ASSERT_TRUE(error_);
  EXPECT_TRUE(error_->is(velo::Errc::already_exists)) << error_->to_string();
  first->stop();
}

}  // namespace velo::transport
