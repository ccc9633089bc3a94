// SPDX-License-Identifier: Apache-2.0
// MessagePack from an attacker: truncation, flipped bits, depth and length bombs.

#include <velo/codec/hex.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/msgpack.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "codec_samples.hpp"

namespace velo::codec::msgpack_malformed_test {

/// The largest block that operator new gave since it was last set to 0.
static std::atomic<std::size_t> largest_block{0};

[[maybe_unused]] static void* counted(std::size_t size) {
  std::size_t seen = largest_block.load();
  while (seen < size && !largest_block.compare_exchange_weak(seen, size)) {
  }
  void* const block = std::malloc(std::max<std::size_t>(size, 1));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace velo::codec::msgpack_malformed_test

#if defined(__SANITIZE_THREAD__)
#define VELO_COUNTS_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VELO_COUNTS_BLOCKS 0
#endif
#endif
#ifndef VELO_COUNTS_BLOCKS
#define VELO_COUNTS_BLOCKS 1
#endif

// The thread sanitizer defines these itself; there the length bombs are only refused, not measured.
#if VELO_COUNTS_BLOCKS
// Not inlined, or g++ sees malloc meet delete and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
  return velo::codec::msgpack_malformed_test::counted(size);
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t /*size*/) noexcept {
  std::free(block);
}
#endif

namespace velo::codec::msgpack_malformed_test {

template <class T>
static bool fails(ByteSpan data, Errc code) {
  const Result<T> result = from_msgpack<T>(data);
  return !result && result.error().is(code);
}

template <class T>
static bool fails(std::string_view text, Errc code) {
  return fails<T>(ByteSpan(*from_hex(text)), code);
}

TEST(MsgpackMalformed, EveryPrefixOfAValidDocumentFailsCleanly) {
  const Bytes encoded = to_msgpack(samples::everything());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    // A copy of exactly this size lets the address sanitizer see any read beyond it.
    const std::vector<std::byte> prefix(encoded.begin(), encoded.begin() + size);
    EXPECT_TRUE(fails<samples::Everything>(ByteSpan(prefix), Errc::malformed)) << size;
    EXPECT_TRUE(fails<JsonValue>(ByteSpan(prefix), Errc::malformed)) << size;
    msgpack::Reader reader{ByteSpan(prefix)};
    EXPECT_FALSE(reader.skip()) << size;
  }
}

TEST(MsgpackMalformed, FlippedBitsNeverCrash) {
  const Bytes encoded = to_msgpack(samples::everything());
  std::vector<std::byte> data(encoded.begin(), encoded.end());
  std::size_t refused = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      data[i] ^= static_cast<std::byte>(1U << bit);
      const auto result = from_msgpack<samples::Everything>(ByteSpan(data));
      if (!result) {
        ++refused;
        EXPECT_FALSE(result.error().context().empty());
      }
      static_cast<void>(from_msgpack<JsonValue>(ByteSpan(data)));
      data[i] ^= static_cast<std::byte>(1U << bit);
    }
  }
  EXPECT_GT(refused, data.size());
}

TEST(MsgpackMalformed, RandomBytesNeverCrash) {
  std::mt19937_64 random(7);  // NOLINT(bugprone-random-generator-seed)
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::byte> data(random() % 64);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random());
    static_cast<void>(from_msgpack<samples::Everything>(ByteSpan(data)));
    static_cast<void>(msgpack_to_json(ByteSpan(data)));
  }
}

TEST(MsgpackMalformed, TrailingBytesAreRefused) {
  EXPECT_TRUE(fails<int>("0102", Errc::trailing_bytes));
  EXPECT_EQ(from_msgpack<int>(ByteSpan(*from_hex("0102"))).error().context(),
            "1 bytes follow the value at byte 1");
}

TEST(MsgpackMalformed, TheUnusedByteIsRefused) {
  EXPECT_TRUE(fails<int>("c1", Errc::malformed));
  EXPECT_TRUE(fails<std::optional<int>>("c1", Errc::malformed));
  EXPECT_TRUE(fails<samples::Settings>("81a178c1", Errc::malformed));
  EXPECT_TRUE(fails<int>("", Errc::malformed));
}

