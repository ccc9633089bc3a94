// SPDX-License-Identifier: Apache-2.0
// The folder on a real disk: what depends on times of modification, permissions and locks of the
// system.

#include <velo/discovery/limits.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "entry_folder.hpp"

namespace velo::discovery {
namespace entry_folder_test {

struct EntryFolderTest : testing::Test {
  std::unique_ptr<runtime::RealWorld> world = std::move(*runtime::RealWorld::create());
  std::string base = make_base();
  std::string path = base + "/peers";
  EntryFolder<PeerSubject> owner{*world, path, "demo"};
  EntryFolder<PeerSubject> reader{*world, path, "demo"};

  ~EntryFolderTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(base, ignored);
  }
  static std::string make_base() {
    std::string made = testing::TempDir() + "velo_entry_folder_XXXXXX";
    if (::mkdtemp(made.data()) == nullptr) std::abort();
    return made;
  }
  PeerInfo make_peer(std::string_view address) {
    return PeerInfo{InstanceId::random(world->random()), {{"tcp", Bytes::copy(address)}}};
  }
  std::string file_of(const PeerInfo& peer) const {
    return path + '/' + filesystem_entry_name<PeerSubject>(peer.instance_id);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
};

TEST_F(EntryFolderTest, AddressThatChangesWithoutATraceInTheFileTimesIsSeen) {
  PeerInfo peer = make_peer("old");
  auto held = owner.hold(peer);
  ASSERT_TRUE(held) << held.error().to_string();
  ASSERT_EQ(*reader.list(), std::vector<PeerInfo>{peer});
  struct stat before{};
  ASSERT_EQ(::stat(file_of(peer).c_str(), &before), 0);
  peer.address["tcp"] = Bytes::copy("new");  // as long as before
  ASSERT_TRUE(owner.rewrite(*held, peer));
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, file_of(peer).c_str(), times, 0), 0);
  EXPECT_EQ(*reader.list(), std::vector<PeerInfo>{peer});
}

TEST_F(EntryFolderTest, LookingAtOnesOwnEntryKeepsItsLock) {
  const PeerInfo peer = make_peer("a");
  auto held = owner.hold(peer);
  ASSERT_TRUE(held);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*owner.find(peer.instance_id), peer);
    const auto wanted = [&](const InstanceId& id) { return id == peer.instance_id; };
    EXPECT_EQ(*owner.find_if(wanted), peer);
    EXPECT_EQ(owner.list()->size(), 1U);
    ASSERT_TRUE(owner.look_after(*held));
  }
  EXPECT_EQ(*reader.find(peer.instance_id), peer);
  owner.withdraw(std::move(*held));
  EXPECT_EQ(files(), 0U);
}

TEST_F(EntryFolderTest, LetGoWithoutWithdrawingIsDeath) {
  const PeerInfo peer = make_peer("a");
  {
    auto held = owner.hold(peer);
    ASSERT_TRUE(held);
    EXPECT_EQ(files(), 2U);
  }
  EXPECT_EQ(files(), 2U) << "nobody has looked yet";
  EXPECT_FALSE(reader.find(peer.instance_id));
  EXPECT_EQ(files(), 0U);
}

TEST_F(EntryFolderTest, OwnerWhoseLockFileWasRemovedTakesANewOne) {
  const PeerInfo peer = make_peer("a");
  auto held = owner.hold(peer);
  ASSERT_TRUE(held);
  const std::uint64_t first = held->entry.announcement;
  ASSERT_TRUE(std::filesystem::remove(path + '/' +
                                      filesystem_lock_name<PeerSubject>(peer.instance_id, first)));
  ASSERT_TRUE(owner.look_after(*held));
  EXPECT_NE(held->entry.announcement, first);
  EXPECT_EQ(files(), 2U);
  EXPECT_EQ(*reader.find(peer.instance_id), peer);
}

TEST_F(EntryFolderTest, OwnerLeavesALaterAnnouncementOfTheSameInstanceAlone) {
  const PeerInfo peer = make_peer("a");
  const PeerInfo moved{peer.instance_id, {{"tcp", Bytes::copy("b")}}};
  auto first = owner.hold(peer);
  auto second = owner.hold(moved);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(owner.look_after(*first));
  EXPECT_EQ(*reader.find(peer.instance_id), moved);
  owner.withdraw(std::move(*first));
  EXPECT_EQ(*reader.find(peer.instance_id), moved);
  EXPECT_EQ(*reader.list(), std::vector<PeerInfo>{moved});
}

TEST_F(EntryFolderTest, ReaderWithAMemoryOfTheDeadSeesTheirInstanceAnnouncedAnew) {
  const PeerInfo peer = make_peer("a");
  {
    auto held = owner.hold(peer);
    ASSERT_EQ(reader.list()->size(), 1U);
  }
  ASSERT_TRUE(reader.list()->empty());
  auto again = owner.hold(peer);
  ASSERT_TRUE(again);
  EXPECT_EQ(reader.list()->size(), 1U);
}

TEST_F(EntryFolderTest, MissingFolderIsAnEmptyOne) {
  EXPECT_TRUE(reader.list()->empty());
  const auto found = reader.find(InstanceId::random(world->random()));
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().is(velo::Errc::not_found));
}

TEST_F(EntryFolderTest, NothingIsAnnouncedWhereTheFolderIsAFile) {
  ASSERT_TRUE(world->files().write_atomic(path, as_bytes("x")));
  const auto held = owner.hold(make_peer("a"));
  ASSERT_FALSE(held);
  EXPECT_NE(held.error().context().find(path), std::string::npos);
}

}  // namespace entry_folder_test
}  // namespace velo::discovery
