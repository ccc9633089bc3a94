// SPDX-License-Identifier: Apache-2.0
// Tests of log lines: levels, both formats, escaping, the length limit, sinks and the clock.

#include <velo/base/log.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace velo::log_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

/// Every test starts from the initial settings and leaves them behind.
class Log : public testing::Test {
 public:
  Log() { reset(); }
  ~Log() override { reset(); }

 protected:
  static void reset() {
    ::unsetenv("VELO_LOG");
    ::unsetenv("VELO_LOG_FORMAT");
    EXPECT_TRUE(log::configure(""));
    log::set_format(log::Format::text);
    log::set_clock({});
    log::set_sink({});
  }

  /// The one line that a call with these fields writes.
  static std::string line_of(std::string_view message, std::initializer_list<log::Field> fields,
                             log::Format format = log::Format::text) {
    const log::Capture capture;
    log::set_format(format);
    log::write(log::Level::info, Room::messenger, message, fields);
    EXPECT_EQ(capture.lines().size(), 1U);
    return capture.lines().at(0);
  }
  static std::string json_of(std::string_view message, std::initializer_list<log::Field> fields) {
    return line_of(message, fields, log::Format::json);
  }
};

TEST_F(Log, WarnsAndErrsUntilConfiguredOtherwise) {
  EXPECT_EQ(log::level(Room::messenger), log::Level::warn);
  EXPECT_TRUE(log::enabled(Room::messenger, log::Level::error));
  EXPECT_TRUE(log::enabled(Room::messenger, log::Level::warn));
  EXPECT_FALSE(log::enabled(Room::messenger, log::Level::info));
}

TEST_F(Log, ABareLevelIsEveryRoomsAndANamedOneOfThatRoomWhateverTheOrder) {
  ASSERT_TRUE(log::configure(" messenger = debug , info,transport=off,"));
  EXPECT_EQ(log::level(Room::base), log::Level::info);
  EXPECT_EQ(log::level(Room::user), log::Level::info);
  EXPECT_EQ(log::level(Room::messenger), log::Level::debug);
  EXPECT_EQ(log::level(Room::transport), log::Level::off);
  EXPECT_FALSE(log::enabled(Room::transport, log::Level::error));
}

TEST_F(Log, AWrongSettingIsNamedAndChangesNothing) {
  ASSERT_TRUE(log::configure("messenger=debug"));
  for (const char* spec : {"loud", "info,messenger=loud", "kitchen=info", "unknown=info", "=info",
                           "messenger=", "trace,messenger==info"}) {
    const Result<void> result = log::configure(spec);
    ASSERT_FALSE(result) << spec;
    EXPECT_TRUE(result.error().is(Errc::invalid_argument)) << spec;
    EXPECT_EQ(log::level(Room::messenger), log::Level::debug) << spec;
    EXPECT_EQ(log::level(Room::base), log::Level::warn) << spec;
  }
  EXPECT_THAT(log::configure("kitchen=info").error().context(), HasSubstr("kitchen=info"));
}

TEST_F(Log, TheEnvironmentSetsLevelsAndFormat) {
  ::setenv("VELO_LOG", "error,codec=trace", 1);
  ::setenv("VELO_LOG_FORMAT", "json", 1);
  ASSERT_TRUE(log::configure_from_environment());
  EXPECT_EQ(log::level(Room::codec), log::Level::trace);
  EXPECT_EQ(log::level(Room::base), log::Level::error);
  const log::Capture capture;
  VELO_LOG_ERROR(base, "x");
  EXPECT_THAT(capture.lines(), ElementsAre(R"({"level":"error","room":"base","message":"x"})"));
}

TEST_F(Log, AnEmptyEnvironmentChangesNothingAndAWrongOneIsAnError) {
  log::set_level(Room::base, log::Level::debug);
  ASSERT_TRUE(log::configure_from_environment());
  EXPECT_EQ(log::level(Room::base), log::Level::debug);
  ::setenv("VELO_LOG_FORMAT", "xml", 1);
  const Result<void> result = log::configure_from_environment();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().context(), HasSubstr("xml"));
}

TEST_F(Log, ADisabledLineEvaluatesNoArgument) {
  const log::Capture capture;
  int evaluated = 0;
  const auto count = [&evaluated] { return ++evaluated; };
  VELO_LOG_INFO(messenger, "quiet", {"n", count()});
  VELO_LOG_DEBUG(messenger, "quiet", {"n", count()});
  VELO_LOG_TRACE(messenger, "quiet", {"n", count()});
  EXPECT_EQ(evaluated, 0);
  VELO_LOG_WARN(messenger, "loud", {"n", count()});
  EXPECT_THAT(capture.lines(), ElementsAre("warn  messenger: loud n=1"));
}

TEST_F(Log, TheMacroIsOneStatementAndTakesAnyNumberOfFields) {
  const log::Capture capture;
  log::set_level(Room::messenger, log::Level::info);
  const std::string peer = "a1";
  if (peer.empty())
    VELO_LOG_INFO(messenger, "none");
  else
    VELO_LOG_INFO(messenger, "peer connected", {"peer", peer + "b2"}, {"transport", "tcp"});
  VELO_LOG_INFO(messenger, "no fields");
  EXPECT_THAT(capture.lines(),
              ElementsAre("info  messenger: peer connected peer=a1b2 transport=tcp",
                          "info  messenger: no fields"));
}

