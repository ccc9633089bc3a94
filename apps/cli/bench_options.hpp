// SPDX-License-Identifier: Apache-2.0
// What `velo bench` was asked for, and the specification of a measurement that follows from it.
// Threading: the main thread, before any other thread exists: measuring forks.
#pragma once

#include "commands.hpp"

#include <velo/bench/measure.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace velo::cli {

enum class BenchCommand : std::uint8_t { latency, throughput, floor, ladder };

struct BenchOptions {
  BenchCommand command = BenchCommand::latency;
  std::string transport = "tcp";  ///< tcp, uds, inproc
  std::uint64_t payload_bytes = 64;
  std::optional<std::size_t> outstanding;  ///< nothing: 64, one-way 256
  bool one_way = false;
  std::optional<bool> pin;            ///< nothing: round trips only
  std::optional<bool> two_processes;  ///< nothing: where there are sockets
  bool blocking = false;              ///< the caller is a thread that waits
  bool spawn = false;                 ///< the handler runs on the worker pool
  int rounds = 5;
  double seconds = 0.4;  ///< of each measurement
  std::string samples;   ///< file; empty: none

  BenchOptions() = default;
};

/// Exit code; what cannot be carried out was printed.
int make_spec(const BenchOptions& options, bench::Spec& spec);

/// What the floor of this measurement is, for people.
std::string describe_floor(const bench::Spec& spec);
/// "tcp, 64 B, two processes on one processor".
std::string describe_spec(const bench::Spec& spec);
std::string transport_name(bench::Medium medium);

int run_bench(const Globals& globals, const BenchOptions& options);
int run_bench_ladder(const Globals& globals, const BenchOptions& options);
/// To standard error, unless this is an optimised build.
void warn_about_the_build();

}  // namespace velo::cli
