// SPDX-License-Identifier: Apache-2.0
// Tests of Bytes and BytesBuilder: who owns, who shares, and what is never copied.

#include <velo/base/bytes.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo::bytes_test {

static_assert(std::is_nothrow_move_constructible_v<Bytes>);
static_assert(std::is_nothrow_copy_constructible_v<Bytes>);
static_assert(!std::is_copy_constructible_v<BytesBuilder>);

TEST(Bytes, AreEmptyByDefault) {
  const Bytes empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.size(), 0U);
  EXPECT_EQ(empty.begin(), empty.end());
  EXPECT_EQ(empty.to_string(), "");
  EXPECT_TRUE(empty.slice(0).empty());
  EXPECT_TRUE(empty.slice(3, 5).empty());
  EXPECT_EQ(empty, Bytes::copy(""));
}

TEST(Bytes, CopyTakesTheContentsAndIsIndependentOfTheSource) {
  std::string text = "hello";
  const Bytes bytes = Bytes::copy(text);
  EXPECT_NE(static_cast<const void*>(bytes.data()), text.data());
  text = "xxxxx";
  EXPECT_EQ(bytes.text(), "hello");
  EXPECT_EQ(bytes[1], std::byte{'e'});
}

TEST(Bytes, OwnTakesAContainerOverWithoutCopying) {
  std::vector<std::byte> vector(1000, std::byte{7});
  const std::byte* const address = vector.data();
  const Bytes owned = Bytes::own(std::move(vector));
  EXPECT_EQ(owned.data(), address);
  EXPECT_EQ(owned.size(), 1000U);
  // Strings that small lie inside their object, which moves.
  EXPECT_EQ(Bytes::own(std::string("tiny")).slice(1, 2).to_string(), "in");
  EXPECT_TRUE(Bytes::own(std::vector<std::byte>()).empty());
  EXPECT_TRUE(Bytes::own(std::string()).slice(0).empty());
}

TEST(Bytes, SliceSharesTheOwnerAndNeverCopies) {
  Bytes whole = Bytes::copy("0123456789");
  const std::byte* const address = whole.data();
  Bytes middle = whole.slice(2, 5);
  EXPECT_EQ(middle.data(), address + 2);
  EXPECT_EQ(middle.text(), "23456");
  whole = Bytes();
  EXPECT_EQ(middle.slice(1).slice(1, 2).text(), "45");
  middle = middle.slice(4);
  EXPECT_EQ(middle.text(), "6");
}

TEST(Bytes, SliceIsClippedToTheEnd) {
  const Bytes bytes = Bytes::copy("0123456789");
  EXPECT_EQ(bytes.slice(7).text(), "789");
  EXPECT_EQ(bytes.slice(7, 100).text(), "789");
  EXPECT_EQ(bytes.slice(7, SIZE_MAX).text(), "789");
  EXPECT_EQ(bytes.slice(10).text(), "");
  EXPECT_EQ(bytes.slice(11).text(), "");
  EXPECT_EQ(bytes.slice(SIZE_MAX, SIZE_MAX).text(), "");
  EXPECT_EQ(bytes.slice(3, 0).text(), "");
}

TEST(Bytes, ShareKeepsTheOwnerAliveUntilTheLastSliceGoes) {
  auto owner = std::make_shared<std::string>("owned elsewhere");
  const std::weak_ptr<std::string> alive = owner;
  const ByteSpan part = as_bytes(*owner).subspan(6);
  Bytes bytes = Bytes::share(std::move(owner), part);
  Bytes slice = bytes.slice(0, 4);
  bytes = Bytes();
  EXPECT_FALSE(alive.expired());
  EXPECT_EQ(slice.text(), "else");
  slice = Bytes();
  EXPECT_TRUE(alive.expired());
}

