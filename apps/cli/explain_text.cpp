// SPDX-License-Identifier: Apache-2.0
// A path report as lines and a table.

#include "explain_text.hpp"

#include "console.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace velo::cli {

std::string explain_text(const PathReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const PathCandidate& each : report.candidates) {
    const std::string state = each.chosen ? "chosen" : each.usable ? "usable" : "rejected";
    const std::size_t colon = each.reason.find(": ");
    const std::string_view reason = each.reason;
    rows.push_back({plain(each.transport), state, each.is_private ? "private" : "",
                    plain(colon == std::string::npos ? reason : reason.substr(colon + 2))});
  }
  std::string text = plain(fmt::format("{} -> {}: {}", report.from, report.to,
                                       report.chosen.empty() ? report.why : report.chosen));
  if (!rows.empty()) text += "\n" + table({"TRANSPORT", "STATE", "NOTE", "WHY"}, rows);
  text +=
      fmt::format("\nchoice {}, {} probes, {} moves, {} failovers, {} sends resumed", report.epoch,
                  report.probes, report.upgrades, report.failovers, report.resumed);
  return text;
}

}  // namespace velo::cli
