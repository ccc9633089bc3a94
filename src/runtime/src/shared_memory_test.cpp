// SPDX-License-Identifier: Apache-2.0
// Links of shared memory between two ends.

#include <velo/base/shared_memory.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include "shared_memory_testing.hpp"

namespace velo::runtime {
namespace shared_memory_test {

using std::chrono::milliseconds;
using testing::make_external_world;
using testing::open_descriptors;

class SharedMemory : public testing::SharedMemoryTest {};
using testing::Ears;

TEST_F(SharedMemory, IsTheSameForBothEndsAndZeroAtFirst) {
  listen();
  SharedMemoryOptions options;
  options.bytes = 5000;
  auto maker = connect(options);
  ASSERT_TRUE(maker.has_value()) << maker.error().to_string();
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  SharedMemoryLink& taker = *accepted_[0];
  EXPECT_TRUE((*maker)->is_maker());
  EXPECT_FALSE(taker.is_maker());
  ASSERT_EQ((*maker)->memory().size(), 8192U);
  ASSERT_EQ(taker.memory().size(), 8192U);
  EXPECT_TRUE(std::ranges::all_of(taker.memory(), [](std::byte b) { return b == std::byte{0}; }));
  (*maker)->memory()[8191] = std::byte{7};
  EXPECT_EQ(taker.memory()[8191], std::byte{7});
  EXPECT_EQ((*maker)->peer_credentials().process, ::getpid());
  EXPECT_EQ(taker.peer_credentials().user, ::geteuid());
  EXPECT_EQ((*maker)->remote(), where_);
}

TEST_F(SharedMemory, BellsReachTheOtherEndAndWakesThisOne) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears near;
  Ears far;
  (*maker)->attach(near);
  accepted_[0]->attach(far);
  while (world_->run_once(milliseconds(5)) > 0) {
  }
  for (int i = 0; i < 3; ++i) {
    const int near_before = near.bells;
    const int far_before = far.bells;
    (*maker)->ring();
    ASSERT_TRUE(until([&] { return far.bells > far_before; })) << "each ring is an event";
    EXPECT_EQ(near.bells, near_before);
    accepted_[0]->ring();
    ASSERT_TRUE(until([&] { return near.bells > near_before; }));
    const int woken = near.bells;
    (*maker)->wake();
    ASSERT_TRUE(until([&] { return near.bells > woken; }));
  }
  EXPECT_EQ(near.hangups + far.hangups, 0);
}

TEST_F(SharedMemory, TheEndOfOneIsAHangupForTheOtherWhoStillHasTheMemory) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears ears;
  accepted_[0]->attach(ears);
  (*maker)->memory()[0] = std::byte{9};
  maker->reset();
  ASSERT_TRUE(until([&] { return ears.hangups == 1; }));
  while (world_->run_once(milliseconds(5)) > 0) {
  }
  EXPECT_EQ(ears.hangups, 1) << "told once";
  EXPECT_EQ(accepted_[0]->memory()[0], std::byte{9});
}

TEST_F(SharedMemory, NobodyIsToldAfterClose) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears near;
  Ears far;
  (*maker)->attach(near);
  accepted_[0]->attach(far);
  accepted_[0]->ring();
  (*maker)->close();
  ASSERT_TRUE(until([&] { return far.hangups == 1; }));
  EXPECT_EQ(near.bells + near.hangups, 0);
}

TEST_F(SharedMemory, ConnectingToNobodyFailsAndAnAbandonedAttemptIsSilent) {
  const auto refused = connect();
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Errc::io)) << refused.error().to_string();
  listen();
  int called = 0;
  for (int turns = 0; turns < 6; ++turns) {
    auto handle = world_->network().connect_shared_memory(
        world_->shard(0), where_, SharedMemoryOptions(),
        [&](Result<std::unique_ptr<SharedMemoryLink>>) { ++called; });
    for (int i = 0; i < turns && called == 0; ++i) world_->run_once(Duration::zero());
    const int before = called;
    handle.reset();
    while (world_->run_once(milliseconds(2)) > 0) {
    }
    EXPECT_EQ(called, before);
    called = 0;
  }
}

TEST_F(SharedMemory, AListenerThatSaysNothingIsLeftWhenTheTimeIsUp) {
  const Descriptor silent = testing::raw_listener(where_, 8);
  SharedMemoryOptions options;
  options.timeout = milliseconds(30);
  const auto result = connect(options);
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().is(Errc::deadline_exceeded)) << result.error().to_string();
}

TEST_F(SharedMemory, AListenerThatAnswersSomethingElseIsLeft) {
  const Descriptor odd = testing::raw_listener(where_, 8);
  std::optional<Result<std::unique_ptr<SharedMemoryLink>>> result;
  const auto handle = world_->network().connect_shared_memory(
      world_->shard(0), where_, SharedMemoryOptions(),
      [&](Result<std::unique_ptr<SharedMemoryLink>> link) { result.emplace(std::move(link)); });
  world_->run_once(milliseconds(100));
  const Descriptor accepted(::accept(odd.get(), nullptr, nullptr));
  ASSERT_EQ(::send(accepted.get(), "HTTP/1.1 400", 12, 0), 12);
  ASSERT_TRUE(until([&] { return result.has_value(); }));
  EXPECT_FALSE(result->has_value());
}

TEST_F(SharedMemory, WhoeverIsNotAllowedIsTurnedAwayOnBothSides) {
  SharedMemoryOptions options;
  EXPECT_TRUE(is_allowed({0, 0, 1}, options));
  EXPECT_TRUE(is_allowed({::geteuid(), 0, 1}, options));
  const std::uint32_t stranger = ::geteuid() + 12345;
  EXPECT_FALSE(is_allowed({stranger, 0, 1}, options));
  options.allowed_users = {stranger};
  EXPECT_TRUE(is_allowed({stranger, 0, 1}, options));
  EXPECT_FALSE(is_allowed({stranger + 1, 0, 1}, options));
}

TEST_F(SharedMemory, MakingAndEndingLinksLeavesNothingBehind) {
  listen();
  const auto maps = [] {
    std::ifstream file("/proc/self/maps");
    std::string line;
    int count = 0;
    while (std::getline(file, line)) {
      if (line.find("velo-shm") != std::string::npos) ++count;
    }
    return count;
  };
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 300; ++i) {
    auto maker = connect();
    ASSERT_TRUE(maker.has_value()) << maker.error().to_string();
    ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
    ASSERT_EQ(maps(), 2);
    accepted_.clear();
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(maps(), 0);
}

TEST_F(SharedMemory, ASocketsIdentityIsItsOwnAndTheSameForWhoeverSeesIt) {
  listen();
  Network& network = world_->network();
  const std::string identity = network.unix_socket_identity(where_.host);
  EXPECT_FALSE(identity.empty());
  EXPECT_EQ(identity.find('/'), std::string::npos);
  EXPECT_EQ(identity.find(' '), std::string::npos);
  EXPECT_EQ(identity, make_external_world()->network().unix_socket_identity(where_.host));
  EXPECT_EQ(network.unix_socket_identity(folder_.file("other")), "");
  EXPECT_NE(network.unix_socket_identity("@abstract"), "");
}

}  // namespace shared_memory_test
}  // namespace velo::runtime
