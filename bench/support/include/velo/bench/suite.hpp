// SPDX-License-Identifier: Apache-2.0
// What the programs of `./dev bench` share: a list of cases, each a ratio of ours to its floor,
// both measured in turn in one run; options, progress, table and JSON, raw samples in a file.
// Threading: as measure(): from a process that has no threads yet.
#pragma once

#include <velo/bench/measure.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::bench {

/// Runs in a child process of its own.
using Measured = std::function<Measurement()>;

struct Case {
  std::string name;
  Spec spec;       ///< says the shape, whether one processor is used, and how long it takes
  Measured floor;  ///< empty: measure(Side::floor, spec)
  Measured ours;   ///< empty: measure(Side::ours, spec)

  Case(std::string n, const Spec& s, Measured f = {}, Measured o = {})
      : name(std::move(n)), spec(s), floor(std::move(f)), ours(std::move(o)) {}
};

/// `make` is given the seconds that one measurement takes. Returns the exit code: 0, 1 when a
/// measurement failed, 2 for wrong options.
int run_suite(std::string_view name, int count, char** arguments,
              const std::function<std::vector<Case>(double seconds)>& make);

}  // namespace velo::bench
