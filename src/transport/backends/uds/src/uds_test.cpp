// SPDX-License-Identifier: Apache-2.0
// The conformance suite over Unix domain sockets, and what is particular to their addresses.

#include <velo/transport/backends/uds.hpp>

#include <velo/runtime/real_world.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

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
