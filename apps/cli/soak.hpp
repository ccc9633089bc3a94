// SPDX-License-Identifier: Apache-2.0
// `velo bench soak`: a hub and workers in processes of their own that do everything that velo can
// do at once, while processes are killed, frozen and cut off. What each of them began, did and got
// it writes to a file of its own; soak_oracle.hpp compares the files, and knows nothing of velo's
// counters.
// Threading: the main thread.
#pragma once

#include "commands.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace velo::cli {

struct SoakOptions {
  double minutes = 1;
  bool faults = false;
  std::size_t workers = 3;
  std::uint64_t seed = 1;  ///< of the faults
  std::string keep;        ///< a folder for the files; empty: they go

  SoakOptions() = default;
};
int run_soak(const Globals& globals, const SoakOptions& options);
/// Adds `velo bench soak` and the hidden `velo soak-node`. Defined in soak_command.cpp.
void add_soak_command(CLI::App& bench, Globals& globals);
void add_soak_node_command(CLI::App& app, Globals& globals);

struct SoakNodeOptions {
  Rendezvous where;
  std::string hub;           ///< its instance id; empty: this is the hub
  std::uint64_t number = 0;  ///< of this worker, never given twice
  std::string log;
  int parent = 0;

  SoakNodeOptions() = default;
};
int run_soak_node(const SoakNodeOptions& options);

}  // namespace velo::cli
