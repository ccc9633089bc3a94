// SPDX-License-Identifier: Apache-2.0
// Tables, a histogram of '#', and JSON.

#include "bench_report.hpp"

#include "bench_machine.hpp"

#include <velo/codec/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace velo::cli {

void BenchSide::add(const bench::Measurement& measurement) {
  messages_ += static_cast<std::uint64_t>(measurement.messages);
  if (measurement.samples_ns.empty()) return;
  for (std::size_t i = 0; i < quantiles; ++i) {
    quantiles_us_[i].push_back(bench::percentile_ns(measurement, fractions[i]) / 1000);
  }
  double sum = 0;
  for (const std::uint32_t sample : measurement.samples_ns) sum += sample;
  const double calls = measurement.calls_per_sample;
  mean_us_.push_back(sum / static_cast<double>(measurement.samples_ns.size()) / calls / 1000);
  const auto most = std::max_element(measurement.samples_ns.begin(), measurement.samples_ns.end());
  max_us_ = std::max(max_us_, *most / calls / 1000);
  histogram_.add(measurement);
}

struct BenchPercentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double p99_9 = 0;
  double max = 0;
  double mean = 0;
};
VELO_DESCRIBE(BenchPercentiles, p50, p90, p99, p99_9, max, mean);

struct BenchPercentilesShown {
  BenchPercentiles floor;
  std::optional<BenchPercentiles> ours;
  std::optional<BenchPercentiles> ratio;
};
VELO_DESCRIBE(BenchPercentilesShown, floor, ours, ratio);

struct BenchRateShown {
  double floor = 0;
  std::optional<double> ours;
};
VELO_DESCRIBE(BenchRateShown, floor, ours);

struct BenchRowShown {
  double from = 0;
  std::optional<double> to;
  std::uint64_t floor = 0;
  std::optional<std::uint64_t> ours;
};
VELO_DESCRIBE(BenchRowShown, from, to, floor, ours);

struct BenchRoundShown {
  double floor = 0;
  std::optional<double> ours;
  std::optional<double> ratio;
};
VELO_DESCRIBE(BenchRoundShown, floor, ours, ratio);

struct BenchShown {
  std::string command;
  std::string transport;
  std::uint64_t payload_bytes = 0;
  std::uint64_t outstanding = 0;
  std::string shape;
  bool two_processes = true;
  bool one_processor = true;
  double seconds = 0;
  std::string unit;
  std::optional<double> ours;
  double floor = 0;
  std::optional<double> ratio;
  std::string floor_is;
  std::optional<BenchPercentilesShown> percentiles;
  std::optional<BenchRateShown> megabytes_per_second;
  std::vector<BenchRowShown> histogram;
  std::vector<BenchRoundShown> rounds;
  std::optional<std::string> samples;
  BenchMachine machine;
};
VELO_DESCRIBE(BenchShown, command, transport, payload_bytes, outstanding, shape, two_processes,
              one_processor, seconds, unit, ours, floor, ratio, floor_is, percentiles,
              megabytes_per_second, histogram, rounds, samples, machine);

namespace bench_report_detail {

constexpr std::size_t histogram_rows_max = 16;
constexpr std::size_t bar_cells = 24;

/// Enough digits for a ratio to be computed again, few enough to read.
static double rounded(double value) { return std::round(value * 1e4) / 1e4; }

static double megabytes(const bench::Spec& spec, double messages_per_second) {
  return messages_per_second * static_cast<double>(spec.payload_bytes) / 1e6;
}

static std::string shape_name(bench::Shape shape) {
  switch (shape) {
    case bench::Shape::rtt: return "rtt";
    case bench::Shape::rtt_caller: return "rtt_caller";
    case bench::Shape::pipeline: return "pipeline";
    case bench::Shape::one_way: return "one_way";
  }
  return "rtt";
}

static BenchPercentiles percentiles(const BenchSide& side) {
  BenchPercentiles all;
  all.p50 = rounded(side.median_us(BenchSide::p50));
  all.p90 = rounded(side.median_us(BenchSide::p90));
  all.p99 = rounded(side.median_us(BenchSide::p99));
  all.p99_9 = rounded(side.median_us(BenchSide::p99_9));
  all.max = rounded(side.max_us());
  all.mean = rounded(side.mean_us());
  return all;
}

/// The median of the rounds' ratios, as everywhere.
static double ratio(const BenchOutcome& outcome, BenchSide::Quantile which) {
  const auto& floor = outcome.floor.rounds(which);
  const auto& ours = outcome.ours.rounds(which);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(floor.size(), ours.size()); ++i) {
    ratios.push_back(floor[i] > 0 ? ours[i] / floor[i] : 0);
  }
  return bench::median(std::move(ratios));
}

static double quotient(double ours, double floor) { return floor > 0 ? ours / floor : 0; }

