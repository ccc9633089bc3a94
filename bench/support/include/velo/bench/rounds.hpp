// SPDX-License-Identifier: Apache-2.0
// Floor and ours in turn, round after round, and what becomes of the rounds: a figure each, a ratio
// each, medians of both. SampleFile keeps the raw samples, from which every printed figure can be
// computed again (docs/benchmarks.md).
// Not a judge: it holds no bounds.
// Threading: as measure(): from a process that has no threads yet.
#pragma once

#include <velo/bench/measure.hpp>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::bench {

bool is_latency(Shape shape) noexcept;

/// Round trips: the median in microseconds. Everything else: messages a second.
double figure(const Spec& spec, const Measurement& measurement);

/// Of an even number of values the upper one of the middle two; 0 of none.
double median(std::vector<double> values);

/// One figure a round and side; `ratio` is ours through floor of the same round, where both were
/// measured.
struct Rounds {
  std::vector<double> floor;
  std::vector<double> ours;
  std::vector<double> ratio;
};

/// Called after each measurement, the floor's first; an error ends the rounds.
using RoundSeen = std::function<Result<void>(int round, Side side, const Measurement& measurement)>;

Result<Rounds> run_rounds(const Spec& spec, int rounds, const RoundSeen& seen);
/// How one side is measured, in place of measure(side, spec).
using Measurer = std::function<Result<Measurement>(Side side)>;
Result<Rounds> run_rounds(const Spec& spec, int rounds, const Measurer& measurer,
                          const RoundSeen& seen);
/// The floor alone.
Result<Rounds> run_floor_rounds(const Spec& spec, int rounds, const RoundSeen& seen);

/// One JSON object a line: case, round, side, messages, seconds, and for round trips
/// calls_per_sample and samples_ns.
class SampleFile {
 public:
  /// Replaces the file. Errc::io.
  static Result<SampleFile> create(const std::string& path);

  void add(std::string_view name, int round, Side side, const Measurement& measurement);
  /// Errc::io when not everything was written. Once.
  Result<void> close();

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  SampleFile(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}

  std::unique_ptr<std::FILE, Close> file_;
  std::string path_;
};

}  // namespace velo::bench
