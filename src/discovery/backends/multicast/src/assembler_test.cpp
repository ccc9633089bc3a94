// SPDX-License-Identifier: Apache-2.0
// Rows in parts: loss, repetition, replacement, and floods that hold no more than they may.

#include "assembler.hpp"

#include "testing/multicast_kit.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velo::discovery::multicast {
namespace assembler_test {

using namespace kit;  // NOLINT(google-build-using-namespace)

static Row long_row(std::uint32_t number, char fill = 'x', std::size_t bytes = 5'000) {
  return peer_row(number, std::string(bytes, fill));
}

/// Parts that somebody signs, whatever they say.
struct PartSpeaker {
  explicit PartSpeaker(std::uint64_t seed) : signing(seed), number(seed) {}
  std::vector<std::byte> say(const Part& part, const Now& now) {
    Statement said;
    said.announcer = number;
    said.sequence = ++sequence;
    said.unix_milliseconds = now.unix_milliseconds();
    said.lifetime_milliseconds = 10'000;
    said.key = signing.key();
    said.part = part;
    auto bytes = encode(cluster, said);
    const Signature signature = *signing.sign(bytes);
    const auto raw = std::as_bytes(std::span(signature));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
    return bytes;
  }
  CheapSigning signing;
  std::uint64_t number;
  std::uint64_t sequence = 0;
};

TEST(Assembler, ARowIsThereWhenItsPartsAreInWhateverOrderAndNumber) {
  Listener listener;
  PartSpeaker speaker(1);
  const Row row = long_row(1);
  const auto parts = parts_of(row);
  RosterOut out;
  for (std::size_t i = parts.size(); i-- > 1;) {
    for (int twice = 0; twice < 2; ++twice) {
      listener.hear({speaker.say(parts[i], at(seconds(0)))}, at(seconds(0)));
    }
  }
  EXPECT_FALSE(listener.has(row));
  EXPECT_GT(listener.roster.counters().parts_bytes, 3'000U);
  out = listener.hear({speaker.say(parts[0], at(seconds(1)))}, at(seconds(1)));
  EXPECT_TRUE(listener.has(row));
  ASSERT_EQ(out.changes.size(), 1U);
  EXPECT_EQ(out.changes[0].row, row);
  EXPECT_EQ(listener.roster.counters().parts_bytes, 0U);
  EXPECT_EQ(listener.roster.counters().rows_bytes, encoded_bytes(row));
}

TEST(Assembler, PartsOfSeveralTimesCompleteEachOtherAndAnyOfThemKeepsTheRow) {
  Listener listener;
  PartSpeaker speaker(1);
  const Row row = long_row(1, 'x', limits::large_row_bytes_max - 100);
  const auto parts = parts_of(row);
  SeededRandom random(3);
  int times = 0;
  // A fifth of all is lost.
  while (!listener.has(row) && times < 6) {
    for (const Part& part : parts) {
      const auto datagram = speaker.say(part, at(seconds(times)));
      if (random.below(5) != 0) listener.hear({datagram}, at(seconds(times)));
    }
    ++times;
  }
  EXPECT_TRUE(listener.has(row));
  EXPECT_GT(times, 1);
  for (int second = times; second < 60; second += 5) {
    listener.hear({speaker.say(parts[3], at(seconds(second)))}, at(seconds(second)));
    listener.tick(at(seconds(second)));
    EXPECT_TRUE(listener.has(row)) << second;
  }
  for (int second = 60; second < 90; ++second) listener.tick(at(seconds(second)));
  EXPECT_FALSE(listener.has(row));
}

TEST(Assembler, WhatIsReplacedMeanwhileIsTheNewRow) {
  Listener listener;
  PartSpeaker speaker(1);
  const Row old = long_row(1, 'o');
  const Row fresh = long_row(1, 'f');
  const auto old_parts = parts_of(old);
  const auto fresh_parts = parts_of(fresh);
  const auto late = speaker.say(old_parts[1], at(seconds(0)));
  listener.hear({speaker.say(old_parts[0], at(seconds(0)))}, at(seconds(0)));
  for (const Part& part : fresh_parts) {
    listener.hear({speaker.say(part, at(seconds(0))), late}, at(seconds(0)));
  }
  EXPECT_TRUE(listener.has(fresh));
  // And then it fits into a datagram.
  Speaker other(1);
  const Row short_row = peer_row(1, "short");
  listener.hear(other.put(short_row, at(seconds(1))), at(seconds(1)));
  EXPECT_TRUE(listener.has(short_row));
  EXPECT_EQ(listener.roster.counters().rows_bytes, encoded_bytes(short_row));
}

TEST(Assembler, PartsThatDoNotAddUpAreNoRow) {
  Listener listener;
  PartSpeaker liar(1);
  auto parts = parts_of(long_row(1));
  parts[2].bytes = Bytes::copy(std::string(parts[2].bytes.size(), '!'));
  for (const Part& part : parts) {
    listener.hear({liar.say(part, at(seconds(0)))}, at(seconds(0)));
  }
  EXPECT_EQ(listener.roster.counters().rows, 0U);
  EXPECT_EQ(listener.roster.counters().broken, 1U);
  EXPECT_EQ(listener.roster.counters().parts_bytes, 0U);
}

TEST(Assembler, NobodySpoilsOrTakesTheRowOfAnother) {
  Listener listener;
  PartSpeaker honest(1);
  PartSpeaker rogue(2);
  rogue.number = honest.number;
  const Row row = long_row(1);
  const auto parts = parts_of(row);
  auto wrong = parts;
  for (Part& part : wrong) part.bytes = Bytes::copy(std::string(part.bytes.size(), '!'));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    // A signature of his own under the other's key, then with his own key.
    auto forged = rogue.say(wrong[i], at(seconds(0)));
    const RawKey key = honest.signing.key();
    std::ranges::copy(std::as_bytes(std::span(key)), forged.begin() + 14 + 36);
    listener.hear({forged, rogue.say(wrong[i], at(seconds(0)))}, at(seconds(0)));
    listener.hear({honest.say(parts[i], at(seconds(0)))}, at(seconds(0)));
  }
  EXPECT_TRUE(listener.has(row));
  EXPECT_EQ(listener.roster.counters().forged, parts.size());
  // The row is the honest one's now.
  for (const Part& part : parts_of(long_row(1, 'r'))) {
    listener.hear({rogue.say(part, at(seconds(1)))}, at(seconds(1)));
  }
  EXPECT_TRUE(listener.has(row));
  EXPECT_GE(listener.roster.counters().usurped, parts.size());
}

TEST(Assembler, AFloodOfPartsHoldsNoMoreThanItMayAndIsOverSoon) {
  Listener listener;
  // Known before it begins.
  PartSpeaker known(1);
  const Row row = long_row(1);
  for (const Part& part : parts_of(row)) {
    listener.hear({known.say(part, at(seconds(0)))}, at(seconds(0)));
  }
  ASSERT_TRUE(listener.has(row));
  const auto parts = parts_of(long_row(2, 'x', 10'000));
  std::uint32_t stranger = 10;
  for (int second = 1; second <= 10; ++second) {
    for (int i = 0; i < 900; ++i, ++stranger) {
      const Now now = at(seconds(second) + std::chrono::microseconds(1100 * i));
      PartSpeaker attacker(stranger);
      Part first = parts[0];
      first.row.second = instance(stranger);
      // From one address for five seconds, then from everywhere.
      const NetAddress from = source(second <= 5 ? 7 : stranger);
      listener.hear({attacker.say(first, now)}, now, from);
    }
    const std::size_t held = listener.roster.counters().parts_bytes;
    EXPECT_LE(held, second <= 5 ? limits::parts_bytes_per_source_max : limits::parts_bytes_max);
    listener.hear({known.say(parts_of(row)[1], at(seconds(second + 1)))}, at(seconds(second + 1)));
    listener.tick(at(seconds(second + 1)));
    EXPECT_TRUE(listener.has(row));
  }
  EXPECT_GT(listener.roster.counters().parts_bytes, limits::parts_bytes_per_source_max)
      << "the flood was one";
  EXPECT_GT(listener.roster.counters().refused, 1000U);
  listener.tick(at(seconds(45)));
  EXPECT_EQ(listener.roster.counters().parts_bytes, 0U);
}

TEST(Assembler, RowsAreBoundedByTheirBytes) {
  RosterOptions options = Listener::with_cluster();
  options.rows_bytes_max = 100'000;
  options.rows_bytes_per_source_max = 40'000;
  Listener listener(options);
  std::uint32_t number = 0;
  for (std::uint32_t from = 1; from <= 5; ++from) {
    Speaker speaker(from);
    for (int i = 0; i < 12; ++i) {
      listener.hear(speaker.put(long_row(++number, 'x', 4'900), at(seconds(0))), at(seconds(0)),
                    source(from));
    }
    EXPECT_LE(listener.roster.counters().rows_bytes, from * std::size_t{40'000});
  }
  const Counters counters = listener.roster.counters();
  EXPECT_LE(counters.rows_bytes, 100'000U);
  EXPECT_GT(counters.rows_bytes, 90'000U);
  EXPECT_GT(counters.refused, 30U);
}

}  // namespace assembler_test
}  // namespace velo::discovery::multicast
