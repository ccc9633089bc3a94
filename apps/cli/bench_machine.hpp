// SPDX-License-Identifier: Apache-2.0
// On what a measurement ran: without it a figure cannot be compared with another.
// Threading: the main thread.
#pragma once

#include <velo/codec/describe.hpp>

#include <cstdint>
#include <string>

namespace velo::cli {

struct BenchMachine {
  std::string processor;
  std::uint64_t processors = 0;  ///< that this process may use
  std::string kernel;
  std::string compiler;
  std::string build;  ///< CMake's build type
  double load_before = 0;
};
VELO_DESCRIBE(BenchMachine, processor, processors, kernel, compiler, build, load_before);

BenchMachine this_machine();
/// The machine's load of the last minute: what else runs spoils a measurement.
double machine_load();

}  // namespace velo::cli
