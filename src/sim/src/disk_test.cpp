// SPDX-License-Identifier: Apache-2.0
// Simulated files, folders, locks, and what a crash leaves of them.

#include <velo/base/files.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <set>

namespace velo::sim::disk_test {

using std::chrono::seconds;

NodeOptions on_host() {
  NodeOptions options;
  options.machine = "host";
  return options;
}

TEST(SimFiles, AreSharedByTheNodesOfAMachineAndNoOthers) {
  Simulation sim(1);
  SimNode& a = sim.add_node("a", on_host());
  SimNode& b = sim.add_node("b", on_host());
  SimNode& far = sim.add_node("far");
  ASSERT_TRUE(a.files().create_directories("/var/x").has_value());
  ASSERT_TRUE(a.files().write_atomic("/var/x/f", as_bytes("one")).has_value());
  ASSERT_TRUE(b.files().append("/var//x/./f", as_bytes("+two")).has_value());
  EXPECT_EQ(a.files().read("/var/x/f", 100)->text(), "one+two");
  EXPECT_TRUE(a.files().read("/var/x/f", 3).error().is(Errc::overloaded));
  EXPECT_TRUE(far.files().read("/var/x/f", 100).error().is(Errc::not_found));
}

TEST(SimFiles, NeedTheirFolderAndListItByName) {
  Simulation sim(2);
  Files& files = sim.add_node("a").files();
  EXPECT_TRUE(files.write_atomic("/no/f", as_bytes("x")).error().is(Errc::not_found));
  EXPECT_TRUE(files.list("/no").error().is(Errc::not_found));
  ASSERT_TRUE(files.create_directories("/d/sub/deep").has_value());
  ASSERT_TRUE(files.write_atomic("/d/z", as_bytes("12")).has_value());
  ASSERT_TRUE(files.write_atomic("/d/a", as_bytes("1")).has_value());
  ASSERT_TRUE(files.write_atomic("/d/sub/inner", as_bytes("1")).has_value());
  const auto entries = files.list("/d/");
  ASSERT_TRUE(entries.has_value());
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[1].name, "sub");
  EXPECT_TRUE((*entries)[1].is_directory);
  EXPECT_EQ((*entries)[2].size, 2U);
  EXPECT_TRUE(files.remove("/d/a").has_value());
  EXPECT_TRUE(files.remove("/d/a").has_value());
  EXPECT_FALSE(files.remove("/d").has_value());
  EXPECT_EQ(files.list("/d")->size(), 2U);
}

TEST(SimFiles, ALockExcludesOthersUntilItsHolderGoesOrCrashes) {
  Simulation sim(3);
  SimNode& a = sim.add_node("a", on_host());
  SimNode& b = sim.add_node("b", on_host());
  auto held = a.files().try_lock("/lock");
  ASSERT_TRUE(held.has_value());
  EXPECT_TRUE(b.files().try_lock("/lock").error().is(Errc::overloaded));
  EXPECT_TRUE(a.files().try_lock("/lock").error().is(Errc::overloaded));
  held->reset();
  auto next = b.files().try_lock("/lock");
  ASSERT_TRUE(next.has_value());
  sim.crash(b);
  auto after = a.files().try_lock("/lock");
  ASSERT_TRUE(after.has_value());
  next->reset();  // the dead holder's handle frees nothing
  EXPECT_FALSE(a.files().try_lock("/lock").has_value());
}

TEST(SimFiles, SurviveARestartUnlessTheDiskIsWiped) {
  Simulation sim(4);
  SimNode& a = sim.add_node("a");
  ASSERT_TRUE(a.files().write_atomic("/f", as_bytes("kept")).has_value());
  sim.crash(a);
  EXPECT_FALSE(a.files().read("/f", 10).has_value());
  SimNode& second = sim.restart(a);
  EXPECT_EQ(second.files().read("/f", 10)->text(), "kept");
  SimNode& third = sim.restart(second, DiskFate::wiped);
  EXPECT_TRUE(third.files().read("/f", 10).error().is(Errc::not_found));
}

TEST(SimFiles, AreReadAndReplacedInPieces) {
  Simulation sim(1);
  SimNode& a = sim.add_node("a");
  auto writer = a.files().replace("/large");
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE((*writer)->write_at(4, as_bytes("tail")).has_value());
  ASSERT_TRUE((*writer)->write_at(0, as_bytes("head")).has_value());
  EXPECT_TRUE(a.files().open("/large").error().is(Errc::not_found));
  ASSERT_TRUE((*writer)->commit().has_value());
  auto reader = a.files().open("/large");
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ((*reader)->size(), 8U);
  std::vector<std::byte> piece(4);
  ASSERT_TRUE((*reader)->read_at(2, piece).has_value());
  EXPECT_EQ(as_text(piece), "adta");
  EXPECT_TRUE((*reader)->read_at(6, piece).error().is(Errc::io));
}

TEST(SimFiles, ACrashTearsRecentAppendsAndNothingElse) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SimOptions options;
    options.torn_appends = true;
    Simulation sim(seed, options);
    SimNode& a = sim.add_node("a");
    ASSERT_TRUE(a.files().write_atomic("/atomic", as_bytes("whole")).has_value());
    ASSERT_TRUE(a.files().append("/log", as_bytes("old.")).has_value());
    sim.run_for(seconds(3));
    ASSERT_TRUE(a.files().append("/log", as_bytes("mid.")).has_value());
    sim.run_for(seconds(3));
    ASSERT_TRUE(a.files().append("/log", as_bytes("new.")).has_value());
    SimNode& again = sim.restart(a);
    EXPECT_EQ(again.files().read("/atomic", 100)->text(), "whole");
    const auto log = again.files().read("/log", 100);
    ASSERT_TRUE(log.has_value());
    EXPECT_TRUE(std::string_view("old.mid.new.").starts_with(log->text()));
    EXPECT_GE(log->size(), 4U);
    sizes.insert(log->size());
  }
  EXPECT_GT(sizes.size(), 4U);
}

}  // namespace velo::sim::disk_test
