// SPDX-License-Identifier: Apache-2.0
// Tests of worker and instance ids, and of Random's helpers that draw them.

#include <velo/base/ids.hpp>

#include <velo/base/world.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace velo::ids_test {

/// Draws from a list, then from a seeded engine.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<std::uint64_t> draws = {}) : draws_(std::move(draws)) {}
  std::uint64_t next() noexcept override { return at_ < draws_.size() ? draws_[at_++] : engine_(); }
  std::size_t scripted_draws() const noexcept { return at_; }

 private:
  std::vector<std::uint64_t> draws_;
  std::size_t at_ = 0;
  std::mt19937_64 engine_{1};
};

static InstanceId counting_id() {
  std::array<std::uint8_t, 16> bytes{};
  for (std::uint8_t i = 0; i < 16; ++i) bytes[i] = i;
  return InstanceId(bytes);
}

TEST(InstanceId, PrintsAndParsesAsAUuid) {
  const InstanceId id = counting_id();
  EXPECT_EQ(id.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
  const auto parsed = InstanceId::parse("00010203-0405-0607-0809-0A0b0C0d0E0f");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, id);
}

TEST(InstanceId, ParseRefusesWhatIsNoUuid) {
  for (const std::string text :
       {"", "00010203-0405-0607-0809-0a0b0c0d0e0", "00010203-0405-0607-0809-0a0b0c0d0e0f0",
        "00010203-0405-0607-0809-0a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f",
        "00010203x0405-0607-0809-0a0b0c0d0e0f", "00010203-0405-0607-08090-a0b0c0d0e0f",
        "{0010203-0405-0607-0809-0a0b0c0d0e0}", "+0010203-0405-0607-0809-0a0b0c0d0e0f",
        "                                    "}) {
    const auto parsed = InstanceId::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_TRUE(parsed.error().is(Errc::invalid_argument)) << text;
  }
  const std::string with_nul = std::string("00010203-0405-0607-0809-0a0b0c0d0e0") + '\0';
  EXPECT_FALSE(InstanceId::parse(with_nul));
  EXPECT_LT(InstanceId::parse(std::string(100'000, 'x')).error().context().size(), 200U);
}

TEST(InstanceId, EveryRandomOneIsAValidUuidOfVersionFourAndParsesBack) {
  ScriptedRandom random;
  std::set<InstanceId> seen;
  for (int i = 0; i < 10'000; ++i) {
    const InstanceId id = InstanceId::random(random);
    ASSERT_TRUE(id.valid());
    ASSERT_TRUE(id.worker_id().valid());
    const std::string text = id.to_string();
    ASSERT_EQ(text[14], '4');
    ASSERT_NE(std::string("89ab").find(text[19]), std::string::npos);
    ASSERT_EQ(*InstanceId::parse(text), id);
    ASSERT_TRUE(seen.insert(id).second);
  }
}

TEST(InstanceId, ARandomSourceOfConstantsStillYieldsValidIds) {
  for (const std::uint64_t constant : {std::uint64_t{0}, UINT64_MAX}) {
    ScriptedRandom random({constant, constant});
    const InstanceId id = InstanceId::random(random);
    EXPECT_TRUE(id.valid());
    EXPECT_TRUE(id.worker_id().valid());
    EXPECT_EQ(random.scripted_draws(), 2U);
  }
}

TEST(WorkerId, IsXxh3OfTheSixteenBytes) {
  // Computed with an independent implementation of XXH3-64.
  EXPECT_EQ(counting_id().worker_id().value(), 0x8355e3a6f61770dbU);
  EXPECT_EQ(InstanceId().worker_id().value(), 0xd0a66a65c7528968U);
  const auto parsed = InstanceId::parse("123e4567-e89b-42d3-a456-426614174000");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->worker_id().value(), 0x31be18cf41b22fa3U);
  std::array<std::uint8_t, 16> ones;
  ones.fill(0xff);
  EXPECT_EQ(InstanceId(ones).worker_id().value(), 0x722a202f07a4b313U);
}

TEST(WorkerId, PrintsAndParsesInDecimal) {
  EXPECT_EQ(WorkerId(UINT64_MAX).to_string(), "18446744073709551615");
  EXPECT_EQ(*WorkerId::parse("18446744073709551615"), WorkerId(UINT64_MAX));
  EXPECT_EQ(*WorkerId::parse("1"), WorkerId(1));
  for (const char* text :
       {"", "0", "-1", "+1", " 1", "1 ", "0x10", "1e3", "18446744073709551616"}) {
    const auto parsed = WorkerId::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_TRUE(parsed.error().is(Errc::invalid_argument)) << text;
  }
}

TEST(WorkerId, ZeroIsInvalid) {
  EXPECT_FALSE(WorkerId().valid());
  EXPECT_FALSE(WorkerId(0).valid());
  EXPECT_TRUE(WorkerId(1).valid());
  EXPECT_FALSE(InstanceId().valid());
}

TEST(Ids, OrderAndHashByContents) {
  EXPECT_LT(WorkerId(1), WorkerId(2));
  EXPECT_LT(InstanceId(), counting_id());
  const std::unordered_set<InstanceId> instances{counting_id(), counting_id(), InstanceId()};
  EXPECT_EQ(instances.size(), 2U);
  const std::unordered_set<WorkerId> workers{WorkerId(1), WorkerId(1), WorkerId(2)};
  EXPECT_EQ(workers.size(), 2U);
}

TEST(PeerInfo, ComparesIdAndAddressContents) {
  PeerInfo a{counting_id(), {{"tcp", Bytes::copy("127.0.0.1:1")}}};
  PeerInfo b{counting_id(), {{"tcp", Bytes::copy("127.0.0.1:1")}}};
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.worker_id(), counting_id().worker_id());
  b.address["tcp"] = Bytes::copy("127.0.0.1:2");
  EXPECT_FALSE(a == b);
  EXPECT_NE(a.address.find(std::string_view("tcp")), a.address.end());
}

TEST(Random, BelowStaysBelowItsBoundAndReachesEveryValue) {
  ScriptedRandom random;
  for (const std::uint64_t bound : {1U, 2U, 3U, 7U, 64U, 100U}) {
    std::vector<int> seen(bound);
    for (std::uint64_t i = 0; i < bound * 200; ++i) {
      const std::uint64_t draw = random.below(bound);
      ASSERT_LT(draw, bound);
      ++seen[draw];
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0) << bound;
  }
}

TEST(Random, BelowDrawsAgainInsteadOfFavouringSmallValues) {
  // 2^64 - 1 is no multiple of 10: the last, incomplete run of ten must not count.
  ScriptedRandom random({UINT64_MAX, UINT64_MAX - 1, 13});
  EXPECT_EQ(random.below(10), 3U);
  EXPECT_EQ(random.scripted_draws(), 3U);
  ScriptedRandom large({UINT64_MAX, 5});
  EXPECT_EQ(large.below(UINT64_MAX), 5U);
}

TEST(Random, FillWritesEveryByteAndNoOther) {
  for (std::size_t size = 0; size <= 33; ++size) {
    ScriptedRandom random(std::vector<std::uint64_t>(8, UINT64_MAX));
    std::vector<std::byte> out(size + 2, std::byte{0});
    random.fill(std::span(out).subspan(1, size));
    EXPECT_EQ(out.front(), std::byte{0});
    EXPECT_EQ(out.back(), std::byte{0});
    EXPECT_EQ(std::count(out.begin(), out.end(), std::byte{0xff}), static_cast<long>(size));
  }
}

}  // namespace velo::ids_test
