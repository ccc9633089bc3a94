// SPDX-License-Identifier: Apache-2.0
// Tests of whole-file operations, and of locks between processes.

#include "disk_files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "testing.hpp"

namespace velo::runtime {
namespace disk_files_test {

using testing::TemporaryFolder;

TEST(DiskFiles, ReadsBackWhatWasWrittenAndReplacesItWhole) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("f");
  ASSERT_TRUE(files.write_atomic(path, as_bytes("first")).has_value());
  ASSERT_TRUE(files.write_atomic(path, as_bytes("2nd")).has_value());
  EXPECT_EQ(files.read(path, 3)->text(), "2nd");
  ASSERT_TRUE(files.append(path, as_bytes("+")).has_value());
  EXPECT_EQ(files.read(path, 100)->text(), "2nd+");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(files.list(folder.path())->size(), 1U) << "no file aside is left";
}

TEST(DiskFiles, NeverShowsAPartOfAFileToAReader) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("f");
  const std::string a(100'000, 'a');
  const std::string b(50'000, 'b');
  ASSERT_TRUE(files.write_atomic(path, as_bytes(a)).has_value());
  std::jthread writer([&](const std::stop_token& stop) {
    for (bool turn = false; !stop.stop_requested(); turn = !turn) {
      EXPECT_TRUE(files.write_atomic(path, as_bytes(turn ? a : b)).has_value());
    }
  });
  for (int i = 0; i < 300; ++i) {
    const auto contents = files.read(path, 1 << 20);
    ASSERT_TRUE(contents.has_value()) << contents.error().to_string();
    ASSERT_TRUE(contents->text() == a || contents->text() == b);
    const auto listed = files.list(folder.path());
    ASSERT_EQ(listed->size(), 1U);
  }
}

// It blocked for ever in open(), and a peer could place one in a shared folder.
TEST(DiskFiles, ReadsOnlyRegularFilesAndNeverBlocksOnAPipe) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string pipe = folder.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto contents = files.read(pipe, 100);
  ASSERT_FALSE(contents.has_value());
  EXPECT_TRUE(contents.error().is(Errc::invalid_argument)) << contents.error().to_string();
  EXPECT_FALSE(files.read(folder.path(), 100).has_value()) << "a folder";
}

TEST(DiskFiles, CollectsOldFilesAsideOfKilledWritersAndNoOthers) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string dead = folder.file(".velo-aside-1-0-1");
  const std::string young = folder.file(".velo-aside-1-1-1");
  const std::string held = folder.file(".velo-aside-1-2-1");
  for (const std::string& path : {dead, young, held}) {
    ASSERT_TRUE(files.append(path, as_bytes("partial")).has_value());
  }
  const std::array<timespec, 2> long_ago{timespec{1000, 0}, timespec{1000, 0}};
  for (const std::string& path : {dead, held}) {
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), long_ago.data(), 0), 0);
  }
  const auto lock = files.try_lock(held);
  ASSERT_TRUE(lock.has_value());
  ASSERT_TRUE(files.list(folder.path()).has_value());
  EXPECT_NE(::access(dead.c_str(), F_OK), 0);
  EXPECT_EQ(::access(young.c_str(), F_OK), 0);
  EXPECT_EQ(::access(held.c_str(), F_OK), 0);
}

TEST(DiskFiles, LeavesTheOldContentsWhenWritingFails) {
  DiskFiles files;
  const TemporaryFolder folder;
  ASSERT_TRUE(files.create_directories(folder.file("f")).has_value());
  EXPECT_FALSE(files.write_atomic(folder.file("f"), as_bytes("x")).has_value());
  EXPECT_TRUE(
      files.write_atomic(folder.file("missing/f"), as_bytes("x")).error().is(Errc::not_found));
  EXPECT_EQ(files.list(folder.path())->size(), 1U);
}

TEST(DiskFiles, ReadsAtMostTheBytesAllowed) {
  DiskFiles files;
  const TemporaryFolder folder;
  ASSERT_TRUE(files.append(folder.file("f"), as_bytes(std::string(5000, 'x'))).has_value());
  EXPECT_EQ(files.read(folder.file("f"), 5000)->size(), 5000U);
  EXPECT_TRUE(files.read(folder.file("f"), 4999).error().is(Errc::overloaded));
  EXPECT_TRUE(files.read(folder.file("none"), 10).error().is(Errc::not_found));
  EXPECT_TRUE(files.read(folder.path(), 1 << 20).error().is(Errc::invalid_argument));
  EXPECT_FALSE(files.read("/proc/self/status", 1 << 20)->empty()) << "its size says zero";
  EXPECT_TRUE(files.read("/proc/self/status", 10).error().is(Errc::overloaded));
}

TEST(DiskFiles, SaysOfASecretWhetherOthersMayOpenIt) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("key");
  ASSERT_TRUE(files.write_atomic(path, as_bytes("secret")).has_value());
  const auto secret = files.read_secret(path, 6);
  ASSERT_TRUE(secret.has_value());
  EXPECT_EQ(as_text(secret->contents), "secret");
  EXPECT_TRUE(secret->owner_only);
  EXPECT_TRUE(files.read_secret(path, 5).error().is(Errc::overloaded));
  for (const mode_t mode : {0640, 0604, 0620, 0601}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_FALSE(files.read_secret(path, 100)->owner_only) << mode;
  }
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(files.write_atomic(path, as_bytes("new")).has_value());
  EXPECT_TRUE(files.read_secret(path, 100)->owner_only) << "a replaced file is private again";
}

