// SPDX-License-Identifier: Apache-2.0
// What `velo sim run` found, for people and as JSON.
// Threading: the main thread.
#pragma once

#include "commands.hpp"

#include <velo/base/time.hpp>
#include <velo/codec/describe.hpp>
#include <velo/sim/seeds.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

struct SimFigure {
  std::string name;
  std::uint64_t value = 0;
};
VELO_DESCRIBE(SimFigure, name, value);

/// The lowest seed that failed. Hashes are text: JSON readers round large numbers.
struct SimFailureFound {
  std::uint64_t seed = 0;
  std::string failure;
  std::string trace_hash;
  bool replayed = false;          ///< running it again gave the same sentence and hash
  std::vector<std::string> plan;  ///< a fault per line
  /// Without --no-shrink: what is left of it, and what that fails with.
  std::optional<std::vector<std::string>> shrunk;
  std::optional<std::string> shrunk_failure;
  std::uint64_t shrink_runs = 0;
  bool shrink_finished = false;  ///< false: the bound of runs was reached first
  std::string command;           ///< replays the smallest plan, pasted into a shell
};
VELO_DESCRIBE(SimFailureFound, seed, failure, trace_hash, replayed, plan, shrunk, shrunk_failure,
              shrink_runs, shrink_finished, command);

struct SimReport {
  std::string scenario;
  std::uint64_t first_seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t jobs = 1;
  std::uint64_t runs = 0;
  std::uint64_t failures = 0;
  std::string combined_hash;
  std::uint64_t events = 0;
  double virtual_seconds = 0;
  double seconds = 0;
  std::vector<SimFigure> figures;
  std::optional<SimFailureFound> lowest_failure;
};
VELO_DESCRIBE(SimReport, scenario, first_seed, seeds, jobs, runs, failures, combined_hash, events,
              virtual_seconds, seconds, figures, lowest_failure);

/// Sixteen hexadecimal digits.
std::string show_hash(std::uint64_t hash);

void add_totals(SimReport& report, const sim::SeedTotals& totals);
void print_report(const Globals& globals, const SimReport& report);

}  // namespace velo::cli
