// SPDX-License-Identifier: Apache-2.0
// bench messenger: each case as a ratio to its floor, both measured in turn in the same run;
// medians of several rounds. Raw samples go to a file from which every printed figure can be
// computed again.

#include <velo/bench/rounds.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace velo::bench {
namespace suite {

struct Case {
  std::string name;
  Spec spec;
};

struct Options {
  bool json = false;
  int rounds = 5;
  double seconds = 0.4;
  std::string samples = "velo-bench-messenger.jsonl";
  std::string only;
};

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  const auto add = [&](std::string name, Medium medium, Shape shape, std::size_t bytes,
                       std::size_t outstanding, bool one_core, bool spawn) {
    Spec spec;
    spec.medium = medium;
    spec.shape = shape;
    spec.payload_bytes = bytes;
    spec.outstanding = outstanding;
    spec.one_core = one_core;
    spec.spawn = spawn;
    spec.seconds = seconds;
    all.push_back({std::move(name), spec});
  };
  add("tcp_rtt_64", Medium::tcp, Shape::rtt, 64, 1, true, false);
  add("tcp_rtt_64_caller", Medium::tcp, Shape::rtt_caller, 64, 1, true, false);
  add("tcp_rtt_64_spawn", Medium::tcp, Shape::rtt_caller, 64, 1, true, true);
  add("uds_rtt_64", Medium::uds, Shape::rtt, 64, 1, true, false);
  add("tcp_rtt_64k", Medium::tcp, Shape::rtt, 65536, 1, true, false);
  add("tcp_pipeline_64", Medium::tcp, Shape::pipeline, 64, 64, false, false);
  add("tcp_pipeline_256", Medium::tcp, Shape::pipeline, 64, 256, false, false);
  add("tcp_pipeline_1024", Medium::tcp, Shape::pipeline, 64, 1024, false, false);
  add("tcp_oneway_64", Medium::tcp, Shape::one_way, 64, 256, false, false);
  add("tcp_bulk_1m", Medium::tcp, Shape::one_way, std::size_t{1} << 20, 8, false, false);
  add("tcp_deep_256k", Medium::tcp, Shape::pipeline, std::size_t{256} << 10, 64, false, false);
  // The floor is a call through std::function that hands the payload on; the bound is absolute.
  add("inproc_typed", Medium::inproc, Shape::rtt, 64, 1, true, false);
  all.back().spec.rung = Rung::typed;
  return all;
}

static Result<Rounds> run_case(const Case& c, const Options& options, SampleFile& samples) {
  auto rounds = run_rounds(c.spec, options.rounds,
                           [&](int round, Side side, const Measurement& measured) -> Result<void> {
                             samples.add(c.name, round, side, measured);
                             std::fprintf(stderr, "\r%-20s round %d/%d", c.name.c_str(), round + 1,
                                          options.rounds);
                             return {};
                           });
  std::fprintf(stderr, "\r%40s\r", "");
  return rounds;
}

static void print(const std::vector<std::pair<Case, Rounds>>& results, bool json) {
  if (!json) {
    std::puts(fmt::format("{:<20} {:>12} {:>12} {:>7}   {}", "case", "ours", "floor", "ratio",
                          "ratio of each round")
                  .c_str());
  }
  std::string out = "[";
  for (const auto& [c, rounds] : results) {
    const double ours = median(rounds.ours);
    const double floor = median(rounds.floor);
    const double ratio = median(rounds.ratio);
    const char* unit = is_latency(c.spec.shape) ? "us" : "messages/s";
    if (json) {
      if (out.size() > 1) out += ",\n ";
      out +=
          fmt::format(R"({{"case":"{}","value":{:.3f},"unit":"{}","floor":{:.3f},"ratio":{:.3f}}})",
                      c.name, ours, unit, floor, ratio);
      continue;
    }
    std::string each;
    for (const double one : rounds.ratio) each += fmt::format(" {:.2f}", one);
    std::puts(fmt::format("{:<20} {:>12.2f} {:>12.2f} {:>7.2f}  {}  ({})", c.name, ours, floor,
                          ratio, each, unit)
                  .c_str());
  }
  if (json) std::puts((out + "]").c_str());
}

static int usage(const char* why) {
  std::fprintf(
      stderr,
      "bench messenger: %s; usage: [-o table|json] [--rounds N] [--seconds S] [--only SUBSTRING] "
      "[--samples FILE]\n",
      why);
  return 2;
}

static int main_of(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view option = arguments[i];
    if (i + 1 >= count) return usage("an option lacks its value");
    const std::string value = arguments[++i];
    if (option == "-o" && (value == "json" || value == "table")) {
      options.json = value == "json";
    } else if (option == "--rounds") {
      options.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (option == "--seconds") {
      options.seconds = std::max(0.01, std::atof(value.c_str()));
    } else if (option == "--only") {
      options.only = value;
    } else if (option == "--samples") {
      options.samples = value;
    } else {
      return usage("unknown option");
    }
  }
  auto samples = SampleFile::create(options.samples);
  if (!samples) return usage(samples.error().to_string().c_str());
  std::vector<std::pair<Case, Rounds>> results;
  for (const Case& c : cases(options.seconds)) {
    if (c.name.find(options.only) == std::string::npos) continue;
    auto rounds = run_case(c, options, *samples);
    if (!rounds) {
      std::fprintf(stderr, "bench messenger: %s: %s\n", c.name.c_str(),
                   rounds.error().to_string().c_str());
      return 1;
    }
    results.emplace_back(c, std::move(*rounds));
  }
  if (auto closed = samples->close(); !closed) {
    std::fprintf(stderr, "bench messenger: %s\n", closed.error().to_string().c_str());
    return 1;
  }
  print(results, options.json);
  return 0;
}

}  // namespace suite
}  // namespace velo::bench

int main(int count, char** arguments) { return velo::bench::suite::main_of(count, arguments); }
