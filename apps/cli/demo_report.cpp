// SPDX-License-Identifier: Apache-2.0
// Adds up, compares, prints.

#include "demo_report.hpp"

#include "demo_books.hpp"

#include <velo/codec/json.hpp>

#include <fmt/format.h>

#include <optional>

namespace velo::cli {

namespace demo_report_detail {

static double share(std::uint64_t part, double seconds) {
  return seconds > 0 ? static_cast<double>(part) / seconds : 0;
}

static void add(ReportSends& sum, const PatternBooks& books) {
  sum.sent += books.sent;
  sum.in_flight += books.in_flight;
  sum.written += books[Fate::written];
  sum.acknowledged += books[Fate::acknowledged];
  sum.handled += books[Fate::handled];
  sum.rejected += books[Fate::rejected];
  sum.expired += books[Fate::expired];
  sum.cancelled += books[Fate::cancelled];
  sum.unknown += books[Fate::unknown];
}

static std::string equation(const ReportSends& s) {
  std::string text = fmt::format("{} sent = {} in flight + {} handled", show_count(s.sent),
                                 s.in_flight, show_count(s.handled));
  const std::pair<std::uint64_t, const char*> others[] = {
      {s.written, "written"}, {s.acknowledged, "acknowledged"}, {s.rejected, "rejected"},
      {s.expired, "expired"}, {s.cancelled, "cancelled"},       {s.unknown, "unknown"}};
  for (const auto& [count, name] : others) text += fmt::format(" + {} {}", count, name);
  return text;
}

static std::vector<ReportCheck> check_books(const DemoCluster& cluster, const Books& books,
                                            const ReportSends& sends) {
  std::vector<ReportCheck> checks;
  checks.push_back({"the fates of all sends add up",
                    books.balanced() && sends.in_flight == 0 && sends.sent == cluster.calls(),
                    equation(sends)});
  const std::uint64_t seen = cluster.answered() + cluster.errors();
  checks.push_back(
      {"every call ended once", seen == cluster.calls() && sends.handled >= cluster.answered(),
       fmt::format("{} answers + {} errors of {} calls", show_count(cluster.answered()),
                   cluster.errors(), show_count(cluster.calls()))});
  return checks;
}

static ReportLatency latency_of(const Histogram& histogram) {
  const auto micro = [&](double percent) {
    return static_cast<double>(histogram.percentile(percent)) / 1e3;
  };
  return {histogram.count(), micro(50), micro(90), micro(99),
          static_cast<double>(histogram.max()) / 1e3};
}

static std::string show_skipped(const Skipped& skipped) {
  std::string text;
  const std::pair<std::uint64_t, const char*> kinds[] = {
      {skipped.symbolic_links, "symbolic links"},
      {skipped.special_files, "special files"},
      {skipped.unreadable_files, "unreadable files"},
      {skipped.unreadable_directories, "unreadable directories"}};
  for (const auto& [count, name] : kinds) {
    if (count != 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", show_count(count), name);
  }
  return text.empty() ? "nothing" : text;
}

static std::string micro(double microseconds) {
  return show_duration(Duration(static_cast<Duration::rep>(microseconds * 1e3)));
}

static std::vector<std::vector<std::string>> figures(const DemoReport& report) {
  const ReportLatency& latency = report.latency;
  return {
      {"files", fmt::format("{} of {} done, {} failed, {} changed while being read",
                            show_count(report.files.done), show_count(report.files.found),
                            report.files.failed, report.files.changed)},
      {"left out", show_skipped(report.files.skipped)},
      {"content", fmt::format("{}, {} lines, {} words", show_bytes(report.bytes),
                              show_count(report.lines), show_count(report.words))},
      {"time", fmt::format("{:.2f} s: {:.1f} MB/s, {:.0f} files/s", report.seconds,
                           report.megabytes_per_second, report.files_per_second)},
      {"latency", fmt::format("p50 {}, p90 {}, p99 {}, max {}  ({} calls)", micro(latency.p50_us),
                              micro(latency.p90_us), micro(latency.p99_us), micro(latency.max_us),
                              show_count(latency.calls))},
      {"retries", fmt::format("{}, after {} kill{}", report.retries, report.kills,
                              report.kills == 1 ? "" : "s")},
      {"sends", equation(report.sends)},
  };
}

static void add_figures(DemoReport& report, const FileList& files,
                        const DemoJob::Outcome& outcome) {
  report.directory = files.root;
  report.files.found = files.paths.size();
  report.files.failed = outcome.failed;
  report.files.changed = outcome.changed;
  report.files.skipped = files.skipped;
  report.files.skipped.unreadable_files += outcome.unreadable;
  for (const auto& digest : outcome.results) {
    if (!digest) continue;
    ++report.files.done;
    report.bytes += digest->bytes;
    report.lines += digest->lines;
    report.words += digest->words;
  }
  report.seconds = std::chrono::duration<double>(outcome.elapsed).count();
  report.megabytes_per_second = share(report.bytes, report.seconds) / 1e6;
  report.files_per_second = share(report.files.done, report.seconds);
  report.latency = latency_of(outcome.latency);
  report.retries = outcome.retries;
  report.kills = outcome.kills;
  report.complaints = outcome.complaints;
}

static void check_results(DemoReport& report, const DemoJob::Outcome& outcome) {
  report.checks.push_back(
      {"every file has exactly one result",
       outcome.duplicates == 0 &&
           report.files.done + outcome.failed + outcome.unreadable == report.files.found,
       fmt::format("{} results, {} twice", show_count(report.files.done), outcome.duplicates)});
  report.checks.push_back({"every result is right", outcome.wrong == 0,
                           fmt::format("{} of {} differ from what was computed here", outcome.wrong,
                                       show_count(report.files.done))});
}

}  // namespace demo_report_detail

DemoReport make_report(DemoCluster& cluster, const FileList& files, const DemoJob::Outcome& outcome,
                       const DemoOptions& options) {
  namespace detail = demo_report_detail;
  DemoReport report;
  detail::add_figures(report, files, outcome);
  detail::check_results(report, outcome);
  std::vector<ReportCheck> of_workers;
  for (std::size_t i = 0; i < outcome.shares.size(); ++i) {
    const WorkerBooks books = compare_with_worker(cluster, i, options.spoil_books == i);
    if (books.check) of_workers.push_back(*books.check);
    const DemoJob::Share& done = outcome.shares[i];
    const char* end = done.killed ? "killed" : (cluster.processes().alive(i) ? "finished" : "died");
    report.workers.push_back(
        {i, cluster.processes().pid(i), end, done.files, done.bytes, books.taken, books.received});
  }
  // After the last call, so that nothing is in flight.
  const Books books = cluster.node().books();
  for (const PatternBooks* pattern : {&books.fire, &books.sync, &books.unary}) {
    detail::add(report.sends, *pattern);
  }
  for (auto& check : detail::check_books(cluster, books, report.sends)) {
    report.checks.push_back(std::move(check));
  }
  for (auto& check : of_workers) report.checks.push_back(std::move(check));
  report.ok = outcome.failed == 0;
  for (const ReportCheck& check : report.checks) report.ok = report.ok && check.ok;
  return report;
}

void print_report(const Globals& globals, const DemoReport& report) {
  if (globals.output == OutputFormat::json) return print_line(codec::to_json(report));
  print_line(table({"directory", report.directory}, demo_report_detail::figures(report)));
  print_line("");
  std::vector<std::vector<std::string>> rows;
  rows.reserve(report.workers.size());
  for (const ReportWorker& worker : report.workers) {
    rows.push_back({std::to_string(worker.index), std::to_string(worker.pid), worker.end,
                    show_count(worker.files), show_bytes(worker.bytes), show_count(worker.taken),
                    worker.received ? show_count(*worker.received) : "unknown"});
  }
  print_line(table({"WORKER", "PID", "END", "FILES", "BYTES", "SENT", "RECEIVED"}, rows,
                   {false, false, false, true, true, true, true}));
  print_line("");
  for (const ReportCheck& check : report.checks) {
    print_line(fmt::format("{}  {}: {}", verdict(check.ok), check.name, check.detail));
  }
}

}  // namespace velo::cli
