// SPDX-License-Identifier: Apache-2.0
// bench messenger: each case as a ratio to its floor, both measured in turn in the same run;
// medians of several rounds. Raw samples go to a file from which every printed figure can be
// computed again.

#include <velo/bench/measure.hpp>

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

struct Outcome {
  double ours = 0;
  double floor = 0;
  double ratio = 0;
  std::vector<double> ratios;
};

static bool is_latency(const Spec& spec) {
  return spec.shape == Shape::rtt || spec.shape == Shape::rtt_caller;
}

/// Round trips: the median in microseconds. Everything else: messages a second.
static double figure(const Spec& spec, const Measurement& measurement) {
  return is_latency(spec) ? percentile_ns(measurement, 0.5) / 1000.0 : measurement.rate();
}

static double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

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
  add("tcp_oneway_64", Medium::tcp, Shape::one_way, 64, 1, false, false);
  return all;
}

static void keep_samples(std::FILE* file, const Case& c, int round, std::string_view side,
                         const Measurement& measurement) {
  std::string line =
      fmt::format(R"({{"case":"{}","round":{},"side":"{}","messages":{},"seconds":{})", c.name,
                  round, side, measurement.messages, measurement.seconds);
  if (!measurement.samples_ns.empty()) {
    line += R"(,"samples_ns":[)";
    for (std::size_t i = 0; i < measurement.samples_ns.size(); ++i) {
      if (i > 0) line += ',';
      line += std::to_string(measurement.samples_ns[i]);
    }
    line += ']';
  }
  line += "}\n";
  std::fwrite(line.data(), 1, line.size(), file);
}

static Result<Outcome> run_case(const Case& c, const Options& options, std::FILE* samples) {
  Outcome outcome;
  std::vector<double> ours;
  std::vector<double> floors;
  for (int round = 0; round < options.rounds; ++round) {
    // The floor of a blocking caller is the same plain exchange: what the thread costs is what the
    // ratio shows.
    auto floor = measure(Side::floor, c.spec);
    if (!floor) return floor.error();
    auto measured = measure(Side::ours, c.spec);
    if (!measured) return measured.error();
    keep_samples(samples, c, round, "floor", *floor);
    keep_samples(samples, c, round, "ours", *measured);
    floors.push_back(figure(c.spec, *floor));
    ours.push_back(figure(c.spec, *measured));
    outcome.ratios.push_back(ours.back() / floors.back());
    std::fprintf(stderr, "\r%-20s round %d/%d", c.name.c_str(), round + 1, options.rounds);
  }
  std::fprintf(stderr, "\r%40s\r", "");
  outcome.ours = median(ours);
  outcome.floor = median(floors);
  outcome.ratio = median(outcome.ratios);
  return outcome;
}

static void print(const std::vector<std::pair<Case, Outcome>>& results, bool json) {
  if (!json) {
    std::puts(fmt::format("{:<20} {:>12} {:>12} {:>7}   {}", "case", "ours", "floor", "ratio",
                          "ratio of each round")
                  .c_str());
  }
  std::string out = "[";
  for (const auto& [c, outcome] : results) {
    const char* unit = is_latency(c.spec) ? "us" : "messages/s";
    if (json) {
      if (out.size() > 1) out += ",\n ";
      out +=
          fmt::format(R"({{"case":"{}","value":{:.3f},"unit":"{}","floor":{:.3f},"ratio":{:.3f}}})",
                      c.name, outcome.ours, unit, outcome.floor, outcome.ratio);
      continue;
    }
    std::string rounds;
    for (const double ratio : outcome.ratios) rounds += fmt::format(" {:.2f}", ratio);
    std::puts(fmt::format("{:<20} {:>12.2f} {:>12.2f} {:>7.2f}  {}  ({})", c.name, outcome.ours,
                          outcome.floor, outcome.ratio, rounds, unit)
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
  std::FILE* samples = std::fopen(options.samples.c_str(), "w");
  if (samples == nullptr) return usage("cannot write the file of samples");
  std::vector<std::pair<Case, Outcome>> results;
  for (const Case& c : cases(options.seconds)) {
    if (c.name.find(options.only) == std::string::npos) continue;
    auto outcome = run_case(c, options, samples);
    if (!outcome) {
      std::fprintf(stderr, "bench messenger: %s: %s\n", c.name.c_str(),
                   outcome.error().to_string().c_str());
      return 1;
    }
    results.emplace_back(c, std::move(*outcome));
  }
  std::fclose(samples);
  print(results, options.json);
  return 0;
}

}  // namespace suite
}  // namespace velo::bench

int main(int count, char** arguments) { return velo::bench::suite::main_of(count, arguments); }
