// SPDX-License-Identifier: Apache-2.0
// Fault plans as text give the same plan again; anything else is refused by line.

#include <velo/sim/faults.hpp>
#include <velo/sim/limits.hpp>

#include <gtest/gtest.h>

#include <string>

namespace velo::sim::fault_text_test {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(SimFaultText, GivesEveryRandomPlanAgain) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    FaultPlanOptions options;
    options.nodes = 7;
    options.faults = 60;
    const FaultPlan plan = random_fault_plan(seed, options);
    const auto parsed = parse_fault_plan(to_string(plan));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
    EXPECT_EQ(*parsed, plan);
  }
}

TEST(SimFaultText, IsShortWhereItCanBe) {
  EXPECT_EQ(to_string(Fault()), "0s reset any any");
  EXPECT_EQ(to_string(Fault(seconds(3), FaultKind::power_off_torn, 2)), "3s power_off_torn 2 any");
  EXPECT_EQ(to_string(Fault(nanoseconds(1), FaultKind::wall_clock_jump, 0, any_node,
                            milliseconds(250), -5)),
            "0.000000001s wall_clock_jump 0 any for 0.25s amount -5");
  EXPECT_EQ(to_string(Fault(-seconds(1), FaultKind::pause, 0, 1, -seconds(1))), "0s pause 0 1");
}

TEST(SimFaultText, ReadsWhatPeopleWrite) {
  const auto plan = parse_fault_plan(
      "# the router\n"
      "\n"
      "  1.5s  partition 0 any for 2s   # and back\r\n"
      "\t0.25s loss any any amount 5000");
  ASSERT_TRUE(plan.has_value()) << plan.error().to_string();
  const FaultPlan expected{
      Fault(milliseconds(1500), FaultKind::partition, 0, any_node, seconds(2)),
      Fault(milliseconds(250), FaultKind::loss, any_node, any_node, Duration::zero(), 5000)};
  EXPECT_EQ(*plan, expected);
  EXPECT_TRUE(parse_fault_plan("")->empty());
}

TEST(SimFaultText, RefusesWhatItDoesNotUnderstandAndSaysWhere) {
  for (const char* text : {"",
                           "1s",
                           "1 pause 0 0",
                           "1.s pause 0 0",
                           "-1s pause 0 0",
                           "1.0000000001s pause 0 0",
                           "99999999999s pause 0 0",
                           "31536001s pause 0 0",
                           "1s sneeze 0 0",
                           "1s pause",
                           "1s pause 0",
                           "1s pause -1 0",
                           "1s pause 4294967295 0",
                           "1s pause 0 0 for",
                           "1s pause 0 0 for 1",
                           "1s pause 0 0 amount",
                           "1s pause 0 0 amount 1.5",
                           "1s pause 0 0 amount 9223372036854775808",
                           "1s pause 0 0 amount 1 for 1s",
                           "1s pause 0 0 for 1s for 1s",
                           "1s pause 0 0 later"}) {
    const auto fault = parse_fault(text);
    ASSERT_FALSE(fault.has_value()) << text;
    EXPECT_TRUE(fault.error().is(Errc::invalid_argument)) << text;
  }
  const auto plan = parse_fault_plan("1s pause 0 0\n# fine\n1s sneeze 0 0\n");
  ASSERT_FALSE(plan.has_value());
  EXPECT_TRUE(plan.error().is(Errc::invalid_argument));
  EXPECT_EQ(plan.error().context(), "line 3: fault: 'sneeze' is no kind of fault");
}

TEST(SimFaultText, IsBounded) {
  std::string text;
  for (std::size_t i = 0; i < limits::plan_faults_max; ++i) text += "0s reset any any\n";
  EXPECT_EQ(parse_fault_plan(text)->size(), limits::plan_faults_max);
  EXPECT_TRUE(parse_fault_plan(text + "0s reset any any").error().is(Errc::overloaded));
  EXPECT_TRUE(
      parse_fault_plan(std::string(limits::plan_bytes_max + 1, '\n')).error().is(Errc::overloaded));
}

}  // namespace velo::sim::fault_text_test
