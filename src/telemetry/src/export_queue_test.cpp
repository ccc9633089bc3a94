// SPDX-License-Identifier: Apache-2.0
// When batches of spans are due, and what becomes of spans.

#include "export_queue.hpp"

#include <gtest/gtest.h>

#include <string>

namespace velo::telemetry::export_queue_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static trace::Span span(int number = 0) {
  trace::Span made;
  made.name = "test";
  made.duration = Duration(number);
  return made;
}
static TimePoint at(Duration since) { return TimePoint(1h + since); }

TEST(ExportQueue, SpansWaitForCompanyAndNotLonger) {
  ExportQueue queue(1s);
  EXPECT_EQ(queue.due(), TimePoint::never());
  ASSERT_TRUE(queue.add(span(), at(0s)));
  ASSERT_TRUE(queue.add(span(), at(500ms)));
  EXPECT_EQ(queue.due(), at(1s));
  EXPECT_EQ(queue.begin(at(999ms)), nullptr);
  const auto batch = queue.begin(at(1s));
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(batch->size(), 2u);
  EXPECT_EQ(queue.due(), TimePoint::never()) << "one is on its way";
  ASSERT_TRUE(queue.add(span(), at(2s)));
  EXPECT_EQ(queue.begin(at(1h)), nullptr);
  queue.exported();
  EXPECT_EQ(queue.due(), at(3s));
  EXPECT_EQ(queue.counts().exported, 2u);
  EXPECT_EQ(queue.counts().queued, 1u);
}

TEST(ExportQueue, AFullBatchAndAFlushAreDueAtOnce) {
  ExportQueue queue(1s);
  for (std::size_t i = 0; i < limits::spans_per_batch_max + 3; ++i) queue.add(span(), at(0s));
  const auto batch = queue.begin(at(0s));
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(batch->size(), limits::spans_per_batch_max);
  queue.exported();
  EXPECT_EQ(queue.begin(at(0s)), nullptr);
  queue.hurry(true);
  EXPECT_EQ(queue.begin(at(0s))->size(), 3u);
}

TEST(ExportQueue, WhatCannotBeTakenNowIsSentAgainAfterGrowingPauses) {
  ExportQueue queue(1s);
  queue.add(span(7), at(0s));
  ASSERT_NE(queue.begin(at(1s)), nullptr);
  Duration longest = limits::export_pause_first;
  TimePoint now = at(1s);
  for (int i = 0; i < 20; ++i) {
    queue.again(now, std::nullopt, static_cast<std::uint64_t>(i) * 7919);
    const Duration pause = queue.due() - now;
    EXPECT_GE(pause, longest / 2);
    EXPECT_LE(pause, longest);
    longest = std::min(longest * 2, limits::export_pause_longest);
    now = queue.due();
    const auto batch = queue.begin(now);
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->front().duration, Duration(7)) << "the same span";
  }
  queue.exported();
  EXPECT_EQ(queue.counts().failed_exports, 20u);
  EXPECT_EQ(queue.counts().exported, 1u);
  queue.add(span(), now);
  ASSERT_NE(queue.begin(now + 1s), nullptr);
  queue.again(now + 1s, std::nullopt, 0);
  EXPECT_EQ(queue.due(), now + 1s + limits::export_pause_first / 2) << "it begins anew";
}

TEST(ExportQueue, TheCollectorSaysWhenToComeBackWithinReason) {
  ExportQueue queue(1s);
  queue.add(span(), at(0s));
  ASSERT_NE(queue.begin(at(1s)), nullptr);
  queue.again(at(1s), Duration(5s), 0);
  EXPECT_EQ(queue.due(), at(6s));
  ASSERT_NE(queue.begin(at(6s)), nullptr);
  queue.again(at(6s), Duration(24h), 0);
  EXPECT_EQ(queue.due(), at(6s) + limits::export_pause_longest);
}

TEST(ExportQueue, IsBoundedAndEverySpanIsAccountedFor) {
  ExportQueue queue(1s);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < limits::spans_queued_max + 10; ++i) {
    if (queue.add(span(), at(0s))) ++kept;
  }
  EXPECT_EQ(kept, limits::spans_queued_max);
  ASSERT_NE(queue.begin(at(0s)), nullptr);
  EXPECT_FALSE(queue.add(span(), at(0s))) << "those on their way count";
  queue.refused();
  EXPECT_TRUE(queue.add(span(), at(0s)));
  ASSERT_NE(queue.begin(at(0s)), nullptr);
  queue.exported();
  queue.drop_all();
  queue.add_to_closed();
  const ExportCounts counts = queue.counts();
  EXPECT_EQ(counts.dropped_full, 11u);
  EXPECT_EQ(counts.dropped_refused, limits::spans_per_batch_max);
  EXPECT_EQ(counts.queued, 0u);
  EXPECT_EQ(counts.taken,
            counts.exported + counts.dropped_full + counts.dropped_refused + counts.dropped_closed);
  EXPECT_EQ(queue.over(), queue.kept());
}

}  // namespace velo::telemetry::export_queue_test