TEST_F(Log, EachKindOfValueHasItsTextForm) {
  const Error error = make_error(Errc::not_found, "no such peer");
  EXPECT_EQ(line_of("m", {{"s", std::string("text")},
                          {"b", true},
                          {"i", -5},
                          {"u", std::numeric_limits<std::uint64_t>::max()},
                          {"d", 0.25},
                          {"small", 250ns},
                          {"us", 12500ns},
                          {"ms", 3ms},
                          {"long", 90s},
                          {"back", -2us},
                          {"e", error}}),
            "info  messenger: m s=text b=true i=-5 u=18446744073709551615 d=0.25 small=250ns "
            "us=12.5us ms=3ms long=90s back=-2us e=\"base.not_found: no such peer\"");
}

TEST_F(Log, EachKindOfValueHasItsJsonForm) {
  const Error error = make_error(Errc::not_found, "gone");
  EXPECT_EQ(json_of("m", {{"s", "text"},
                          {"b", false},
                          {"i", -5},
                          {"u", 7U},
                          {"d", 0.25},
                          {"nan", std::numeric_limits<double>::quiet_NaN()},
                          {"inf", std::numeric_limits<double>::infinity()},
                          {"timeout", 3ms},
                          {"e", error}}),
            R"({"level":"info","room":"messenger","message":"m","fields":{"s":"text","b":false,)"
            R"("i":-5,"u":7,"d":0.25,"nan":"nan","inf":"inf","timeout_ns":3000000,)"
            R"("e":"base.not_found: gone"}})");
}

TEST_F(Log, ThereIsATimeOnceThereIsAClock) {
  EXPECT_EQ(line_of("m", {}), "info  messenger: m");
  log::set_clock([] { return WallTime{1'795'219'200'000'000'000 + 123'456'789}; });
  EXPECT_EQ(line_of("m", {}), "2026-11-21T00:00:00.123456Z info  messenger: m");
  EXPECT_EQ(json_of("m", {}),
            R"({"time":"2026-11-21T00:00:00.123456Z","level":"info","room":"messenger",)"
            R"("message":"m"})");
  log::set_clock([] { return WallTime{-1}; });
  EXPECT_THAT(line_of("m", {}), testing::StartsWith("1969-12-31T23:59:59.999999Z "));
  log::set_clock({});
  EXPECT_EQ(line_of("m", {}), "info  messenger: m");
}

TEST_F(Log, NothingAPeerSendsCanStartANewLineOrDriveATerminal) {
  const std::string hostile = std::string("a\nb\rc\td\x1b[31m\x7f\0e", 15) + "\xc2\x9b" + "31m";
  EXPECT_EQ(line_of(hostile, {{"k", hostile}}),
            "info  messenger: a\\nb\\rc\\td\\x1b[31m\\x7f\\x00e\\u009b31m "
            "k=\"a\\nb\\rc\\td\\x1b[31m\\x7f\\x00e\\u009b31m\"");
  EXPECT_EQ(json_of("m", {{"k", hostile}}),
            R"({"level":"info","room":"messenger","message":"m","fields":)"
            R"({"k":"a\nb\rc\td\u001b[31m\u007f\u0000e\u009b31m"}})");
}

TEST_F(Log, AValueThatCouldBeMistakenStandsInQuotes) {
  EXPECT_EQ(line_of("m", {{"empty", ""},
                          {"space", "a b"},
                          {"equals", "a=b"},
                          {"quote", "a\"b"},
                          {"back", "a\\b"},
                          {"odd key", "v"},
                          {"utf", "h\xc3\xa9"}}),
            "info  messenger: m empty=\"\" space=\"a b\" equals=\"a=b\" quote=\"a\\\"b\" "
            "back=\"a\\\\b\" \"odd key\"=v utf=\"h\xc3\xa9\"");
}

TEST_F(Log, InvalidUtf8IsEscapedInTextAndReplacedInJson) {
  // A stray continuation, an overlong slash, a surrogate, a cut sequence.
  const std::array<std::string, 4> bad{"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82"};
  const std::array<std::string, 4> text{"\\x80", "\\xc0\\xaf", "\\xed\\xa0\\x80", "\\xe2\\x82"};
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(line_of("m", {{"k", bad[i]}}), "info  messenger: m k=\"" + text[i] + "\"");
    std::string replaced;
    for (std::size_t j = 0; j < bad[i].size(); ++j) replaced += "\\ufffd";
    EXPECT_THAT(json_of("m", {{"k", bad[i]}}), EndsWith("{\"k\":\"" + replaced + "\"}}"));
  }
  const std::string good = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf";
  EXPECT_THAT(json_of("m", {{"k", good}}), EndsWith("{\"k\":\"" + good + "\"}}"));
}

