// SPDX-License-Identifier: Apache-2.0
// `velo explain path`: by which transport one node reaches another, and why not by the others.

#include "client.hpp"
#include "commands.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

namespace velo::cli {

namespace explain_detail {

static void show(const PathReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const PathCandidate& each : report.candidates) {
    const std::string state = each.chosen ? "chosen" : each.usable ? "usable" : "rejected";
    const std::size_t colon = each.reason.find(": ");
    rows.push_back({each.transport, state, each.is_private ? "private" : "",
                    colon == std::string::npos ? each.reason : each.reason.substr(colon + 2)});
  }
  print_line(fmt::format("{} -> {}: {}", report.from, report.to,
                         report.chosen.empty() ? report.why : report.chosen));
  if (!rows.empty()) print_line(table({"TRANSPORT", "STATE", "NOTE", "WHY"}, rows));
  print_line(fmt::format("choice {}, {} probes, {} moves, {} failovers, {} sends resumed",
                         report.epoch, report.probes, report.upgrades, report.failovers,
                         report.resumed));
}

}  // namespace explain_detail

int run_explain_path(const Globals& globals, const ExplainOptions& options) {
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  PeerInfo to;
  if (const int code = client.choose(options.to, to); code != exit_ok) return code;
  Messenger& messenger = client.node().messenger();
  PathReport report;
  if (options.from == "me") {
    // Nothing is chosen before something was sent.
    auto greeted = client.node().refresh_handlers(to.instance_id).get();
    if (!greeted) return fail("the peer cannot be reached", greeted.error());
    report = messenger.explain_path(to.instance_id);
  } else {
    PeerInfo from;
    if (const int code = client.choose(options.from, from); code != exit_ok) return code;
    auto told = messenger.explain_path_of(from.instance_id, to.instance_id, options.timeout).get();
    if (!told) return fail("the node does not tell its paths", told.error());
    report = std::move(*told);
  }
  if (globals.output == OutputFormat::json) {
    print_line(to_json(report));
  } else {
    explain_detail::show(report);
  }
  return exit_ok;
}

}  // namespace velo::cli
