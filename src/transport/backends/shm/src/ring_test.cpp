// SPDX-License-Identifier: Apache-2.0
// Rings in shared memory: what goes in comes out, nobody who waits is forgotten, and nothing that
// the other end may write there does harm.

#include "ring.hpp"

#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace velo::transport {
namespace ring_test {

/// A region as both ends see it.
class Region {
 public:
  explicit Region(std::size_t ring = limits::shm_ring_bytes_min) : bytes_(region_bytes(ring) / 8) {}
  std::span<std::byte> span() { return std::as_writable_bytes(std::span(bytes_)); }
  RingPair rings() { return split_region(span()).value(); }
  template <class T>
  void poke(const RingMemory& ring, std::size_t at, T value) {
    std::memcpy(ring.control + at, &value, sizeof value);
  }
  template <class T>
  T peek(const RingMemory& ring, std::size_t at) {
    T value{};
    std::memcpy(&value, ring.control + at, sizeof value);
    return value;
  }

 private:
  std::vector<std::uint64_t> bytes_;
};

static std::string take(RingReader& reader, std::size_t most = 100'000) {
  std::string text(most, '\0');
  text.resize(reader.take(std::as_writable_bytes(std::span(text))));
  return text;
}

static std::size_t put(RingWriter& writer, std::string_view text) {
  return writer.put(as_bytes(text));
}

TEST(Ring, ARegionIsSplitIntoTheLongestRingsThatFit) {
  Region region(8192);
  const RingPair rings = region.rings();
  const std::byte* begin = region.span().data();
  EXPECT_EQ(rings.from_maker.control - begin, 0);
  EXPECT_EQ(rings.to_maker.control - begin, 512);
  EXPECT_EQ(rings.from_maker.data.data() - begin, 4096);
  EXPECT_EQ(rings.to_maker.data.data() - begin, 4096 + 8192);
  EXPECT_EQ(rings.from_maker.data.size(), 8192U);
  // Pages that are left over stay unused, so that both ends come to the same rings.
  Region longer(8192 + 4000);
  EXPECT_EQ(longer.rings().to_maker.data.size(), 8192U);
  EXPECT_FALSE(split_region(region.span().first(4096 + 8191)).has_value() &&
               split_region(region.span().first(4096 + 8191))->from_maker.data.size() > 4096);
  EXPECT_FALSE(split_region(region.span().first(4096 + 2 * 4095)).has_value());
  EXPECT_FALSE(split_region({}).has_value());
}

TEST(Ring, IsLaidOutAsItsPageSays) {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../../../..";
  std::ifstream page(root / "docs/protocols/shm.md");
  ASSERT_TRUE(page) << "no page below " << root;
  std::map<std::string, std::size_t> offsets;
  std::string line;
  const std::regex row(R"(\| (\d+) \| (\w+) \| `([a-z_ ]+)` \|.*)");
  std::smatch match;
  while (std::getline(page, line)) {
    if (std::regex_match(line, match, row)) offsets[match[3]] = std::stoul(match[1]);
  }
  const std::map<std::string, std::size_t> ours = {
      {"control from maker", 0},
      {"control to maker", ring_layout::control_bytes},
      {"data", ring_layout::header_bytes},
      {"written", ring_layout::written},
      {"read", ring_layout::read},
      {"reader_sleeps", ring_layout::reader_sleeps},
      {"writer_waits", ring_layout::writer_waits},
  };
  EXPECT_EQ(offsets, ours);
}

TEST(Ring, NothingIsSeenBeforeItIsPublished) {
  Region region;
  RingWriter writer(region.rings().from_maker);
  RingReader reader(region.rings().from_maker);
  EXPECT_FALSE(reader.has_come());
  EXPECT_EQ(put(writer, "hello"), 5U);
  EXPECT_FALSE(reader.has_come());
  EXPECT_EQ(take(reader), "");
  EXPECT_FALSE(writer.publish());
  EXPECT_TRUE(reader.has_come());
  EXPECT_EQ(take(reader, 3), "hel");
  EXPECT_EQ(take(reader), "lo");
  EXPECT_FALSE(reader.has_come());
}

TEST(Ring, AFullRingTakesNoMoreAndTellsWhenThereIsRoom) {
  Region region;
  const RingMemory ring = region.rings().from_maker;
  RingWriter writer(ring);
  RingReader reader(ring);
  const std::string text(5000, 'x');
  EXPECT_EQ(put(writer, text), 4096U);
  writer.publish();
  EXPECT_EQ(put(writer, "x"), 0U);
  ASSERT_TRUE(writer.wait_for_room());
  EXPECT_TRUE(writer.is_waiting());
  // A little room is not worth waking anybody for.
  EXPECT_EQ(take(reader, 1000).size(), 1000U);
  EXPECT_FALSE(reader.must_wake_writer());
  EXPECT_EQ(take(reader, 24).size(), 24U);
  EXPECT_TRUE(reader.must_wake_writer());
  EXPECT_FALSE(writer.is_waiting());
  EXPECT_FALSE(reader.must_wake_writer()) << "once";
  EXPECT_EQ(put(writer, text), 1024U);
  // Room that came between the last look and the waiting is seen.
  EXPECT_EQ(put(writer, "x"), 0U);
  EXPECT_EQ(take(reader).size(), 3072U);
  EXPECT_FALSE(writer.wait_for_room());
  EXPECT_FALSE(writer.is_waiting());
}

TEST(Ring, WhoeverSleepsIsWokenOnce) {
  Region region;
  const RingMemory ring = region.rings().from_maker;
  RingWriter writer(ring);
  RingReader reader(ring);
  ASSERT_TRUE(reader.fall_asleep());
  put(writer, "a");
  EXPECT_TRUE(writer.publish());
  put(writer, "b");
  EXPECT_FALSE(writer.publish()) << "somebody is on the way already";
  EXPECT_FALSE(reader.fall_asleep()) << "there is something";
  EXPECT_EQ(take(reader), "ab");
  ASSERT_TRUE(reader.fall_asleep());
  reader.stay_awake();
  put(writer, "c");
  EXPECT_FALSE(writer.publish());
}

TEST(Ring, CarriesAnyLengthsInOrderAcrossItsEnd) {
  Region region(8192);
  const RingMemory ring = region.rings().to_maker;
  RingWriter writer(ring);
  RingReader reader(ring);
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same each time
  std::string sent;
  std::string received;
  while (sent.size() < 2'000'000) {
    std::string piece(random() % 9000, '\0');
    for (char& c : piece) c = static_cast<char>(random());
    piece.resize(put(writer, piece));
    writer.publish();
    sent += piece;
    const std::size_t wanted = random() % 9000;
    received += take(reader, wanted);
  }
  received += take(reader);
  EXPECT_TRUE(sent == received);
}

TEST(Ring, TwoThreadsLoseNothingAndNoWake) {
  Region region;
  const RingMemory ring = region.rings().from_maker;
  constexpr std::uint64_t total = 4'000'000;
  std::atomic<int> reader_bell{0};
  std::atomic<int> writer_bell{0};
  const auto ring_bell = [](std::atomic<int>& bell) {
    bell.fetch_add(1);
    bell.notify_one();
  };
  std::jthread writing([&] {
    RingWriter writer(ring);
    std::uint64_t next = 0;
    std::vector<std::byte> piece(999);
    while (next < total) {
      const int heard = writer_bell.load();
      const std::size_t size = std::min<std::uint64_t>(piece.size(), total - next);
      for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<std::byte>((next + i) * 31);
      const std::size_t count = writer.put(std::span(piece).first(size));
      next += count;
      if (count > 0 && writer.publish()) ring_bell(reader_bell);
      if (count < size && writer.wait_for_room()) writer_bell.wait(heard);
    }
  });
  RingReader reader(ring);
  std::uint64_t got = 0;
  std::vector<std::byte> space(1500);
  while (got < total) {
    const int heard = reader_bell.load();
    const std::size_t count = reader.take(space);
    ASSERT_FALSE(reader.broken());
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(space[i], static_cast<std::byte>((got + i) * 31));
    }
    got += count;
    if (count > 0 && reader.must_wake_writer()) ring_bell(writer_bell);
    if (count > 0) continue;
    const bool asleep = reader.fall_asleep();
    if (reader.must_wake_writer()) ring_bell(writer_bell);
    if (asleep) reader_bell.wait(heard);
  }
}