static BenchPercentiles ratios(const BenchOutcome& outcome) {
  BenchPercentiles all;
  all.p50 = rounded(ratio(outcome, BenchSide::p50));
  all.p90 = rounded(ratio(outcome, BenchSide::p90));
  all.p99 = rounded(ratio(outcome, BenchSide::p99));
  all.p99_9 = rounded(ratio(outcome, BenchSide::p99_9));
  all.max = rounded(quotient(outcome.ours.max_us(), outcome.floor.max_us()));
  all.mean = rounded(quotient(outcome.ours.mean_us(), outcome.floor.mean_us()));
  return all;
}

static std::vector<bench::HistogramRow> rows_of(const BenchOutcome& outcome) {
  return bench::histogram_rows(outcome.floor.histogram(), outcome.ours.histogram(),
                               histogram_rows_max);
}

static std::string microseconds(double value) {
  if (value < 1) return fmt::format("{:.1f} ns", value * 1000);
  if (value < 1000) return fmt::format("{:.2f} us", value);
  return fmt::format("{:.2f} ms", value / 1000);
}

static std::string latency_table(const BenchOutcome& outcome) {
  const BenchPercentiles floor = percentiles(outcome.floor);
  if (outcome.floor_only) {
    return table({"", "FLOOR"},
                 {{"p50", microseconds(floor.p50)},
                  {"p90", microseconds(floor.p90)},
                  {"p99", microseconds(floor.p99)},
                  {"p99.9", microseconds(floor.p99_9)},
                  {"max", microseconds(floor.max)},
                  {"calls", show_count(outcome.floor.messages())}},
                 {false, true});
  }
  const BenchPercentiles ours = percentiles(outcome.ours);
  const BenchPercentiles ratio = ratios(outcome);
  const auto row = [](const char* name, double our, double the_floor, double r) {
    return std::vector<std::string>{name, microseconds(our), microseconds(the_floor),
                                    fmt::format("{:.2f}", r)};
  };
  return table(
      {"", "OURS", "FLOOR", "RATIO"},
      {row("p50", ours.p50, floor.p50, ratio.p50),
       row("p90", ours.p90, floor.p90, ratio.p90),
       row("p99", ours.p99, floor.p99, ratio.p99),
       row("p99.9", ours.p99_9, floor.p99_9, ratio.p99_9),
       row("max", ours.max, floor.max, ratio.max),
       {"calls", show_count(outcome.ours.messages()), show_count(outcome.floor.messages()), ""}},
      {false, true, true, true});
}

static std::string throughput_table(const BenchOutcome& outcome) {
  const auto rate = [](double value) { return show_count(static_cast<std::uint64_t>(value)); };
  const auto volume = [&](double value) {
    return fmt::format("{:.1f}", megabytes(outcome.spec, value));
  };
  const double floor = bench::median(outcome.rounds.floor);
  if (outcome.floor_only) {
    return table({"", "FLOOR"}, {{"messages/s", rate(floor)}, {"MB/s", volume(floor)}},
                 {false, true});
  }
  const double ours = bench::median(outcome.rounds.ours);
  const std::string ratio = fmt::format("{:.2f}", bench::median(outcome.rounds.ratio));
  return table({"", "OURS", "FLOOR", "RATIO"},
               {{"messages/s", rate(ours), rate(floor), ratio},
                {"MB/s", volume(ours), volume(floor), ratio}},
               {false, true, true, true});
}

static std::string bar(std::uint64_t count, double most, std::uint64_t total) {
  if (total == 0) return std::string(bar_cells + 8, ' ');
  const double share = static_cast<double>(count) / static_cast<double>(total);
  auto cells = static_cast<std::size_t>(std::lround(share / most * bar_cells));
  if (count > 0) cells = std::max<std::size_t>(1, cells);
  return fmt::format("{:<{}}{:>6.2f} %", std::string(cells, '#'), bar_cells, share * 100);
}

static std::string histogram(const BenchOutcome& outcome) {
  const std::vector<bench::HistogramRow> rows = rows_of(outcome);
  const auto floor_total = outcome.floor.histogram().count();
  const auto ours_total = outcome.ours.histogram().count();
  double most = 0;
  for (const bench::HistogramRow& row : rows) {
    most =
        std::max(most, quotient(static_cast<double>(row.floor), static_cast<double>(floor_total)));
    most = std::max(most, quotient(static_cast<double>(row.ours), static_cast<double>(ours_total)));
  }
  std::string out = fmt::format("{:>10}   {:<{}}", "from", "floor", bar_cells + 11);
  out += outcome.floor_only ? "" : "ours";
  out.erase(out.find_last_not_of(' ') + 1);
  for (const bench::HistogramRow& row : rows) {
    std::string line = fmt::format("\n{:>10}   {}", microseconds(row.from_ns / 1000),
                                   bar(row.floor, most, floor_total));
    if (!outcome.floor_only) line += "   " + bar(row.ours, most, ours_total);
    out += line;
  }
  return out;
}

