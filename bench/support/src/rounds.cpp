// SPDX-License-Identifier: Apache-2.0
// Rounds, their medians, and the file of raw samples.

#include <velo/bench/rounds.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace velo::bench {

bool is_latency(Shape shape) noexcept { return shape == Shape::rtt || shape == Shape::rtt_caller; }

double figure(const Spec& spec, const Measurement& measurement) {
  return is_latency(spec.shape) ? percentile_ns(measurement, 0.5) / 1000.0 : measurement.rate();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

namespace rounds_detail {

static Result<void> measure_side(const Spec& spec, const Measurer& measurer, int round, Side side,
                                 const RoundSeen& seen, std::vector<double>& figures) {
  auto measured = measurer(side);
  if (!measured) return measured.error();
  figures.push_back(figure(spec, *measured));
  return seen(round, side, *measured);
}

}  // namespace rounds_detail

Result<Rounds> run_rounds(const Spec& spec, int rounds, const RoundSeen& seen) {
  return run_rounds(spec, rounds, [&spec](Side side) { return measure(side, spec); }, seen);
}

Result<Rounds> run_rounds(const Spec& spec, int rounds, const Measurer& measurer,
                          const RoundSeen& seen) {
  using rounds_detail::measure_side;
  Rounds all;
  for (int round = 0; round < rounds; ++round) {
    // The floor of a blocking caller is the same plain exchange: what the thread costs is what the
    // ratio shows.
    auto floor = measure_side(spec, measurer, round, Side::floor, seen, all.floor);
    if (!floor) return floor.error();
    auto ours = measure_side(spec, measurer, round, Side::ours, seen, all.ours);
    if (!ours) return ours.error();
    all.ratio.push_back(all.floor.back() > 0 ? all.ours.back() / all.floor.back() : 0);
  }
  return all;
}

Result<Rounds> run_floor_rounds(const Spec& spec, int rounds, const RoundSeen& seen) {
  Rounds all;
  for (int round = 0; round < rounds; ++round) {
    auto floor = rounds_detail::measure_side(
        spec, [&spec](Side side) { return measure(side, spec); }, round, Side::floor, seen,
        all.floor);
    if (!floor) return floor.error();
  }
  return all;
}

Result<SampleFile> SampleFile::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return make_error(Errc::io, path + ": " + std::strerror(errno));
  return SampleFile(file, path);
}

void SampleFile::add(std::string_view name, int round, Side side, const Measurement& measurement) {
  std::string line;
  auto to = std::back_inserter(line);
  fmt::format_to(to, R"({{"case":"{}","round":{},"side":"{}","messages":{},"seconds":{})", name,
                 round, side == Side::floor ? "floor" : "ours", measurement.messages,
                 measurement.seconds);
  if (!measurement.samples_ns.empty()) {
    fmt::format_to(to, R"(,"calls_per_sample":{},"samples_ns":[{}])", measurement.calls_per_sample,
                   fmt::join(measurement.samples_ns, ","));
  }
  line += "}\n";
  std::fwrite(line.data(), 1, line.size(), file_.get());
}

Result<void> SampleFile::close() {
  const bool written = std::ferror(file_.get()) == 0;
  const bool closed = std::fclose(file_.release()) == 0;
  if (!written || !closed) return make_error(Errc::io, path_ + ": not everything was written");
  return {};
}

}  // namespace velo::bench
