// SPDX-License-Identifier: Apache-2.0
// `velo bench ladder`: the round trip of one call, one layer at a time, so that every nanosecond
// above plain sockets is attributed to the layer that takes it.

#include "bench_machine.hpp"
#include "bench_options.hpp"
#include "bench_report.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

namespace velo::cli {

namespace bench_ladder_detail {

struct Step {
  std::string_view name;
  std::string_view adds;  ///< what is new on this rung
  bench::Side side;
  bench::Rung rung;
  bench::Shape shape;
  bool spawn;
};

constexpr std::array<Step, 7> steps{{
    {"socket", "plain sockets, an eight-byte header", bench::Side::floor, bench::Rung::messenger,
     bench::Shape::rtt, false},
    {"framing", "our frames and headers on them", bench::Side::ours, bench::Rung::framing,
     bench::Shape::rtt, false},
    {"transport", "our World and connections", bench::Side::ours, bench::Rung::transport,
     bench::Shape::rtt, false},
    {"messenger", "calls, deadlines, handlers by name", bench::Side::ours, bench::Rung::messenger,
     bench::Shape::rtt, false},
    {"typed", "a struct instead of bytes", bench::Side::ours, bench::Rung::typed, bench::Shape::rtt,
     false},
    {"caller", "messenger, from a thread that blocks", bench::Side::ours, bench::Rung::messenger,
     bench::Shape::rtt_caller, false},
    {"spawn", "caller, and a handler on the worker pool", bench::Side::ours, bench::Rung::messenger,
     bench::Shape::rtt_caller, true},
}};

/// The rung that each one is compared with: the one before, except that the blocking caller calls
/// with raw bytes.
constexpr std::array<std::size_t, steps.size()> below{0, 0, 1, 2, 3, 3, 5};

struct Ladder {
  std::array<std::vector<double>, steps.size()> microseconds;
  double added(std::size_t step) const {
    std::vector<double> each;
    for (std::size_t round = 0; round < microseconds[step].size(); ++round) {
      each.push_back(1000 * (microseconds[step][round] - microseconds[below[step]][round]));
    }
    return bench::median(std::move(each));
  }
  double ratio(std::size_t step) const {
    std::vector<double> each;
    for (std::size_t round = 0; round < microseconds[step].size(); ++round) {
      each.push_back(microseconds[step][round] / microseconds[0][round]);
    }
    return bench::median(std::move(each));
  }
};

static Result<Ladder> climb(const Globals& globals, const bench::Spec& base, int rounds,
                            bench::SampleFile* samples) {
  Ladder ladder;
  Progress progress(globals.progress);
  const auto total = static_cast<std::uint64_t>(rounds) * steps.size();
  std::uint64_t done = 0;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      progress.draw(done++, total, steps[i].name);
      bench::Spec spec = base;
      spec.rung = steps[i].rung;
      spec.shape = steps[i].shape;
      spec.spawn = steps[i].spawn;
      auto measured = bench::measure(steps[i].side, spec);
      if (!measured) return measured.error();
      ladder.microseconds[i].push_back(bench::figure(spec, *measured));
      if (samples != nullptr) samples->add(steps[i].name, round, steps[i].side, *measured);
    }
  }
  return ladder;
}

static std::string text_of(const Ladder& ladder, const bench::Spec& spec) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    rows.push_back({std::string(steps[i].name),
                    fmt::format("{:.2f}", bench::median(ladder.microseconds[i])),
                    i == 0 ? "" : fmt::format("{:+.0f}", ladder.added(i)),
                    i == 0 ? "" : std::string(steps[below[i]].name),
                    fmt::format("{:.3f}", ladder.ratio(i)), std::string(steps[i].adds)});
  }
  return describe_spec(spec) + "\n" +
         table({"rung", "p50 us", "adds ns", "to", "ratio", "what is new"}, rows,
               {false, true, true, false, true, false});
}

static std::string json_of(const Ladder& ladder) {
  std::string out = "[";
  for (std::size_t i = 0; i < steps.size(); ++i) {
    fmt::format_to(std::back_inserter(out),
                   R"({}{{"rung":"{}","p50_us":{:.3f},"adds_ns":{:.0f},"to":"{}","ratio":{:.3f}}})",
                   i == 0 ? "" : ",\n ", steps[i].name, bench::median(ladder.microseconds[i]),
                   ladder.added(i), steps[below[i]].name, ladder.ratio(i));
  }
  return out + "]";
}

}  // namespace bench_ladder_detail

int run_bench_ladder(const Globals& globals, const BenchOptions& options) {
  using namespace bench_ladder_detail;
  bench::Spec spec;
  if (const int code = make_spec(options, spec); code != exit_ok) return code;
  std::optional<bench::SampleFile> samples;
  if (!options.samples.empty()) {
    auto file = bench::SampleFile::create(options.samples);
    if (!file) {
      return fail(exit_usage, fmt::format("cannot write --samples {}", file.error().context()),
                  "name a file in a folder that exists");
    }
    samples.emplace(std::move(*file));
  }
  warn_about_the_build();
  auto ladder = climb(globals, spec, options.rounds, samples ? &*samples : nullptr);
  if (!ladder) return fail("cannot measure", ladder.error());
  if (samples) {
    if (auto closed = samples->close(); !closed) return fail("no samples", closed.error());
  }
  print_line(globals.output == OutputFormat::json ? json_of(*ladder) : text_of(*ladder, spec));
  return exit_ok;
}

}  // namespace velo::cli
