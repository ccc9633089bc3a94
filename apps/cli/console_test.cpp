// SPDX-License-Identifier: Apache-2.0
// What the command line reads and writes as text.

#include "console.hpp"

#include <gtest/gtest.h>

namespace velo::cli::console_test {

TEST(Console, DurationsHaveUnitsAndBareNumbersAreSeconds) {
  EXPECT_EQ(parse_duration("250ms").value(), std::chrono::milliseconds(250));
  EXPECT_EQ(parse_duration("10us").value(), std::chrono::microseconds(10));
  EXPECT_EQ(parse_duration("7ns").value(), std::chrono::nanoseconds(7));
  EXPECT_EQ(parse_duration("5").value(), std::chrono::seconds(5));
  EXPECT_EQ(parse_duration("1.5s").value(), std::chrono::milliseconds(1500));
  EXPECT_EQ(parse_duration("2m").value(), std::chrono::minutes(2));
  EXPECT_EQ(parse_duration("1h").value(), std::chrono::hours(1));
  EXPECT_EQ(parse_duration("90d").value(), std::chrono::hours(90 * 24));
}

TEST(Console, WhatIsNoDurationIsRefused) {
  for (const char* text : {"", "s", "5 s", "-1s", "1e99h", "nan", "inf", "5x", "0x5s", "5s5s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Console, WhatOthersSayIsShownWithoutWhatATerminalWouldObey) {
  EXPECT_EQ(plain("\033[2Jgone\r\nand\x07\x7f"), "?[2Jgone??and??");
  EXPECT_EQ(plain("\xc2\x9b"
                  "2J"),
            "?2J");
  EXPECT_EQ(plain(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(plain("\xc2!"), "\xc2!");
  EXPECT_EQ(plain("gr\xc3\xbc\xc3\x9f \xc2\xa7 \xe2\x82\xac \xc2"),
            "gr\xc3\xbc\xc3\x9f \xc2\xa7 \xe2\x82\xac \xc2");
}

TEST(Console, FiguresAreShownToThreeDigits) {
  EXPECT_EQ(show_duration(std::chrono::nanoseconds(950)), "950 ns");
  EXPECT_EQ(show_duration(std::chrono::nanoseconds(1234)), "1.23 us");
  EXPECT_EQ(show_duration(std::chrono::microseconds(45600)), "45.6 ms");
  EXPECT_EQ(show_duration(std::chrono::seconds(2)), "2.00 s");
  EXPECT_EQ(show_bytes(999), "999 B");
  EXPECT_EQ(show_bytes(1500), "1.5 kB");
  EXPECT_EQ(show_bytes(2'500'000'000), "2.50 GB");
  EXPECT_EQ(show_count(7), "7");
  EXPECT_EQ(show_count(999), "999");
  EXPECT_EQ(show_count(1000), "1 000");
  EXPECT_EQ(show_count(1'234'567), "1 234 567");
}

TEST(Console, ColumnsLineUpAlsoForLettersOfSeveralBytes) {
  EXPECT_EQ(table({"A", "B"}, {{"größe", "1"}, {"x", "22"}}, {false, true}),
            "A       B\n"
            "größe   1\n"
            "x      22");
}

TEST(Console, RowsDoNotEndInSpaces) {
  EXPECT_EQ(table({"NAME", "NOTE"}, {{"a", ""}}), "NAME  NOTE\na");
}

}  // namespace velo::cli::console_test
