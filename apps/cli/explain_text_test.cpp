// SPDX-License-Identifier: Apache-2.0
// What another machine says of its paths, as a terminal shows it.

#include "explain_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace velo::cli::explain_text_test {

static PathReport report_of(const std::string& said) {
  PathReport report;
  report.from = "a" + said;
  report.to = "b" + said;
  report.why = "chosen: " + said;
  PathCandidate candidate;
  candidate.transport = "tcp" + said;
  candidate.usable = true;
  candidate.reason = "usable: as fast" + said;
  report.candidates.push_back(candidate);
  return report;
}

TEST(ExplainText, ShowsTheTransportItsStateAndTheReason) {
  const std::string text = explain_text(report_of(""));
  EXPECT_NE(text.find("a -> b: chosen"), std::string::npos) << text;
  EXPECT_NE(text.find("tcp        usable        as fast\n"), std::string::npos) << text;
  EXPECT_NE(text.find("0 failovers"), std::string::npos) << text;
}

TEST(ExplainText, ShowsNothingOfWhatOthersSayThatATerminalWouldObey) {
  const std::string text = explain_text(report_of("\033[2J\r\x07"));
  EXPECT_NE(text.find("tcp?[2J??"), std::string::npos) << text;
  for (const char each : text) EXPECT_TRUE(each == '\n' || (each >= 0x20 && each != 0x7f)) << text;
  EXPECT_EQ(explain_text(report_of("\nforged")).find("\nforged"), std::string::npos);
}

}  // namespace velo::cli::explain_text_test
