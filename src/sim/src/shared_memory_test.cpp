// SPDX-License-Identifier: Apache-2.0
// Simulated shared memory: who sees what, and what a crash is to the other end.

#include <velo/base/shared_memory.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace velo::sim {
namespace shared_memory_test {

using namespace std::chrono_literals;

struct Ears final : SharedMemoryEvents {
  void on_bell() override { ++bells; }
  void on_hangup() override { ++hangups; }
  int bells = 0;
  int hangups = 0;
};

class SimSharedMemory : public ::testing::Test {
 protected:
  SimSharedMemory() {
    NodeOptions same;
    same.machine = "m";
    server_ = &sim_.add_node("server", same);
    client_ = &sim_.add_node("client", same);
    stranger_ = &sim_.add_node("stranger");
  }
  void listen(const SharedMemoryOptions& options = SharedMemoryOptions()) {
    auto made = server_->network().listen_shared_memory(
        server_->shard(0), where_, options, [this](Result<std::unique_ptr<SharedMemoryLink>> link) {
          if (link) far_ = std::move(*link);
        });
    ASSERT_TRUE(made) << made.error().to_string();
    listener_ = std::move(*made);
  }
  Result<void> connect(SimNode& from, std::size_t bytes = 5000) {
    std::optional<Result<void>> result;
    SharedMemoryOptions options;
    options.bytes = bytes;
    const auto handle = from.network().connect_shared_memory(
        from.shard(0), where_, options, [&](Result<std::unique_ptr<SharedMemoryLink>> link) {
          if (!link) return void(result.emplace(link.error()));
          near_ = std::move(*link);
          result.emplace();
        });
    EXPECT_TRUE(sim_.run_until([&] { return result.has_value(); }, 1min));
    return std::move(*result);
  }
  void link() {
    listen();
    const Result<void> connected = connect(*client_);
    ASSERT_TRUE(connected) << connected.error().to_string();
    ASSERT_TRUE(sim_.run_until([this] { return far_ != nullptr; }, 1min));
    near_->attach(near_ears_);
    far_->attach(far_ears_);
    sim_.run_for(1s);
    near_ears_ = far_ears_ = Ears();
  }

  Simulation sim_{5};
  SimNode* server_ = nullptr;
  SimNode* client_ = nullptr;
  SimNode* stranger_ = nullptr;
  const Endpoint where_ = Endpoint::unix_socket("/run/s");
  std::unique_ptr<Listener> listener_;
  Ears near_ears_;
  Ears far_ears_;
  std::unique_ptr<SharedMemoryLink> near_;
  std::unique_ptr<SharedMemoryLink> far_;
};

TEST_F(SimSharedMemory, BothEndsSeeOneRegionAndHearEachOther) {
  link();
  EXPECT_TRUE(near_->is_maker());
  EXPECT_FALSE(far_->is_maker());
  ASSERT_EQ(near_->memory().size(), 8192U);
  EXPECT_TRUE(std::ranges::all_of(far_->memory(), [](std::byte b) { return b == std::byte{0}; }));
  near_->memory()[8000] = std::byte{3};
  EXPECT_EQ(far_->memory()[8000], std::byte{3});
  near_->ring();
  EXPECT_EQ(far_ears_.bells, 0) << "never inside ring()";
  ASSERT_TRUE(sim_.run_until([this] { return far_ears_.bells == 1; }, 1min));
  far_->ring();
  ASSERT_TRUE(sim_.run_until([this] { return near_ears_.bells == 1; }, 1min));
  near_->wake();
  ASSERT_TRUE(sim_.run_until([this] { return near_ears_.bells == 2; }, 1min));
  EXPECT_NE(near_->peer_credentials().process, far_->peer_credentials().process);
}

TEST_F(SimSharedMemory, ACrashIsAHangupAndWhatWasWrittenIsThere) {
  link();
  near_->memory()[0] = std::byte{9};
  sim_.crash(*client_);
  ASSERT_TRUE(sim_.run_until([this] { return far_ears_.hangups == 1; }, 1min));
  sim_.run_for(1min);
  EXPECT_EQ(far_ears_.hangups, 1);
  EXPECT_EQ(near_ears_.hangups, 0) << "the dead are told nothing";
  EXPECT_EQ(far_->memory()[0], std::byte{9});
}

TEST_F(SimSharedMemory, ClosingIsAHangupForTheOtherEnd) {
  link();
  far_.reset();
  ASSERT_TRUE(sim_.run_until([this] { return near_ears_.hangups == 1; }, 1min));
}

TEST_F(SimSharedMemory, ARegionBeyondTheLimitsIsRefused) {
  SharedMemoryOptions options;
  options.bytes_max = 8192;
  listen(options);
  EXPECT_FALSE(connect(*client_, 8193));
  EXPECT_TRUE(connect(*client_, 8192));
}

TEST_F(SimSharedMemory, AnotherMachineDoesNotReachItNorTakeItForItsOwn) {
  listen();
  const std::string identity = server_->network().unix_socket_identity(where_.host);
  EXPECT_FALSE(identity.empty());
  EXPECT_EQ(client_->network().unix_socket_identity(where_.host), identity);
  EXPECT_NE(stranger_->network().unix_socket_identity(where_.host), identity);
  EXPECT_FALSE(connect(*stranger_));
}

}  // namespace shared_memory_test
}  // namespace velo::sim
