// SPDX-License-Identifier: Apache-2.0
// When an announcer speaks, how much, and what it answers.

#include "announcer.hpp"

#include "testing/multicast_kit.hpp"

#include <velo/discovery/backends/multicast/limits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

namespace velo::discovery::multicast {
namespace announcer_test {

using namespace kit;  // NOLINT(google-build-using-namespace)

static Statement read(const std::vector<std::byte>& datagram) {
  const auto received = decode(datagram);
  EXPECT_TRUE(received) << received.error().to_string();
  return std::get<Statement>(received->message);
}

/// Ticks whenever it wants to, until `end`; the times at which it spoke.
static std::vector<Duration> run(Speaker& speaker, Duration from, Duration end) {
  std::vector<Duration> times;
  for (;;) {
    const TimePoint wake = speaker.announcer.wake();
    if (wake == TimePoint::never()) return times;
    const Duration when = wake - at(Duration::zero()).at;
    if (when >= end || when < from) return times;
    Datagrams out;
    speaker.announcer.tick(at(when), out);
    if (!out.empty()) times.push_back(when);
  }
}

TEST(Announcer, SpeaksAtOnceThenEverMoreRarelyWithinAQuarterOfItsIntervals) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Speaker speaker(seed);
    EXPECT_EQ(speaker.put(peer_row(1), at(seconds(0))).size(), 1U);
    const auto times = run(speaker, Duration::zero(), seconds(100));
    const std::vector<Duration> intervals{seconds(1), seconds(2),  seconds(4),
                                          seconds(8), seconds(10), seconds(10)};
    ASSERT_GE(times.size(), intervals.size());
    Duration before{0};
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      EXPECT_GE(times[i] - before, intervals[i] * 3 / 4) << i;
      EXPECT_LE(times[i] - before, intervals[i] * 5 / 4) << i;
      before = times[i];
    }
  }
}

TEST(Announcer, SaysALifetimeThatOutlastsThreeMissedTimes) {
  Speaker speaker(3);
  std::vector<std::pair<Duration, Duration>> said;  // when, until
  Datagrams out = speaker.put(peer_row(1), at(seconds(0)));
  for (Duration now{0}; now < seconds(200);) {
    for (const auto& datagram : out) {
      said.emplace_back(now, now + milliseconds(read(datagram).lifetime_milliseconds));
    }
    out.clear();
    now = speaker.announcer.wake() - at(Duration::zero()).at;
    speaker.announcer.tick(at(now), out);
  }
  for (std::size_t i = 0; i + 3 < said.size(); ++i) {
    EXPECT_GE(said[i].second + milliseconds(1), said[i + 2].first) << i;
    EXPECT_LE(said[i].second - said[i].first, milliseconds(37'500)) << i;
  }
  for (std::size_t i = 6; i + 3 < said.size(); ++i) {
    EXPECT_GE(said[i].second, said[i].first + seconds(27)) << i;
  }
}

TEST(Announcer, ThousandThatStartTogetherDoNotSpeakTogether) {
  std::map<std::int64_t, int> per_hundredth;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    Speaker speaker(seed);
    speaker.put(peer_row(1), at(seconds(0)));
    for (const Duration when : run(speaker, Duration::zero(), seconds(60))) {
      if (when > seconds(20)) ++per_hundredth[when.count() / 10'000'000];
    }
  }
  for (const auto& [hundredth, count] : per_hundredth) EXPECT_LT(count, 15) << hundredth;
}

TEST(Announcer, PutsAsMuchAsFitsIntoADatagramAndNothingTwice) {
  Speaker speaker(1);
  Datagrams out;
  for (std::uint32_t i = 1; i <= 1000; ++i) ASSERT_TRUE(speaker.announcer.put(peer_row(i)));
  speaker.announcer.flush(at(seconds(0)), out);
  std::set<InstanceId> said;
  for (const auto& datagram : out) {
    EXPECT_LE(datagram.size(), limits::datagram_bytes_max);
    for (const Row& row : read(datagram).rows) EXPECT_TRUE(said.insert(row.id).second);
  }
  EXPECT_EQ(said.size(), 1000U);
  EXPECT_LE(out.size(), 40U);
  out.clear();
  speaker.announcer.flush(at(seconds(0)), out);
  EXPECT_TRUE(out.empty());
}

TEST(Announcer, RefusesWhatIsTooLongAndTooMuch) {
  Speaker speaker(1);
  const std::string longest(limits::large_row_bytes_max - encoded_bytes(peer_row(1, "")), 'x');
  const auto large = speaker.announcer.put(peer_row(1, longest + "x"));
  ASSERT_FALSE(large);
  EXPECT_TRUE(large.error().is(velo::Errc::invalid_argument));
  const std::string most(row_bytes_max() - encoded_bytes(peer_row(1, "")), 'x');
  const Datagrams out = speaker.put(peer_row(1, most), at(seconds(0)));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].size(), limits::datagram_bytes_max);
  for (std::uint32_t i = 2; i <= limits::own_rows_max; ++i) {
    ASSERT_TRUE(speaker.announcer.put(peer_row(i)));
  }
  const auto many = speaker.announcer.put(peer_row(1'000'000));
  ASSERT_FALSE(many);
  EXPECT_TRUE(many.error().is(velo::Errc::overloaded));
}

