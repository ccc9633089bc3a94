// SPDX-License-Identifier: Apache-2.0
// The scenarios by name. Each takes a fresh ground and asserts with GoogleTest.
// Not how they are registered as tests (register.cpp).
// Threading: the test's thread.
#pragma once

#include "ground.hpp"

#include <span>

namespace velo::discovery::conformance {

struct Scenario {
  const char* name;
  void (*run)(Ground& ground);
};

std::span<const Scenario> lookup_scenarios();
std::span<const Scenario> watch_scenarios();
std::span<const Scenario> service_scenarios();
std::span<const Scenario> churn_scenarios();
std::span<const Scenario> process_scenarios();
std::span<const Scenario> outage_scenarios();

}  // namespace velo::discovery::conformance
