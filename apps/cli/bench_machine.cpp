// SPDX-License-Identifier: Apache-2.0
// Asks the system what it is.

#include "bench_machine.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>

namespace velo::cli {

namespace bench_machine_detail {

static std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

static std::uint64_t processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  return static_cast<std::uint64_t>(CPU_COUNT(&allowed));
}

static std::string kernel() {
  utsname names{};
  if (::uname(&names) != 0) return "unknown";
  return fmt::format("{} {} {}", names.sysname, names.release, names.machine);
}

static std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

}  // namespace bench_machine_detail

double machine_load() {
  double minute = 0;
  return ::getloadavg(&minute, 1) == 1 ? minute : 0;
}

BenchMachine this_machine() {
  BenchMachine machine;
  machine.processor = bench_machine_detail::processor_name();
  machine.processors = bench_machine_detail::processors();
  machine.kernel = bench_machine_detail::kernel();
  machine.compiler = bench_machine_detail::compiler();
  machine.build = VELO_BUILD_TYPE;
  return machine;
}

}  // namespace velo::cli