TEST(Ring, AWritersPositionThatCannotBeEndsReading) {
  for (const std::uint64_t lie :
       {std::uint64_t{4097 + 10}, std::uint64_t{9}, std::uint64_t{1} << 63, UINT64_MAX}) {
    Region region;
    const RingMemory ring = region.rings().from_maker;
    RingWriter writer(ring);
    RingReader reader(ring);
    put(writer, "0123456789");
    writer.publish();
    ASSERT_EQ(take(reader), "0123456789");
    region.poke(ring, ring_layout::written, lie);
    EXPECT_TRUE(reader.has_come());
    EXPECT_EQ(take(reader), "") << lie;
    EXPECT_TRUE(reader.broken()) << lie;
    // And stays so, whatever is written there later.
    region.poke(ring, ring_layout::written, std::uint64_t{11});
    EXPECT_EQ(take(reader), "");
    EXPECT_FALSE(reader.has_come());
  }
}

TEST(Ring, AWritersPositionThatGoesBackEndsReading) {
  Region region;
  const RingMemory ring = region.rings().from_maker;
  RingReader reader(ring);
  region.poke(ring, ring_layout::written, std::uint64_t{100});
  EXPECT_EQ(take(reader, 40).size(), 40U);
  region.poke(ring, ring_layout::written, std::uint64_t{20});
  EXPECT_EQ(take(reader, 60).size(), 60U) << "what was seen is not looked for again";
  EXPECT_EQ(take(reader), "");
  EXPECT_TRUE(reader.broken());
}

