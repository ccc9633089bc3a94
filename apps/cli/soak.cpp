// SPDX-License-Identifier: Apache-2.0
// `velo bench soak`: the plan of faults, and the report.

#include "soak.hpp"

#include "soak_cluster.hpp"

#include <velo/codec/describe.hpp>
#include <velo/codec/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

struct SoakKindReport {
  std::string kind;
  std::uint64_t begun = 0;
  std::uint64_t ended_well = 0;
  std::uint64_t failed = 0;
  std::uint64_t cut_short = 0;
};
VELO_DESCRIBE(SoakKindReport, kind, begun, ended_well, failed, cut_short);

struct SoakMemoryReport {
  std::string process;
  std::uint64_t samples = 0;
  double first_mib = 0;
  double last_mib = 0;
  double peak_mib = 0;
  double mib_per_minute = 0;
  double error_mib_per_minute = 0;
  bool judged = false;
  bool ok = true;
};
VELO_DESCRIBE(SoakMemoryReport, process, samples, first_mib, last_mib, peak_mib, mib_per_minute,
              error_mib_per_minute, judged, ok);

struct SoakReport {
  double seconds = 0;
  std::uint64_t seed = 0;
  std::uint64_t killed = 0;
  std::uint64_t cut = 0;
  std::uint64_t frozen = 0;
  std::vector<SoakKindReport> operations;
  std::vector<SoakMemoryReport> memory;
  double growth_max_mib_per_minute = soak_growth_max;
  std::vector<std::string> complaints;
  bool ok = true;
};
VELO_DESCRIBE(SoakReport, seconds, seed, killed, cut, frozen, operations, memory,
              growth_max_mib_per_minute, complaints, ok);

namespace soak_detail {

constexpr Duration frozen_max = std::chrono::seconds(3);
constexpr double faults_every_seconds = 2.5;
constexpr double samples_every_seconds = 1;

/// So that a seed is one plan.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
  std::uint64_t below(std::uint64_t bound) noexcept {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 20U) % bound;
  }

 private:
  std::uint64_t state_;
};

/// One of the three, on anybody; the hub and the first worker are not killed.
static int harm(SoakCluster& cluster, Dice& dice) {
  const std::size_t member = dice.below(cluster.workers() + 1);
  const std::uint64_t kind = dice.below(3);
  const auto length =
      static_cast<std::int64_t>(dice.below(static_cast<std::uint64_t>(frozen_max.count())));
  if (kind == 0 && member > 1) return cluster.kill_worker(member - 1);
  if (kind == 1) {
    cluster.freeze(member, Duration(length));
  } else {
    cluster.cut(member);
  }
  return exit_ok;
}

/// Exit code; exit_signal and more when it was interrupted.
static int run(const Globals& globals, const SoakOptions& options, SoakCluster& cluster) {
  Progress progress(globals.progress);
  Dice dice(options.seed);
  const double length = options.minutes * 60;
  const double between = std::min(faults_every_seconds, length / 16);
  double next_fault = between;
  double next_sample = 0;
  while (cluster.seconds() < length) {
    if (const auto number = cluster.turn(std::chrono::milliseconds(50))) {
      return exit_signal + *number;
    }
    if (!cluster.complaints().empty()) break;
    const double now = cluster.seconds();
    progress.draw(static_cast<std::uint64_t>(now), static_cast<std::uint64_t>(length), "seconds");
    if (now >= next_sample) {
      cluster.sample();
      next_sample = now + std::min(samples_every_seconds, length / 40);
    }
    if (!options.faults || now < next_fault) continue;
    next_fault = now + between;
    if (const int code = harm(cluster, dice); code != exit_ok) return code;
  }
  if (const auto number = cluster.settle()) return exit_signal + *number;
  return exit_ok;
}

static SoakReport report_of(const SoakOptions& options, SoakCluster& cluster, double seconds) {
  SoakReport report;
  report.seconds = seconds;
  report.seed = options.seed;
  report.killed = cluster.faults().killed;
  report.cut = cluster.faults().cut;
  report.frozen = cluster.faults().frozen;
  report.complaints = cluster.complaints();
  for (std::string& each : cluster.oracle().judge()) report.complaints.push_back(std::move(each));
  cluster.oracle().finish();
  for (std::size_t kind = 0; kind < soak_kinds; ++kind) {
    const SoakCounts& counts = cluster.oracle().counts()[kind];
    report.operations.push_back({std::string(name_of(static_cast<SoakKind>(kind))), counts.begun,
                                 counts.ended_well, counts.failed, counts.cut_short});
    if (counts.ended_well == 0) {
      report.complaints.push_back(
          fmt::format("no {} ended well", name_of(static_cast<SoakKind>(kind))));
    }
  }
  for (const MemoryTrend& trend : cluster.memory()) {
    report.memory.push_back({trend.process, trend.samples, trend.first_mib, trend.last_mib,
                             trend.peak_mib, trend.mib_per_minute, trend.error_mib_per_minute,
                             trend.judged, trend.ok});
    if (!trend.ok) {
      report.complaints.push_back(
          fmt::format("{} grows by {:.2f} MiB a minute (give or take {:.2f})", trend.process,
                      trend.mib_per_minute, 2 * trend.error_mib_per_minute));
    }
  }
  report.ok = report.complaints.empty();
  return report;
}

static void print(const Globals& globals, const SoakReport& report) {
  if (globals.output == OutputFormat::json) return print_line(to_json(report));
  print_line(fmt::format("soak: {:.0f} s, {} kills, {} cuts, {} freezes (seed {})", report.seconds,
                         report.killed, report.cut, report.frozen, report.seed));
  std::vector<std::vector<std::string>> rows;
  for (const SoakKindReport& each : report.operations) {
    rows.push_back({each.kind, show_count(each.begun), show_count(each.ended_well),
                    show_count(each.failed), show_count(each.cut_short)});
  }
  print_line(table({"kind", "begun", "ended well", "failed", "killed with their worker"}, rows,
                   {false, true, true, true, true}));
  rows.clear();
  for (const SoakMemoryReport& each : report.memory) {
    rows.push_back({each.process, fmt::format("{:.1f}", each.first_mib),
                    fmt::format("{:.1f}", each.last_mib), fmt::format("{:.1f}", each.peak_mib),
                    fmt::format("{:+.2f}", each.mib_per_minute),
                    fmt::format("{:.2f}", 2 * each.error_mib_per_minute),
                    each.judged ? verdict(each.ok) : "too short to judge"});
  }
  print_line(table({"memory (MiB)", "from", "to", "peak", "a minute", "give or take", ""}, rows,
                   {false, true, true, true, true, true, false}));
  for (const std::string& each : report.complaints) print_line("not so: " + each);
  print_line(verdict(report.ok));
}

}  // namespace soak_detail

int run_soak(const Globals& globals, const SoakOptions& options) {
  // Before any child exists, so that their ends are noticed.
  Signals signals;
  SoakCluster cluster(options, signals);
  if (const int code = cluster.start(); code != exit_ok) return code;
  const int code = soak_detail::run(globals, options, cluster);
  if (code >= exit_signal) {
    return fail(static_cast<ExitCode>(code), "interrupted", "nothing was left behind");
  }
  if (code != exit_ok) return code;
  const SoakReport report = soak_detail::report_of(options, cluster, cluster.seconds());
  soak_detail::print(globals, report);
  if (report.ok) return exit_ok;
  return fail(exit_unverified, report.complaints.front(),
              "this is a defect; --keep FOLDER keeps what the processes wrote");
}

}  // namespace velo::cli
