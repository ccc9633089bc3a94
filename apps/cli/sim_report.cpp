// SPDX-License-Identifier: Apache-2.0
// One line of result; of a failure also the plan that is left and how to run it again.

#include "sim_report.hpp"

#include "console.hpp"

#include <velo/codec/json.hpp>

#include <fmt/format.h>

namespace velo::cli {

namespace sim_report_detail {

static void print_failure(const SimFailureFound& found) {
  print_line(fmt::format("seed {}: {}", found.seed, found.failure));
  if (!found.replayed) return print_line("running it again gave something else: not deterministic");
  print_line(fmt::format("replayed: the same again, trace hash {}", found.trace_hash));
  const std::vector<std::string>& plan = found.shrunk ? *found.shrunk : found.plan;
  if (found.shrunk) {
    print_line(fmt::format("shrunk in {} runs from {} faults to {}{}: {}", found.shrink_runs,
                           found.plan.size(), plan.size(),
                           found.shrink_finished ? "" : " (stopped at the bound of runs)",
                           *found.shrunk_failure));
  }
  for (const std::string& fault : plan) print_line("  " + fault);
  print_line("again: " + found.command);
}

}  // namespace sim_report_detail

std::string show_hash(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

void add_totals(SimReport& report, const sim::SeedTotals& totals) {
  report.runs = totals.runs;
  report.failures = totals.failures;
  report.combined_hash = show_hash(totals.combined_hash);
  report.events = totals.events;
  report.virtual_seconds = std::chrono::duration<double>(totals.virtual_time).count();
  for (const auto& [name, value] : totals.figures) report.figures.push_back({name, value});
}

void print_report(const Globals& globals, const SimReport& report) {
  if (globals.output == OutputFormat::json) return print_line(codec::to_json(report));
  std::string figures;
  for (const SimFigure& figure : report.figures) {
    figures += fmt::format(", {} {}", figure.name, show_count(figure.value));
  }
  const double rate = report.seconds > 0 ? static_cast<double>(report.events) / report.seconds : 0;
  print_line(fmt::format(
      "{}  {}: {} of {} seeds failed, {} events, {:.0f} s of virtual time in {:.2f} s "
      "({} events/s), hash {}{}",
      verdict(report.failures == 0), report.scenario, show_count(report.failures),
      show_count(report.runs), show_count(report.events), report.virtual_seconds, report.seconds,
      show_count(static_cast<std::uint64_t>(rate)), report.combined_hash, figures));
  if (report.lowest_failure) sim_report_detail::print_failure(*report.lowest_failure);
}

}  // namespace velo::cli
