// SPDX-License-Identifier: Apache-2.0
// Where tasks go that must never run. A Task0 cannot be destroyed without running it, so what it
// owns is kept: reachable from here, and thus no leak in the eyes of a leak checker.
// Threading: any thread.
#pragma once

#include <velo/base/executor.hpp>

#include <vector>

namespace velo::sim::detail {

void bury(std::vector<Task0> tasks);

}  // namespace velo::sim::detail
