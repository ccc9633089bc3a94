// SPDX-License-Identifier: Apache-2.0
// The trace context as text, which traces are recorded, and what work goes on for which trace.

#include <velo/base/trace.hpp>

#include <velo/base/op.hpp>
#include <velo/base/task.hpp>

#include "testing/test_executors.hpp"

#include <gtest/gtest.h>

#include <string>

namespace velo::trace::trace_test {

constexpr std::string_view example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceContext, IsReadAndWrittenAsTheRecommendationHasIt) {
  const auto context = parse_context(example);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(context->span.to_string(), "b7ad6b7169203331");
  EXPECT_TRUE(context->sampled);
  EXPECT_FALSE(context->random);
  EXPECT_EQ(to_traceparent(*context), example);
  const auto other = parse_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->sampled);
  EXPECT_TRUE(other->random);
}

TEST(TraceContext, UnknownFlagsAreNotPassedOn) {
  const auto context = parse_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fd");
  ASSERT_TRUE(context);
  EXPECT_EQ(to_traceparent(*context), example);
}

TEST(TraceContext, ALaterVersionIsReadAsFarAsItIsKnown) {
  EXPECT_TRUE(parse_context("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  EXPECT_TRUE(parse_context("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"));
  EXPECT_FALSE(parse_context("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01later"));
  EXPECT_FALSE(parse_context("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}

TEST(TraceContext, WhatIsMalformedCountsAsAbsent) {
  const std::string_view malformed[] = {
      "",
      "00",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
      "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0 ",
  };
  for (const std::string_view text : malformed) EXPECT_FALSE(parse_context(text)) << text;
}

TEST(TraceContext, AStateIsPassedOnOrDropped) {
  const auto state_of = [](std::string_view state) { return parse_context(example, state)->state; };
  for (const std::string_view good :
       {"rojo=00f067aa0ba902b7", "a=1,b=2", "a=1 ,\tb=2", "a=1,,b=2", "1a-_*/=~ !", "t1@sys=x"}) {
    EXPECT_EQ(state_of(good), good);
  }
  for (const std::string_view bad :
       {"", ",", "A=1", "a", "a=", "a=b=c", "=1", "a=\x7f", "a@1s=1", "a@=1", "@b=1", "-a=1"}) {
    EXPECT_EQ(state_of(bad), "") << bad;
  }
  std::string members = "a=1";
  for (int i = 1; i < 32; ++i) members += ",a=1";
  EXPECT_EQ(state_of(members), members);
  EXPECT_EQ(state_of(members + ",a=1"), "");
  EXPECT_EQ(state_of("a=" + std::string(257, 'x')), "");
  EXPECT_EQ(state_of(std::string(257, 'a') + "=x"), "");
  const std::string long_one = "a=" + std::string(254, 'x');
  EXPECT_EQ(state_of(long_one + "," + long_one), "") << "over 512 bytes";
}

TEST(TraceSampling, TakesItsShareOfTraces) {
  const auto taken = [](double share) {
    const Sampling sampling(share);
    int count = 0;
    for (int i = 0; i < 256; ++i) {
      TraceId id;
      id.bytes[9] = static_cast<std::uint8_t>(i);
      if (sampling.samples(id)) ++count;
    }
    return count;
  };
  EXPECT_EQ(taken(1), 256);
  EXPECT_EQ(taken(2), 256);
  EXPECT_EQ(taken(0.25), 64);
  EXPECT_EQ(taken(0), 0);
  EXPECT_EQ(taken(-1), 0);
  TraceId highest;
  highest.bytes.fill(0xff);
  EXPECT_TRUE(Sampling().samples(highest));
  EXPECT_TRUE(Sampling(1).samples(highest));
}

static std::shared_ptr<const TraceContext> of(std::uint8_t number) {
  auto context = std::make_shared<TraceContext>();
  context->trace.bytes[0] = number;
  return context;
}
/// The number of the trace that is current; 0: none.
static int here() { return current() == nullptr ? 0 : current()->trace.bytes[0]; }

TEST(TraceStretches, Nest) {
  EXPECT_EQ(here(), 0);
  {
    const Stretch outer(of(1));
    EXPECT_EQ(here(), 1);
    {
      const Stretch inner(of(2));
      EXPECT_EQ(here(), 2);
      const Stretch untraced;
      EXPECT_EQ(here(), 0);
    }
    EXPECT_EQ(here(), 1);
    work_for(of(3));
    EXPECT_EQ(here(), 3);
  }
  EXPECT_EQ(here(), 0);
  work_for(of(4));
  EXPECT_EQ(here(), 0) << "outside of stretches nothing is current";
  EXPECT_EQ(keep_current(), nullptr);
}

using test_executors::ManualExecutor;

static Task<void> note_around(Promise<void>* awaited, std::vector<int>* seen) {
  seen->push_back(here());
  auto op = awaited->op();
  const Result<void> ended = co_await op;
  EXPECT_TRUE(ended);
  seen->push_back(here());
}

TEST(TraceStretches, ACoroutineGoesOnForWhatItBegan) {
  ManualExecutor executor;
  Promise<void> first(executor);
  Promise<void> second(executor);
  std::vector<int> traced;
  std::vector<int> untraced;
  {
    const Stretch handler(of(7));
    start(note_around(&first, &traced), [](Result<void>) {});
  }
  start(note_around(&second, &untraced), [](Result<void>) {});
  EXPECT_EQ(here(), 0);
  first.set({});
  second.set({});
  executor.run_all();
  EXPECT_EQ(traced, (std::vector{7, 7}));
  EXPECT_EQ(untraced, (std::vector{0, 0}));
  EXPECT_EQ(here(), 0) << "nothing stays behind";
}

TEST(TraceStretches, WhatRunsWithinAnotherStretchIsNotTakenForItsWork) {
  ManualExecutor executor;
  Promise<void> promise(executor);
  std::vector<int> seen;
  start(note_around(&promise, &seen), [](Result<void>) {});
  promise.set({});
  const Stretch other(of(9));
  executor.run_all();
  EXPECT_EQ(seen, (std::vector{0, 0}));
  EXPECT_EQ(here(), 9);
}

TEST(TraceStretches, ACallbackRunsForWhatItWasAttachedIn) {
  ManualExecutor executor;
  Promise<void> promise(executor);
  Promise<void> other(executor);
  int seen = -1;
  int unrelated = -1;
  {
    const Stretch handler(of(5));
    promise.op().then(executor, [&](Result<void>) { seen = here(); });
  }
  other.op().then(executor, [&](Result<void>) { unrelated = here(); });
  promise.set({});
  other.set({});
  {
    const Stretch elsewhere(of(6));
    executor.run_all();
  }
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(unrelated, 0);
}

}  // namespace velo::trace::trace_test
