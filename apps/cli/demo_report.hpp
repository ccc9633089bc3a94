// SPDX-License-Identifier: Apache-2.0
// What the demo says at its end: figures, the books of all sends, and the checks that make the
// result believable. Field names of the JSON are stable.
// Threading: the main thread.
#pragma once

#include "commands.hpp"
#include "demo_cluster.hpp"
#include "demo_files.hpp"
#include "demo_job.hpp"

#include <velo/codec/describe.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

struct ReportFiles {
  std::uint64_t found = 0;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::uint64_t changed = 0;
  Skipped skipped;
};
VELO_DESCRIBE(ReportFiles, found, done, failed, changed, skipped);

struct ReportLatency {
  std::uint64_t calls = 0;
  double p50_us = 0;
  double p90_us = 0;
  double p99_us = 0;
  double max_us = 0;
};
VELO_DESCRIBE(ReportLatency, calls, p50_us, p90_us, p99_us, max_us);

struct ReportWorker {
  std::uint64_t index = 0;
  std::int64_t pid = 0;
  std::string end;  ///< finished, killed, died
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t taken = 0;                ///< our calls that a connection to it took
  std::optional<std::uint64_t> received;  ///< its own count of them; nothing: unknown, it is gone
};
VELO_DESCRIBE(ReportWorker, index, pid, end, files, bytes, taken, received);

/// Of the coordinator's sends, all patterns together.
struct ReportSends {
  std::uint64_t sent = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t written = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t handled = 0;
  std::uint64_t rejected = 0;
  std::uint64_t expired = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t unknown = 0;
};
VELO_DESCRIBE(ReportSends, sent, in_flight, written, acknowledged, handled, rejected, expired,
              cancelled, unknown);

struct ReportCheck {
  std::string name;
  bool ok = false;
  std::string detail;
};
VELO_DESCRIBE(ReportCheck, name, ok, detail);

struct DemoReport {
  bool ok = false;
  std::string directory;
  ReportFiles files;
  std::uint64_t bytes = 0;
  std::uint64_t lines = 0;
  std::uint64_t words = 0;
  double seconds = 0;
  double megabytes_per_second = 0;
  double files_per_second = 0;
  ReportLatency latency;
  std::vector<ReportWorker> workers;
  std::uint64_t retries = 0;
  std::uint64_t kills = 0;
  ReportSends sends;
  std::vector<ReportCheck> checks;
  std::vector<std::string> complaints;
};
VELO_DESCRIBE(DemoReport, ok, directory, files, bytes, lines, words, seconds, megabytes_per_second,
              files_per_second, latency, workers, retries, kills, sends, checks, complaints);

/// Asks the workers that live for their books, and judges. The job is over, its cluster still
/// there.
DemoReport make_report(DemoCluster& cluster, const FileList& files, const DemoJob::Outcome& outcome,
                       const DemoOptions& options);

void print_report(const Globals& globals, const DemoReport& report);

}  // namespace velo::cli
