// SPDX-License-Identifier: Apache-2.0
// `velo demo`: a small cluster of processes that does real work while one of them is killed.

#include "commands.hpp"
#include "demo_cluster.hpp"
#include "demo_files.hpp"
#include "demo_job.hpp"
#include "demo_report.hpp"
#include "signals.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

namespace velo::cli {

namespace demo_detail {

struct Place {
  std::string directory;
  bool sources_only = false;
};

static int choose_place(const DemoOptions& options, Place& place) {
  if (options.directory) {
    place.directory = *options.directory;
  } else if (auto repository = find_repository()) {
    place = {std::move(*repository), true};
  } else {
    place.directory = ".";
  }
  struct stat found;
  if (::stat(place.directory.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return fail(exit_usage, fmt::format("no directory '{}'", place.directory),
                "name one, or none for the sources of this repository");
  }
  while (place.directory.size() > 1 && place.directory.ends_with('/')) place.directory.pop_back();
  return exit_ok;
}

static int check_options(const DemoOptions& options) {
  if (!options.kill) return exit_ok;
  if (options.workers == 1) {
    return fail(exit_usage, "nobody is left when the only worker is killed",
                "add --no-kill, or more --workers");
  }
  if (options.kill_worker >= options.workers) {
    return fail(exit_usage,
                fmt::format("there is no worker {} of {}", options.kill_worker, options.workers),
                "workers are counted from 0");
  }
  return exit_ok;
}

/// As `sha256sum` writes it, so that `sha256sum -c` can check it.
static std::string result_line(const std::string& path, const Digest& digest) {
  std::string escaped;
  for (const char c : path) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\r') {
      escaped += "\\r";
    } else {
      escaped += c;
    }
  }
  return fmt::format("{}{}  {}\n", escaped == path ? "" : "\\", digest.sha256, escaped);
}

static int write_results(const std::string& to, const FileList& files,
                         const DemoJob::Outcome& outcome) {
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  for (std::size_t i = 0; i < files.paths.size(); ++i) {
    if (outcome.results[i]) out << result_line(files.paths[i], *outcome.results[i]);
  }
  out.close();
  if (out) return exit_ok;
  return fail(exit_failed, fmt::format("cannot write '{}'", to), "see --results");
}

static int interrupted(int number) {
  return fail(static_cast<ExitCode>(exit_signal + number), "interrupted",
              "the workers were ended and nothing was left behind");
}

static int work(const Globals& globals, const DemoOptions& options, const FileList& files,
                Signals& signals) {
  DemoCluster cluster(options, signals);
  Progress progress(globals.progress);
  if (const int code = cluster.start(); code != exit_ok) {
    return code > exit_signal ? interrupted(code - exit_signal) : code;
  }
  DemoJob job(cluster, files, options, progress);
  switch (job.run()) {
    case DemoJob::End::finished: break;
    case DemoJob::End::interrupted: progress.clear(); return interrupted(job.signal());
    case DemoJob::End::no_workers:
      progress.clear();
      return fail(exit_failed, "every worker ended before the work did",
                  "run it again; VELO_LOG=debug shows what happens");
  }
  const DemoReport report = make_report(cluster, files, job.outcome(), options);
  print_report(globals, report);
  if (!options.results.empty()) {
    const int code = write_results(options.results, files, job.outcome());
    if (code != exit_ok) return code;
  }
  for (const std::string& complaint : report.complaints) {
    fail(exit_failed, complaint, "see the summary");
  }
  if (report.ok) return exit_ok;
  for (const ReportCheck& check : report.checks) {
    if (!check.ok) {
      return fail(exit_unverified, fmt::format("not so: {} ({})", check.name, check.detail),
                  "this is a defect; run again with VELO_LOG=debug and report it");
    }
  }
  return fail(exit_failed, fmt::format("{} files have no result", report.files.failed),
              "the lines above say why");
}

}  // namespace demo_detail

int run_demo(const Globals& globals, const DemoOptions& options) {
  if (const int code = demo_detail::check_options(options); code != exit_ok) return code;
  demo_detail::Place place;
  if (const int code = demo_detail::choose_place(options, place); code != exit_ok) return code;
  // Before any thread is started, so that all of them leave the signals to the main one.
  Signals signals;
  const FileList files = list_files(place.directory, place.sources_only,
                                    [&] { return signals.asked_to_end().has_value(); });
  if (const auto number = signals.asked_to_end()) return demo_detail::interrupted(*number);
  return demo_detail::work(globals, options, files, signals);
}

}  // namespace velo::cli