TEST(Bytes, OfStaticViewsWithoutOwning) {
  static constexpr std::string_view text = "for ever";
  const Bytes bytes = Bytes::of_static(text);
  EXPECT_EQ(static_cast<const void*>(bytes.data()), text.data());
  EXPECT_EQ(bytes.slice(4).text(), "ever");
}

TEST(Bytes, CompareByContents) {
  const Bytes a = Bytes::copy("abcabc");
  EXPECT_EQ(a.slice(0, 3), a.slice(3));
  EXPECT_EQ(a, Bytes::own(std::string("abcabc")));
  EXPECT_FALSE(a == a.slice(1));
  EXPECT_FALSE(a == Bytes::copy("abcabd"));
  EXPECT_EQ(a.slice(6), Bytes());
}

TEST(Bytes, CopyMoveSwapAndAssignToThemselvesKeepTheContents) {
  Bytes a = Bytes::copy("a");
  Bytes b = a;
  EXPECT_EQ(b.data(), a.data());
  Bytes c = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): moved-from Bytes are empty
  Bytes& alias = c;
  c = alias;
  EXPECT_EQ(c.text(), "a");
  c = std::move(alias);
  EXPECT_EQ(c.text(), "a");
  Bytes d = Bytes::copy("d");
  d.swap(c);
  EXPECT_EQ(c.text(), "d");
  EXPECT_EQ(d.text(), "a");
  EXPECT_EQ(b.text(), "a");
}

TEST(Bytes, ConvertToASpanOfTheSameMemory) {
  const Bytes bytes = Bytes::copy("view");
  const ByteSpan span = bytes;
  EXPECT_EQ(span.data(), bytes.data());
  EXPECT_EQ(as_text(span), "view");
}

TEST(Bytes, ManyThreadsShareABlockAndTheLastOneFreesIt) {
  auto owner = std::make_shared<std::string>(4096, 'z');
  const std::weak_ptr<std::string> alive = owner;
  const ByteSpan contents = as_bytes(*owner);
  Bytes shared = Bytes::share(std::move(owner), contents);
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([mine = shared, t] {
        std::vector<Bytes> kept;
        for (std::size_t i = 0; i < 5000; ++i) {
          kept.push_back(mine.slice((i * 7 + t) % 4096, 8));
          if (kept.size() == 64) kept.clear();
        }
      });
    }
    shared = Bytes();
  }
  EXPECT_TRUE(alive.expired());
}

TEST(BytesBuilder, WritesOnceAndHandsOverWithoutCopying) {
  BytesBuilder builder(16);
  EXPECT_EQ(builder.capacity(), 16U);
  const std::byte* const address = builder.free_space().data();
  std::memcpy(builder.free_space().data(), "abc", 3);
  builder.commit(3);
  EXPECT_EQ(builder.free_space().size(), 13U);
  std::memcpy(builder.free_space().data(), "de", 2);
  builder.commit(2);
  EXPECT_EQ(builder.size(), 5U);
  const Bytes bytes = std::move(builder).take();
  EXPECT_EQ(bytes.text(), "abcde");
  EXPECT_EQ(bytes.data(), address);
}

TEST(BytesBuilder, MovesAndMayBeDroppedFullOrEmpty) {
  BytesBuilder first(8);
  std::memcpy(first.free_space().data(), "1", 1);
  first.commit(1);
  BytesBuilder second(std::move(first));
  EXPECT_EQ(second.size(), 1U);
  BytesBuilder third(4);
  third = std::move(second);
  EXPECT_EQ(third.capacity(), 8U);
  EXPECT_EQ(std::move(third).take().text(), "1");
  const BytesBuilder dropped(100);
  EXPECT_TRUE(BytesBuilder(0).free_space().empty());
  EXPECT_TRUE(BytesBuilder(0).take().empty());
}

TEST(BytesBuilder, ItsMemoryIsAlignedForAnyHeader) {
  BytesBuilder builder(1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(builder.free_space().data()) % 16, 0U);
}

}  // namespace velo::bytes_test