TEST(MsgpackMalformed, NestingBeyondTheLimitIsRefusedEverywhere) {
  std::string bomb(200000, '\x91');
  EXPECT_TRUE(fails<JsonValue>(as_bytes(bomb), Errc::too_deep));
  const std::string unknown_member = "\x81\xa1x" + bomb;
  EXPECT_TRUE(fails<samples::Settings>(as_bytes(unknown_member), Errc::too_deep));
  std::string maps;
  for (int i = 0; i < 100000; ++i) maps += "\x81\xc0";
  msgpack::Reader reader{as_bytes(maps)};
  EXPECT_FALSE(reader.skip());
  EXPECT_TRUE(reader.error().is(Errc::too_deep));
  samples::Tree tree;
  samples::Tree* at = &tree;
  for (std::uint32_t i = 0; i < depth_max; ++i) {
    at->left = std::make_unique<samples::Tree>();
    at = at->left.get();
  }
  EXPECT_TRUE(fails<samples::Tree>(to_msgpack(tree), Errc::too_deep));
}

TEST(MsgpackMalformed, NestingUpToTheLimitIsRead) {
  const std::string deepest = std::string(depth_max, '\x91') + '\xc0';
  EXPECT_TRUE(from_msgpack<JsonValue>(as_bytes(deepest)));
  msgpack::Reader reader{as_bytes(deepest)};
  EXPECT_TRUE(reader.skip());
  EXPECT_TRUE(reader.finish());
}

TEST(MsgpackMalformed, LengthBombsAreRefusedBeforeAnythingIsAllocated) {
  largest_block = 0;
  EXPECT_TRUE(fails<std::string>("dbffffffff61", Errc::malformed));
  EXPECT_TRUE(fails<Bytes>("c6ffffffff61", Errc::malformed));
  EXPECT_TRUE(fails<Bytes>("ddffffffff61", Errc::malformed));
  EXPECT_TRUE(fails<std::vector<std::byte>>("ddffffffff61", Errc::malformed));
  EXPECT_TRUE(fails<std::vector<samples::Everything>>("ddffffffff61", Errc::malformed));
  EXPECT_TRUE((fails<std::map<std::string, int>>("dfffffffffa16101", Errc::malformed)));
  EXPECT_TRUE(fails<samples::Settings>("dfffffffff", Errc::malformed));
  EXPECT_TRUE(fails<samples::Settings>("81a178c9ffffffff01", Errc::malformed));
  EXPECT_TRUE(fails<JsonValue>("dfffffffff", Errc::malformed));
  if (VELO_COUNTS_BLOCKS) {
    EXPECT_GT(largest_block, 0U);
  }
  EXPECT_LT(largest_block, 1024U);  // the messages of the errors, no more
}

TEST(MsgpackMalformed, ACountThatFitsItsInputReservesLittleBeforeItsItemsCome) {
  // A million items of one byte each are announced and there, but the first one is already wrong.
  const std::string text =
      "\xdd" + std::string("\x00\x0f\x42\x40", 4) + std::string(1'000'000, '\x01');
  largest_block = 0;
  EXPECT_TRUE(fails<std::vector<samples::Everything>>(as_bytes(text), Errc::wrong_type));
  EXPECT_LT(largest_block, std::size_t{80} << 10U);
}

TEST(MsgpackMalformed, SkippingStopsExactlyBehindTheValue) {
  const Bytes encoded = to_msgpack(std::make_pair(samples::everything(), std::string("next")));
  msgpack::Reader reader(encoded);
  Sequence pair;
  ASSERT_TRUE(reader.enter_array(pair));
  ASSERT_TRUE(reader.next_item(pair));
  ASSERT_TRUE(reader.skip());
  ASSERT_TRUE(reader.next_item(pair));
  std::string_view next;
  ASSERT_TRUE(reader.read_string(next));
  EXPECT_EQ(next, "next");
  EXPECT_FALSE(reader.next_item(pair));
  EXPECT_TRUE(reader.finish());
}

TEST(MsgpackMalformed, TextOfThePeerInMessagesIsShortAndPrintable) {
  const std::string nasty = "\x1b[31m\n\"" + std::string(500, 'k');
  const std::map<std::string, std::string> map{{nasty, "x"}};
  const auto result = from_msgpack<std::map<std::string, int>>(to_msgpack(map));
  ASSERT_FALSE(result);
  const std::string context = result.error().context();
  EXPECT_LT(context.size(), 150U);
  for (const char c : context) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
}

}  // namespace velo::codec::msgpack_malformed_test