static std::string rounds_line(const BenchOutcome& outcome) {
  std::string each;
  for (const double ratio : outcome.rounds.ratio) each += fmt::format(" {:.2f}", ratio);
  return fmt::format(
      "ratio of each round:{}{}", each,
      bench::is_latency(outcome.spec.shape) ? "   (lower is better)" : "   (higher is better)");
}

static std::string machine_line(const BenchOutcome& outcome) {
  const BenchMachine machine = this_machine();
  std::string line =
      fmt::format("machine: {} processors, {}, {}, {}, {}", machine.processors, machine.processor,
                  machine.kernel, machine.compiler, machine.build);
  const auto processors = static_cast<double>(std::max<std::uint64_t>(1, machine.processors));
  if (outcome.load_before > processors / 2) {
    line += fmt::format(
        "\nbusy: the load was {:.1f} before the first round; trust the ratio, not "
        "the figures",
        outcome.load_before);
  }
  return line;
}

static void fill_latency(BenchShown& shown, const BenchOutcome& outcome) {
  BenchPercentilesShown all;
  all.floor = percentiles(outcome.floor);
  if (!outcome.floor_only) {
    all.ours = percentiles(outcome.ours);
    all.ratio = ratios(outcome);
  }
  shown.percentiles = all;
  for (const bench::HistogramRow& row : rows_of(outcome)) {
    BenchRowShown one;
    one.from = rounded(row.from_ns / 1000);
    if (row.to_ns) one.to = rounded(*row.to_ns / 1000);
    one.floor = row.floor;
    if (!outcome.floor_only) one.ours = row.ours;
    shown.histogram.push_back(one);
  }
}

}  // namespace bench_report_detail

std::string bench_text(const BenchOutcome& outcome) {
  using namespace bench_report_detail;
  const bool latency = bench::is_latency(outcome.spec.shape);
  const char* what = latency ? "round trip" : "throughput";
  const std::size_t rounds = outcome.rounds.floor.size();
  std::string text = fmt::format("{}: {}; {} round{} of {} s a side, medians of the rounds\n\n",
                                 what, describe_spec(outcome.spec), rounds, rounds == 1 ? "" : "s",
                                 outcome.spec.seconds);
  text += latency ? latency_table(outcome) : throughput_table(outcome);
  text += "\n\n";
  if (latency) text += histogram(outcome) + "\n\n";
  if (!outcome.floor_only) text += rounds_line(outcome) + "\n";
  text += fmt::format("floor: {}\n", describe_floor(outcome.spec));
  if (latency && outcome.spec.medium == bench::Medium::inproc) {
    text += "each sample is the mean of 100 calls: one is not longer than reading the clock\n";
  }
  if (!outcome.samples.empty()) text += fmt::format("samples: {}\n", outcome.samples);
  return text + machine_line(outcome);
}

std::string bench_json(const BenchOutcome& outcome, std::string_view command) {
  using namespace bench_report_detail;
  const bool latency = bench::is_latency(outcome.spec.shape);
  BenchShown shown;
  shown.command = command;
  shown.transport = transport_name(outcome.spec.medium);
  shown.payload_bytes = outcome.spec.payload_bytes;
  shown.outstanding = outcome.spec.outstanding;
  shown.shape = shape_name(outcome.spec.shape);
  shown.two_processes = outcome.spec.two_processes;
  shown.one_processor = outcome.spec.one_core;
  shown.seconds = outcome.spec.seconds;
  shown.unit = latency ? "us" : "messages/s";
  shown.floor = rounded(bench::median(outcome.rounds.floor));
  shown.floor_is = describe_floor(outcome.spec);
  if (!outcome.floor_only) {
    shown.ours = rounded(bench::median(outcome.rounds.ours));
    shown.ratio = rounded(bench::median(outcome.rounds.ratio));
  }
  for (std::size_t i = 0; i < outcome.rounds.floor.size(); ++i) {
    BenchRoundShown round;
    round.floor = rounded(outcome.rounds.floor[i]);
    if (!outcome.floor_only) {
      round.ours = rounded(outcome.rounds.ours[i]);
      round.ratio = rounded(outcome.rounds.ratio[i]);
    }
    shown.rounds.push_back(round);
  }
  if (latency) {
    fill_latency(shown, outcome);
  } else {
    BenchRateShown rate;
    rate.floor = rounded(megabytes(outcome.spec, shown.floor));
    if (shown.ours) rate.ours = rounded(megabytes(outcome.spec, *shown.ours));
    shown.megabytes_per_second = rate;
  }
  if (!outcome.samples.empty()) shown.samples = outcome.samples;
  shown.machine = this_machine();
  shown.machine.load_before = rounded(outcome.load_before);
  return to_json(shown);
}

}  // namespace velo::cli
