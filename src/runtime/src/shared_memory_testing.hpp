// SPDX-License-Identifier: Apache-2.0
// What the tests of shared memory have in common: a listener that keeps what it is given, and what
// a visitor shows.
// Threading: the test's own thread turns the shard.
#pragma once

#include <velo/base/shared_memory.hpp>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "network_testing.hpp"
#include "shared_memory_greeting.hpp"
#include "shared_region.hpp"

namespace velo::runtime::testing {

inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

struct Ears final : SharedMemoryEvents {
  void on_bell() override { ++bells; }
  void on_hangup() override { ++hangups; }
  int bells = 0;
  int hangups = 0;
};

/// Listens, and connects to itself.
class SharedMemoryTest : public ::testing::Test {
 protected:
  void listen(const SharedMemoryOptions& options = SharedMemoryOptions()) {
    auto made = world_->network().listen_shared_memory(
        world_->shard(0), where_, options, [this](Result<std::unique_ptr<SharedMemoryLink>> link) {
          if (link.has_value()) accepted_.push_back(std::move(*link));
        });
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
    listener_ = std::move(*made);
  }
  Result<std::unique_ptr<SharedMemoryLink>> connect(
      const SharedMemoryOptions& options = SharedMemoryOptions()) {
    std::optional<Result<std::unique_ptr<SharedMemoryLink>>> result;
    const auto handle = world_->network().connect_shared_memory(
        world_->shard(0), where_, options,
        [&](Result<std::unique_ptr<SharedMemoryLink>> link) { result.emplace(std::move(link)); });
    EXPECT_FALSE(result.has_value()) << "never inside connect_shared_memory()";
    EXPECT_TRUE(turn_until(*world_, [&] { return result.has_value(); }));
    return std::move(*result);
  }
  bool until(const std::function<bool()>& condition) { return turn_until(*world_, condition); }
  /// A plain socket that is connected to the listener.
  Descriptor visitor() {
    auto socket = make_stream_socket(AF_UNIX, 0);
    const auto address = to_socket_address(where_);
    EXPECT_EQ(::connect(socket->get(), address->get(), address->size), 0);
    return std::move(*socket);
  }
  /// Whether the listener has closed its end; the visitor says nothing more.
  bool is_turned_away(const Descriptor& socket) {
    return until([&] {
      char byte = 0;
      const ssize_t got = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
      return got == 0 || (got < 0 && errno != EAGAIN);
    });
  }

  std::unique_ptr<RealWorld> world_ = make_external_world();
  TemporaryFolder folder_;
  const Endpoint where_ = Endpoint::unix_socket(folder_.file("s"));
  std::vector<std::unique_ptr<SharedMemoryLink>> accepted_;
  std::unique_ptr<Listener> listener_;
};

inline GreetingFiles good_files(std::size_t bytes) {
  GreetingFiles files;
  files.region = std::move(make_region(bytes)->file);
  files.makers_bell = std::move(*make_bell());
  files.accepters_bell = std::move(*make_bell());
  return files;
}

inline Descriptor memory_file(std::size_t bytes, int seals) {
  Descriptor file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  if (seals != 0) {
    EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  }
  return file;
}

constexpr std::size_t usual_region = std::size_t{64} << 10;

}  // namespace velo::runtime::testing
