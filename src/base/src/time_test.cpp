// SPDX-License-Identifier: Apache-2.0
// Tests of instants, and of the checks that end a process.

#include <velo/base/check.hpp>
#include <velo/base/limits.hpp>
#include <velo/base/time.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace velo::time_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(TimePoint, AddsAndSubtractsDurations) {
  const TimePoint start(5s);
  EXPECT_EQ((start + 2s) - start, 2s);
  EXPECT_EQ(start + -2s, TimePoint(3s));
  EXPECT_EQ(start.nanoseconds(), 5'000'000'000);
  EXPECT_LT(start, start + 1ns);
  EXPECT_LT(start, TimePoint::never());
}

TEST(TimePoint, AdditionStopsAtNeverInsteadOfWrapping) {
  EXPECT_EQ(TimePoint(5s) + Duration::max(), TimePoint::never());
  EXPECT_EQ(TimePoint::never() + 1ns, TimePoint::never());
  EXPECT_EQ(TimePoint::never() + Duration::max(), TimePoint::never());
  EXPECT_EQ(TimePoint::never() + Duration::zero(), TimePoint::never());
  EXPECT_EQ(TimePoint(Duration::zero()) + Duration::max(), TimePoint::never());
}

TEST(Limits, TheDefaultDeadlineIsWithinTheLongestOne) {
  EXPECT_LT(limits::call_deadline_default, limits::call_deadline_max);
  EXPECT_EQ(limits::frame_bytes_max, 16U * 1024 * 1024);
}

TEST(CheckDeathTest, AFailedCheckSaysWhatAndEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const int one = 1;
  VELO_CHECK(one == 1);
  EXPECT_DEATH(VELO_CHECK(one == 2), "velo: check failed: one == 2 \\(.*time_test.cpp:[0-9]+\\)");
}

TEST(CheckDeathTest, ADebugCheckFailsOnlyWithoutNdebug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  int evaluated = 0;
#ifdef NDEBUG
  VELO_DCHECK(++evaluated == 2);
  EXPECT_EQ(evaluated, 0) << "not even evaluated";
#else
  VELO_DCHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
  EXPECT_DEATH(VELO_DCHECK(evaluated == 2), "check failed: evaluated == 2");
#endif
}

}  // namespace velo::time_test
