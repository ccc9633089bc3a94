// SPDX-License-Identifier: Apache-2.0
// What the rounds of `velo bench` come to, as text with a histogram or as one JSON object.
// Threading: the main thread.
#pragma once

#include "bench_options.hpp"

#include <velo/bench/histogram.hpp>
#include <velo/bench/rounds.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

/// The figures of one side: of each, one value a round.
class BenchSide {
 public:
  /// In the order of the report.
  enum Quantile : std::uint8_t { p50, p90, p99, p99_9, quantiles };
  static constexpr std::array<double, quantiles> fractions = {0.5, 0.9, 0.99, 0.999};

  void add(const bench::Measurement& measurement);

  const std::vector<double>& rounds(Quantile which) const { return quantiles_us_[which]; }
  double median_us(Quantile which) const { return bench::median(quantiles_us_[which]); }
  double mean_us() const { return bench::median(mean_us_); }
  /// Of all rounds.
  double max_us() const noexcept { return max_us_; }
  std::uint64_t messages() const noexcept { return messages_; }
  const bench::Histogram& histogram() const noexcept { return histogram_; }

 private:
  std::array<std::vector<double>, quantiles> quantiles_us_;
  std::vector<double> mean_us_;
  double max_us_ = 0;
  std::uint64_t messages_ = 0;
  bench::Histogram histogram_;
};

struct BenchOutcome {
  bench::Spec spec;
  bool floor_only = false;
  bench::Rounds rounds;
  BenchSide floor;
  BenchSide ours;
  double load_before = 0;  ///< of the machine, one minute
  std::string samples;     ///< file, if one was written

  BenchOutcome() = default;
};

std::string bench_text(const BenchOutcome& outcome);
std::string bench_json(const BenchOutcome& outcome, std::string_view command);

}  // namespace velo::cli