TEST(Announcer, SaysGoodbyeThreeTimes) {
  Speaker speaker(1);
  speaker.put(peer_row(1), at(seconds(0)));
  speaker.put(peer_row(2), at(seconds(0)));
  Datagrams out = speaker.remove(peer_row(1), at(seconds(1)));
  int goodbyes = 0;
  for (Duration now = seconds(1); now < seconds(60);) {
    for (const auto& datagram : out) {
      const Statement said = read(datagram);
      if (!said.goodbye) continue;
      ++goodbyes;
      EXPECT_EQ(said.rows, (std::vector<Row>{Row{{}, instance(1), {}}}));
    }
    out.clear();
    now = speaker.announcer.wake() - at(Duration::zero()).at;
    speaker.announcer.tick(at(now), out);
  }
  EXPECT_EQ(goodbyes, 3);
}

TEST(Announcer, AnswersAboutItsRowsAtOnceAndToEverybodySoonAndOnce) {
  Speaker speaker(1);
  speaker.put(peer_row(1), at(seconds(0)));
  Question about_one;
  about_one.about = Question::About::instance;
  about_one.instance = instance(1);
  about_one.number = 1234;
  Datagrams out;
  speaker.announcer.hear(about_one, at(seconds(20)), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(read(out[0]).answers, 1234U);
  about_one.instance = instance(2);
  speaker.announcer.hear(about_one, at(seconds(20)), out);
  EXPECT_EQ(out.size(), 1U) << "somebody else's";

  run(speaker, Duration::zero(), seconds(20));
  out.clear();
  const TimePoint before = speaker.announcer.wake();
  for (int i = 0; i < 100; ++i) speaker.announcer.hear(Question(), at(seconds(20)), out);
  EXPECT_TRUE(out.empty());
  const TimePoint answer = speaker.announcer.wake();
  EXPECT_LE(answer, std::min(before, at(milliseconds(20'200)).at));
  speaker.announcer.tick(at(answer - at(Duration::zero()).at), out);
  EXPECT_EQ(out.size(), 1U) << "one answer for a hundred who asked";
}

TEST(Announcer, AnswersOnlySoManyASecond) {
  Speaker speaker(1);
  speaker.put(peer_row(1), at(seconds(0)));
  Question question;
  question.about = Question::About::instance;
  question.instance = instance(1);
  Datagrams out;
  for (int i = 0; i < 10'000; ++i) speaker.announcer.hear(question, at(seconds(1)), out);
  EXPECT_EQ(out.size(), limits::answers_per_second_max);
}

TEST(Announcer, SaysNothingWithoutRowsAndLeavesWithOneWord) {
  Speaker speaker(1);
  Datagrams out;
  speaker.announcer.hear(Question(), at(seconds(1)), out);
  speaker.announcer.greet(at(seconds(1)));
  speaker.announcer.leave(at(seconds(1)), out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(speaker.announcer.wake(), TimePoint::never());
  speaker.put(peer_row(1), at(seconds(2)));
  speaker.announcer.leave(at(seconds(3)), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_TRUE(read(out[0]).goodbye);
  EXPECT_TRUE(read(out[0]).rows.empty());
  EXPECT_EQ(speaker.announcer.wake(), TimePoint::never());
}

TEST(Announcer, SaysALongRowInPartsThatAreTheSameEachTime) {
  Speaker speaker(1);
  const Row row = peer_row(1, std::string(5'000, 'y'));
  const Datagrams first = speaker.put(row, at(seconds(0)));
  ASSERT_GT(first.size(), 4U);
  Datagrams again;
  while (again.empty())
    speaker.announcer.tick(at(speaker.announcer.wake() - at(Duration()).at), again);
  ASSERT_EQ(again.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_LE(first[i].size(), limits::datagram_bytes_max);
    const Statement said = read(first[i]);
    ASSERT_TRUE(said.part);
    EXPECT_EQ(said.part, read(again[i]).part);
    EXPECT_EQ(said.part->index, i);
    EXPECT_TRUE(said.rows.empty());
  }
}

TEST(Announcer, LongRowsAreFewAndTheirAnswersCountAsMany) {
  Speaker speaker(1);
  const std::string text(limits::large_row_bytes_max - encoded_bytes(peer_row(1, "")), 'x');
  for (std::uint32_t i = 1; i <= limits::own_large_rows_max; ++i) {
    ASSERT_TRUE(speaker.announcer.put(peer_row(i, text)));
  }
  EXPECT_TRUE(speaker.announcer.put(peer_row(1000, text)).error().is(velo::Errc::overloaded));
  EXPECT_TRUE(speaker.announcer.put(peer_row(1000)));
  // One that became short makes room.
  EXPECT_TRUE(speaker.announcer.put(peer_row(1)));
  EXPECT_TRUE(speaker.announcer.put(peer_row(1000, text)));
  Question question;
  question.asker = 5;
  question.about = Question::About::instance;
  question.instance = instance(2);
  Datagrams out;
  for (int i = 0; i < 1000; ++i) speaker.announcer.hear(question, at(seconds(1)), out);
  EXPECT_LE(out.size(), limits::answers_per_second_max + 20);
  EXPECT_GT(out.size(), limits::answers_per_second_max / 2);
}

}  // namespace announcer_test
}  // namespace velo::discovery::multicast
