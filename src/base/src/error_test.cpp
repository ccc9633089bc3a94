// SPDX-License-Identifier: Apache-2.0
// Tests of Error, error names and Result.

#include <velo/base/error.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo::error_test {

/// The codes of an imaginary room, as a real one declares them.
enum class Errc : std::uint16_t { first = 1, second = 2 };

static constexpr ErrorCode error_code(Errc value) noexcept {
  return {Room::user, static_cast<std::uint16_t>(value)};
}

static std::string_view name_of(std::uint16_t value) noexcept {
  return value == 1 ? std::string_view("first") : std::string_view();
}

static Result<int> half(int value) {
  if (value % 2 != 0) return make_error(velo::Errc::invalid_argument, "odd");
  return value / 2;
}

static Result<void> check(bool good) {
  if (!good) return make_error(velo::Errc::internal, "bad");
  return {};
}

TEST(Error, NamesItselfWithRoomCodeAndContext) {
  EXPECT_EQ(make_error(velo::Errc::not_found, "peer 7").to_string(), "base.not_found: peer 7");
  EXPECT_EQ(make_error(velo::Errc::overloaded).to_string(), "base.overloaded");
}

TEST(Error, EveryCodeOfBaseHasItsOwnName) {
  for (std::uint16_t value = 1; value <= 12; ++value) {
    const std::string name = error_code_name({Room::base, value});
    EXPECT_NE(name, "base." + std::to_string(value));
  }
  EXPECT_EQ(error_code_name({Room::base, 13}), "base.13") << "a new code needs a name and a test";
  EXPECT_EQ(error_code_name({Room::base, 0}), "base.0");
}

TEST(Error, CodesFromElsewhereAreNumbersUntilTheirRoomNamesThem) {
  EXPECT_EQ(error_code_name({Room::user, 1}), "user.1");
  register_error_names(Room::user, &name_of);
  register_error_names(Room::user, &name_of);
  EXPECT_EQ(error_code_name({Room::user, 1}), "user.first");
  EXPECT_EQ(error_code_name({Room::user, 2}), "user.2");
  register_error_names(Room::user, nullptr);
  EXPECT_EQ(error_code_name({static_cast<Room>(200), 9}), "unknown.9");
  register_error_names(static_cast<Room>(200), &name_of);
  EXPECT_EQ(error_code_name({static_cast<Room>(200), 1}), "unknown.1");
}

TEST(Error, NamesMayBeRegisteredAndReadAtOnce) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) register_error_names(Room::user, &name_of);
    });
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) EXPECT_FALSE(error_code_name({Room::user, 1}).empty());
    });
  }
  threads.clear();
  register_error_names(Room::user, nullptr);
}

TEST(Error, IsComparesRoomAndNumber) {
  const Error error(error_code(Errc::first), Retry::later, "why");
  EXPECT_TRUE(error.is(Errc::first));
  EXPECT_FALSE(error.is(Errc::second));
  EXPECT_FALSE(error.is(velo::Errc::invalid_argument)) << "the same number in another room";
  EXPECT_EQ(error, Error(error_code(Errc::first), Retry::never, "another context"));
  EXPECT_EQ(error.context(), "why");
}

TEST(Error, TheUsualRetryClassFollowsFromTheCode) {
  EXPECT_EQ(make_error(velo::Errc::invalid_argument).retry(), Retry::never);
  EXPECT_EQ(make_error(velo::Errc::cancelled).retry(), Retry::never);
  EXPECT_EQ(make_error(velo::Errc::overloaded).retry(), Retry::later);
  EXPECT_EQ(make_error(velo::Errc::deadline_exceeded).retry(), Retry::later);
  EXPECT_EQ(make_error(velo::Errc::shutting_down).retry(), Retry::elsewhere);
  EXPECT_EQ(make_error(velo::Errc::io).retry(), Retry::elsewhere);
}

TEST(Error, EveryRoomHasAName) {
  for (std::uint8_t room = 0; room < 16; ++room) {
    EXPECT_NE(room_name(static_cast<Room>(room)), "unknown") << int{room};
  }
  EXPECT_EQ(room_name(Room::user), "user");
  EXPECT_EQ(room_name(static_cast<Room>(16)), "unknown");
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = half(10);
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 5);
  const Result<int> bad = half(7);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().context(), "odd");
  EXPECT_EQ(bad.value_or(-1), -1);
  EXPECT_TRUE(check(true));
  EXPECT_TRUE(check(false).error().is(velo::Errc::internal));
}

TEST(Result, TakesMoveOnlyValuesResultsOfResultsAndNewContents) {
  Result<std::unique_ptr<int>> pointer = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = std::move(*pointer);
  EXPECT_EQ(*taken, 3);

  const Result<Result<int>> nested = half(3);
  ASSERT_TRUE(nested) << "the outer one holds the inner one, whatever that holds";
  EXPECT_FALSE(*nested);

  Result<int> result = 1;
  result = make_error(velo::Errc::io);
  EXPECT_FALSE(result);
  result = 2;
  EXPECT_EQ(*result, 2);
  const Result<long> wider = half(4);
  EXPECT_EQ(*wider, 2);
}

}  // namespace velo::error_test