TEST(Ring, AReadersPositionThatCannotBeEndsWriting) {
  for (const std::uint64_t lie : {std::uint64_t{4097}, std::uint64_t{1} << 63, UINT64_MAX}) {
    Region region;
    const RingMemory ring = region.rings().from_maker;
    RingWriter writer(ring);
    ASSERT_EQ(put(writer, std::string(4096, 'x')), 4096U);
    writer.publish();
    region.poke(ring, ring_layout::read, lie);
    EXPECT_EQ(put(writer, "more"), 0U) << lie;
    EXPECT_TRUE(writer.broken()) << lie;
    EXPECT_FALSE(writer.wait_for_room());
  }
}

TEST(Ring, AReadersPositionThatGoesBackEndsWriting) {
  Region region;
  const RingMemory ring = region.rings().from_maker;
  RingWriter writer(ring);
  ASSERT_EQ(put(writer, std::string(4096, 'x')), 4096U);
  region.poke(ring, ring_layout::read, std::uint64_t{1000});
  EXPECT_EQ(put(writer, std::string(2000, 'y')), 1000U);
  region.poke(ring, ring_layout::read, std::uint64_t{999});
  EXPECT_EQ(put(writer, "z"), 0U);
  EXPECT_TRUE(writer.broken());
}

TEST(Ring, SurvivesAnythingThatTheOtherEndMayWrite) {
  std::mt19937_64 random(11);  // NOLINT(bugprone-random-generator-seed): the same each time
  for (int round = 0; round < 5000; ++round) {
    Region region;
    const RingPair rings = region.rings();
    RingWriter writer(rings.from_maker);
    RingReader reader(rings.to_maker);
    for (int step = 0; step < 20; ++step) {
      const std::span<std::byte> control = region.span().first(1024);
      std::uint64_t word = random();
      // Small numbers are the ones that can be right.
      if (random() % 2 == 0) word %= 10'000;
      std::memcpy(control.data() + random() % 128 * 8, &word, sizeof word);
      std::string space(random() % 6000, '\0');
      const std::size_t taken = reader.take(std::as_writable_bytes(std::span(space)));
      ASSERT_LE(taken, space.size());
      ASSERT_LE(put(writer, space), rings.from_maker.data.size());
      static_cast<void>(writer.publish());
      static_cast<void>(reader.must_wake_writer());
      static_cast<void>(reader.fall_asleep());
      static_cast<void>(writer.wait_for_room());
    }
  }
}

}  // namespace ring_test
}  // namespace velo::transport
