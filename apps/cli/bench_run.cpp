// SPDX-License-Identifier: Apache-2.0
// Runs the rounds of `velo bench`, with progress and the file of samples.

#include "bench_machine.hpp"
#include "bench_options.hpp"
#include "bench_report.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <string_view>

namespace velo::cli {

namespace bench_run_detail {

static std::string_view name_of(BenchCommand command) {
  switch (command) {
    case BenchCommand::latency: return "latency";
    case BenchCommand::throughput: return "throughput";
    case BenchCommand::floor: return "floor";
    case BenchCommand::ladder: return "ladder";
  }
  return "latency";
}

/// Measures, and keeps what the report needs of each measurement.
static Result<void> measure_rounds(const Globals& globals, const BenchOptions& options,
                                   bench::SampleFile* samples, BenchOutcome& outcome) {
  Progress progress(globals.progress);
  const auto sides = static_cast<std::uint64_t>(outcome.floor_only ? 1 : 2);
  const std::uint64_t total = sides * static_cast<std::uint64_t>(options.rounds);
  std::uint64_t done = 0;
  progress.draw(done, total, "warming up");
  const auto seen = [&](int round, bench::Side side,
                        const bench::Measurement& measured) -> Result<void> {
    const bool floor = side == bench::Side::floor;
    (floor ? outcome.floor : outcome.ours).add(measured);
    if (samples != nullptr) samples->add(name_of(options.command), round, side, measured);
    const double figure = bench::figure(outcome.spec, measured);
    const std::string shown = bench::is_latency(outcome.spec.shape)
                                  ? fmt::format("{:.2f} us", figure)
                                  : show_count(static_cast<std::uint64_t>(figure)) + " messages/s";
    progress.draw(++done, total, fmt::format("{} {}", floor ? "floor" : "ours", shown));
    return {};
  };
  auto rounds = outcome.floor_only ? bench::run_floor_rounds(outcome.spec, options.rounds, seen)
                                   : bench::run_rounds(outcome.spec, options.rounds, seen);
  if (!rounds) return rounds.error();
  outcome.rounds = std::move(*rounds);
  return {};
}

}  // namespace bench_run_detail

void warn_about_the_build() {
  const std::string_view build = VELO_BUILD_TYPE;
  if (build == "Release" || build == "RelWithDebInfo") return;
  std::fputs(
      "velo: this build is not optimised, its figures say nothing; hint: "
      "`./dev velo bench ...` runs the release build\n",
      stderr);
}

int run_bench(const Globals& globals, const BenchOptions& options) {
  BenchOutcome outcome;
  outcome.floor_only = options.command == BenchCommand::floor;
  if (const int code = make_spec(options, outcome.spec); code != exit_ok) return code;
  std::optional<bench::SampleFile> samples;
  if (!options.samples.empty()) {
    auto file = bench::SampleFile::create(options.samples);
    if (!file) {
      return fail(exit_usage, fmt::format("cannot write --samples {}", file.error().context()),
                  "name a file in a folder that exists");
    }
    samples.emplace(std::move(*file));
    outcome.samples = options.samples;
  }
  warn_about_the_build();
  outcome.load_before = machine_load();
  auto measured =
      bench_run_detail::measure_rounds(globals, options, samples ? &*samples : nullptr, outcome);
  if (!measured) return fail("cannot measure", measured.error());
  if (samples) {
    if (auto closed = samples->close(); !closed) return fail("no samples", closed.error());
  }
  print_line(globals.output == OutputFormat::json
                 ? bench_json(outcome, bench_run_detail::name_of(options.command))
                 : bench_text(outcome));
  return exit_ok;
}

}  // namespace velo::cli