TEST(DiskFiles, SaysOfASecretWhetherOthersMayReplaceIt) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("key");
  ASSERT_TRUE(files.write_atomic(path, as_bytes("secret")).has_value());
  for (const mode_t mode : {0700, 0750, 0711, 0755}) {
    ASSERT_EQ(::chmod(folder.path().c_str(), mode), 0);
    EXPECT_TRUE(files.read_secret(path, 100)->owner_only) << mode;
  }
  for (const mode_t mode : {0770, 0720, 0702, 01777}) {
    ASSERT_EQ(::chmod(folder.path().c_str(), mode), 0);
    EXPECT_FALSE(files.read_secret(path, 100)->owner_only) << mode;
  }
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
}

TEST(DiskFiles, ListsByNameWithSizesAndKinds) {
  DiskFiles files;
  const TemporaryFolder folder;
  ASSERT_TRUE(files.append(folder.file("b"), as_bytes("12345")).has_value());
  ASSERT_TRUE(files.create_directories(folder.file("c/d/e")).has_value());
  ASSERT_TRUE(files.create_directories(folder.file("c/d")).has_value());
  ASSERT_TRUE(files.append(folder.file("a"), as_bytes("")).has_value());
  const auto listed = files.list(folder.path());
  ASSERT_EQ(listed->size(), 3U);
  EXPECT_EQ((*listed)[0].name, "a");
  EXPECT_EQ((*listed)[1].name, "b");
  EXPECT_EQ((*listed)[1].size, 5U);
  EXPECT_GT((*listed)[1].modified_unix_nanoseconds, 1'600'000'000'000'000'000);
  EXPECT_TRUE((*listed)[2].is_directory);
  EXPECT_TRUE(files.list(folder.file("none")).error().is(Errc::not_found));
  EXPECT_TRUE(files.create_directories(folder.file("a/x")).error().is(Errc::already_exists));
  EXPECT_TRUE(files.create_directories(folder.file("a")).error().is(Errc::already_exists));
}

TEST(DiskFiles, RemovesAFileAndDoesNotMindThatThereIsNone) {
  DiskFiles files;
  const TemporaryFolder folder;
  ASSERT_TRUE(files.append(folder.file("f"), as_bytes("x")).has_value());
  EXPECT_TRUE(files.remove(folder.file("f")).has_value());
  EXPECT_TRUE(files.remove(folder.file("f")).has_value());
  EXPECT_TRUE(files.list(folder.path())->empty());
}

TEST(DiskFiles, ReadsAndReplacesALargeFileInPieces) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("large");
  auto writer = files.replace(path);
  ASSERT_TRUE(writer.has_value()) << writer.error().to_string();
  ASSERT_TRUE((*writer)->write_at(4, as_bytes("tail")).has_value());
  ASSERT_TRUE((*writer)->write_at(0, as_bytes("head")).has_value());
  EXPECT_TRUE(files.open(path).error().is(Errc::not_found)) << "before it is committed";
  ASSERT_TRUE((*writer)->commit().has_value());
  writer->reset();
  auto reader = files.open(path);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ((*reader)->size(), 8U);
  std::array<std::byte, 4> piece{};
  ASSERT_TRUE((*reader)->read_at(2, piece).has_value());
  EXPECT_EQ(as_text(piece), "adta");
  EXPECT_TRUE((*reader)->read_at(6, piece).error().is(Errc::io)) << "beyond its end";
}

TEST(DiskFiles, AReplacementThatIsNotCommittedLeavesNothing) {
  DiskFiles files;
  const TemporaryFolder folder;
  {
    auto writer = files.replace(folder.file("never"));
    ASSERT_TRUE(writer.has_value());
    ASSERT_TRUE((*writer)->write_at(0, as_bytes("some")).has_value());
  }
  EXPECT_TRUE(files.list(folder.path())->empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DiskFiles, LocksOutASecondTakerUntilTheFirstLetsGo) {
  DiskFiles files;
  const TemporaryFolder folder;
  auto first = files.try_lock(folder.file("lock"));
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(files.try_lock(folder.file("lock")).error().is(Errc::overloaded));
  first->reset();
  EXPECT_TRUE(files.try_lock(folder.file("lock")).has_value());
}

TEST(DiskFiles, HoldsALockAgainstOtherProcessesAndLosesItWhenItsProcessDies) {
  DiskFiles files;
  const TemporaryFolder folder;
  const std::string path = folder.file("lock");
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(::pipe(pipe_ends.data()), 0);
  const Descriptor told(pipe_ends[0]);
  Descriptor telling(pipe_ends[1]);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = files.try_lock(path);
    const char outcome = lock.has_value() ? 'y' : 'n';
    if (::write(telling.get(), &outcome, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char outcome = 0;
  EXPECT_EQ(::read(told.get(), &outcome, 1), 1);
  EXPECT_EQ(outcome, 'y');
  EXPECT_TRUE(files.try_lock(path).error().is(Errc::overloaded));
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(files.try_lock(path).has_value());
}

}  // namespace disk_files_test
}  // namespace velo::runtime
