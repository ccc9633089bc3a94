// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text of a fault plan; what is accepted is written and read back the same.

#include <velo/base/bytes.hpp>
#include <velo/base/check.hpp>
#include <velo/sim/faults.hpp>
#include <velo/sim/limits.hpp>

#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace velo::sim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto plan = parse_fault_plan(text);
  if (!plan) {
    VELO_CHECK(!plan.error().context().empty());
    return 0;
  }
  VELO_CHECK(plan->size() <= limits::plan_faults_max);
  for (const Fault& fault : *plan) {
    VELO_CHECK(fault.at >= velo::Duration::zero() && fault.at <= limits::fault_time_max);
    VELO_CHECK(fault.duration >= velo::Duration::zero());
  }
  const std::string written = to_string(*plan);
  const auto again = parse_fault_plan(written);
  VELO_CHECK(again.has_value());
  VELO_CHECK(*again == *plan);
  VELO_CHECK(to_string(*again) == written);
  return 0;
}