TEST_F(Log, ALongLineIsCutMarkedAndStillWellFormed) {
  // Lengths around the limit, so that the cut falls on every part of the line.
  for (std::size_t size = log::line_bytes_max - 240; size < log::line_bytes_max + 40; ++size) {
    const std::string value(size, 'x');
    const std::string text = line_of("m", {{"k", value}, {"n", 123456789}, {"t", "after that"}});
    ASSERT_LT(text.size(), log::line_bytes_max);
    const bool whole = text.ends_with(" n=123456789 t=\"after that\"");
    ASSERT_NE(whole, text.ends_with(" [truncated]")) << text.substr(text.size() - 60);

    const std::string json = json_of("m", {{"k", value}, {"n", 123456789}, {"t", "after that"}});
    ASSERT_LT(json.size(), log::line_bytes_max);
    const std::string tail = json.substr(json.size() - 60);
    if (json.ends_with(R"(,"n":123456789,"t":"after that"}})")) continue;
    ASSERT_THAT(tail, EndsWith(R"(},"truncated":true})"));
    const std::string before =
        json.substr(0, json.size() - std::string(R"(},"truncated":true})").size());
    const bool ends_in_a_value = before.ends_with('"') || before.ends_with(":123456789");
    ASSERT_TRUE(ends_in_a_value) << tail;
  }
}

TEST_F(Log, ALongMessageLeavesNoFields) {
  const std::string message(3 * log::line_bytes_max, '\n');
  EXPECT_THAT(json_of(message, {{"k", 1}}), EndsWith(R"(\n","truncated":true})"));
  EXPECT_THAT(line_of(message, {{"k", 1}}), EndsWith(R"(\n [truncated])"));
}

TEST_F(Log, ALineIsOneWriteToStderr) {
  std::array<int, 2> ends{};
  // A datagram socket would keep the boundaries of writes; a pipe in packet mode does too.
  ASSERT_EQ(::pipe2(ends.data(), O_DIRECT), 0);
  const int saved = ::dup(STDERR_FILENO);
  ASSERT_GE(::dup2(ends[1], STDERR_FILENO), 0);
  VELO_LOG_WARN(base, "first", {"k", "a b"});
  VELO_LOG_WARN(base, "second");
  ASSERT_GE(::dup2(saved, STDERR_FILENO), 0);
  ::close(saved);
  ::close(ends[1]);
  std::array<char, log::line_bytes_max> packet;
  std::vector<std::string> packets;
  for (;;) {
    const ssize_t size = ::read(ends[0], packet.data(), packet.size());
    if (size <= 0) break;
    packets.emplace_back(packet.data(), static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  EXPECT_THAT(packets, ElementsAre("warn  base: first k=\"a b\"\n", "warn  base: second\n"));
}

TEST_F(Log, ASinkThatLogsDoesNotHearItself) {
  int calls = 0;
  log::set_sink([&calls](std::string_view) {
    ++calls;
    VELO_LOG_ERROR(base, "from the sink");
  });
  VELO_LOG_ERROR(base, "x");
  VELO_LOG_ERROR(base, "y");
  EXPECT_EQ(calls, 2);
}

TEST_F(Log, ASinkOrClockThatThrowsLosesOnlyItsLine) {
  log::set_sink([](std::string_view) { throw std::runtime_error("full"); });
  VELO_LOG_ERROR(base, "lost");
  log::set_sink({});
  const log::Capture capture;
  log::set_clock([]() -> WallTime { throw std::runtime_error("stopped"); });
  VELO_LOG_ERROR(base, "lost too");
  log::set_clock({});
  VELO_LOG_ERROR(base, "kept");
  EXPECT_THAT(capture.lines(), ElementsAre("error base: kept"));
}

TEST_F(Log, ACaptureGivesTheSinkBack) {
  std::vector<std::string> outer;
  log::set_sink([&outer](std::string_view line) { outer.emplace_back(line); });
  {
    const log::Capture capture;
    VELO_LOG_ERROR(base, "inner");
    EXPECT_THAT(outer, IsEmpty());
  }
  VELO_LOG_ERROR(base, "outer");
  EXPECT_THAT(outer, ElementsAre("error base: outer"));
}

TEST_F(Log, ManyThreadsLogWhileSettingsChange) {
  constexpr int threads = 4;
  constexpr int lines = 500;
  const log::Capture capture;
  {
    std::vector<std::jthread> writers;
    writers.reserve(threads);
    for (int t = 0; t < threads; ++t) {
      writers.emplace_back([t] {
        for (int i = 0; i < lines; ++i) VELO_LOG_ERROR(base, "line", {"t", t}, {"i", i});
      });
    }
    for (int i = 0; i < 200; ++i) {
      log::set_format(i % 2 == 0 ? log::Format::json : log::Format::text);
      log::set_clock([i] { return WallTime{i}; });
      log::set_level(Room::messenger, i % 2 == 0 ? log::Level::trace : log::Level::off);
    }
  }
  EXPECT_EQ(capture.lines().size(), std::size_t{threads} * lines);
}

}  // namespace velo::log_test
