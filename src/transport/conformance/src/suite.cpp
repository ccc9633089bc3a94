// SPDX-License-Identifier: Apache-2.0
// Registers a test per scenario.

#include <velo/transport/conformance/suite.hpp>

#include "scenario.hpp"
#include "stage.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace velo::transport::conformance {
namespace suite_detail {

class ScenarioTest final : public testing::Test {
 public:
  ScenarioTest(const Scenario& scenario, DriverFactory driver, KitFactory kit)
      : scenario_(scenario), driver_(std::move(driver)), kit_(std::move(kit)) {}

  void TestBody() override {
    auto driver = driver_();
    if (scenario_.needs_kernel && driver->simulated()) {
      GTEST_SKIP() << "a simulated stream ends in both directions at once";
    }
    Stage stage(std::move(driver), kit_());
    scenario_.play(stage);
  }

 private:
  const Scenario& scenario_;
  DriverFactory driver_;
  KitFactory kit_;
};

}  // namespace suite_detail

bool register_suite(const std::string& name, const DriverFactory& driver, const KitFactory& kit,
                    bool over_streams) {
  for (const auto& scenarios :
       {frame_scenarios(), stream_scenarios(), ending_scenarios(), half_close_scenarios(),
        connecting_scenarios(), queue_scenarios()}) {
    for (const Scenario& scenario : scenarios) {
      if (scenario.needs_streams && !over_streams) continue;
      testing::RegisterTest(name.c_str(), scenario.name, nullptr, nullptr, __FILE__, __LINE__,
                            [&scenario, driver, kit]() -> testing::Test* {
                              return new suite_detail::ScenarioTest(scenario, driver, kit);
                            });
    }
  }
  return true;
}

}  // namespace velo::transport::conformance
