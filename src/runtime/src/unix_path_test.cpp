// SPDX-License-Identifier: Apache-2.0
// Tests of the files of listening Unix sockets: takeover, refusal, modes, removal.

#include "unix_path.hpp"

#include <velo/base/files.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "network_testing.hpp"

namespace velo::runtime {
namespace unix_path_test {

using testing::Accepting;
using testing::Dialing;
using testing::make_external_world;
using testing::raw_listener;
using testing::TemporaryFolder;
using testing::turn_until;

TEST(UnixPath, IsTakenOverFromADeadOwner) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  const Endpoint where = Endpoint::unix_socket(folder.file("s"));
  {
    const Descriptor dead = raw_listener(where, 1);
  }
  struct stat status{};
  ASSERT_EQ(::stat(where.host.c_str(), &status), 0) << "the dead owner left its file";
  Accepting accepting(*world, where);
  ASSERT_FALSE(accepting.refused.has_value()) << accepting.refused->to_string();
  Dialing dialing(*world, where);
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->has_value());
}

TEST(UnixPath, HasOneWinnerWhenManyTakeItOverAtOnce) {
  constexpr int rivals = 8;
  const TemporaryFolder folder;
  const Endpoint where = Endpoint::unix_socket(folder.file("s"));
  for (int round = 0; round < 20; ++round) {
    {
      const Descriptor dead = raw_listener(where, 1);
    }
    std::vector<std::unique_ptr<RealWorld>> worlds;
    worlds.reserve(rivals);
    std::vector<std::unique_ptr<Accepting>> taken(rivals);
    for (int i = 0; i < rivals; ++i) worlds.push_back(make_external_world());
    {
      std::latch together(rivals);
      std::vector<std::jthread> threads;
      threads.reserve(rivals);
      for (std::size_t i = 0; i < rivals; ++i) {
        threads.emplace_back([&, i] {
          together.arrive_and_wait();
          taken[i] = std::make_unique<Accepting>(*worlds[i], where);
        });
      }
    }
    int winners = 0;
    for (const auto& accepting : taken) {
      if (accepting->listener != nullptr) {
        ++winners;
      } else {
        EXPECT_TRUE(accepting->refused->is(Errc::already_exists))
            << accepting->refused->to_string();
      }
    }
    ASSERT_EQ(winners, 1);
    Dialing dialing(*worlds[0], where);
    ASSERT_TRUE(turn_until(*worlds[0], [&] { return dialing.done(); }));
    ASSERT_TRUE(dialing.result->has_value()) << "the winner's path leads to the winner";
    taken.clear();
    dialing.result.reset();
    ASSERT_EQ(::access(where.host.c_str(), F_OK), -1);
  }
}

TEST(UnixPath, IsRefusedWhileItsOwnerLivesAndStaysTheOwners) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  const Endpoint where = Endpoint::unix_socket(folder.file("s"));
  Accepting owner(*world, where);
  {
    const Accepting second(*world, where);
    ASSERT_TRUE(second.refused.has_value());
    EXPECT_TRUE(second.refused->is(Errc::already_exists)) << second.refused->to_string();
  }
  owner.streams.clear();  // the probe connected and went
  Dialing dialing(*world, where);
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->has_value());
  const Accepting abstract(*world, Endpoint::unix_socket("@velo-runtime-taken"));
  const Accepting again(*world, Endpoint::unix_socket("@velo-runtime-taken"));
  EXPECT_TRUE(again.refused->is(Errc::already_exists));
}

TEST(UnixPath, NeverReplacesAFileThatIsNoSocket) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  const std::string path = folder.file("precious");
  ASSERT_TRUE(world->files().append(path, as_bytes("data")).has_value());
  const Accepting accepting(*world, Endpoint::unix_socket(path));
  EXPECT_TRUE(accepting.refused->is(Errc::already_exists));
  EXPECT_EQ(world->files().read(path, 100)->text(), "data");
}

TEST(UnixPath, HasTheModeAskedForAndLeavesNothingBehind) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  ListenOptions options;
  options.unix_mode = 0660;
  {
    const Accepting accepting(*world, Endpoint::unix_socket(folder.file("s")), options);
    struct stat status{};
    ASSERT_EQ(::stat(folder.file("s").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660U);
    EXPECT_EQ(world->files().list(folder.path())->size(), 1U);
  }
  EXPECT_TRUE(world->files().list(folder.path())->empty());
}

TEST(UnixPath, IsNotRemovedByAnOwnerWhoLostIt) {
  auto world = make_external_world();
  const TemporaryFolder folder;
  const Endpoint where = Endpoint::unix_socket(folder.file("s"));
  std::optional<Accepting> first;
  first.emplace(*world, where);
  ASSERT_TRUE(world->files().remove(where.host).has_value());  // someone tidied up
  Accepting second(*world, where);
  ASSERT_FALSE(second.refused.has_value());
  first.reset();
  Dialing dialing(*world, where);
  ASSERT_TRUE(turn_until(*world, [&] { return dialing.done(); }));
  EXPECT_TRUE(dialing.result->has_value());
}

}  // namespace unix_path_test
}  // namespace velo::runtime
