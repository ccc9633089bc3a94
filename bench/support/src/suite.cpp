// SPDX-License-Identifier: Apache-2.0
// Options, rounds and report of a suite. Raw samples go to a file from which every printed figure
// can be computed again.

#include <velo/bench/suite.hpp>

#include <velo/bench/rounds.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace velo::bench {
namespace suite_detail {

struct Options {
  bool json = false;
  int rounds = 5;
  double seconds = 0.4;
  std::string samples;
  std::string only;
};

static Result<Rounds> run_case(const Case& c, const Options& options, SampleFile& samples) {
  const Measurer measurer = [&c](Side side) {
    const Measured& own = side == Side::floor ? c.floor : c.ours;
    return own ? measure(c.spec, own) : measure(side, c.spec);
  };
  auto rounds = run_rounds(c.spec, options.rounds, measurer,
                           [&](int round, Side side, const Measurement& measured) -> Result<void> {
                             samples.add(c.name, round, side, measured);
                             std::fprintf(stderr, "\r%-20s round %d/%d", c.name.c_str(), round + 1,
                                          options.rounds);
                             return {};
                           });
  std::fprintf(stderr, "\r%40s\r", "");
  return rounds;
}

static void print(const std::vector<std::pair<const Case*, Rounds>>& results, bool json) {
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
    const char* unit = is_latency(c->spec.shape) ? "us" : "messages/s";
    if (json) {
      if (out.size() > 1) out += ",\n ";
      out +=
          fmt::format(R"({{"case":"{}","value":{:.3f},"unit":"{}","floor":{:.3f},"ratio":{:.3f}}})",
                      c->name, ours, unit, floor, ratio);
      continue;
    }
    std::string each;
    for (const double one : rounds.ratio) each += fmt::format(" {:.2f}", one);
    std::puts(fmt::format("{:<20} {:>12.2f} {:>12.2f} {:>7.2f}  {}  ({})", c->name, ours, floor,
                          ratio, each, unit)
                  .c_str());
  }
  if (json) std::puts((out + "]").c_str());
}

static int usage(std::string_view name, const std::string& why) {
  std::fprintf(stderr, "%s\n",
               fmt::format("bench {}: {}; usage: [-o table|json] [--rounds N] [--seconds S] "
                           "[--only SUBSTRING] [--samples FILE]",
                           name, why)
                   .c_str());
  return 2;
}

/// Why they cannot be understood; empty if they can.
static std::string parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view option = arguments[i];
    if (i + 1 >= count) return "an option lacks its value";
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
      return "unknown option";
    }
  }
  return {};
}

}  // namespace suite_detail

int run_suite(std::string_view name, int count, char** arguments,
              const std::function<std::vector<Case>(double seconds)>& make) {
  using namespace suite_detail;
  Options options;
  options.samples = fmt::format("velo-bench-{}.jsonl", name);
  if (const std::string why = parse(count, arguments, options); !why.empty()) {
    return usage(name, why);
  }
  auto samples = SampleFile::create(options.samples);
  if (!samples) return usage(name, samples.error().to_string());
  const auto failed = [&](const Error& error, const std::string& where) {
    std::fprintf(stderr, "%s\n",
                 fmt::format("bench {}: {}{}", name, where, error.to_string()).c_str());
    return 1;
  };
  std::vector<std::pair<const Case*, Rounds>> results;
  const std::vector<Case> cases = make(options.seconds);
  for (const Case& c : cases) {
    if (c.name.find(options.only) == std::string::npos) continue;
    auto rounds = run_case(c, options, *samples);
    if (!rounds) return failed(rounds.error(), c.name + ": ");
    results.emplace_back(&c, std::move(*rounds));
  }
  if (auto closed = samples->close(); !closed) return failed(closed.error(), "");
  print(results, options.json);
  return 0;
}

}  // namespace velo::bench
