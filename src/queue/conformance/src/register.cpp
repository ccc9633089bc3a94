// SPDX-License-Identifier: Apache-2.0
// Scenarios as GoogleTest tests.

#include "scenarios.hpp"

namespace velo::queue::conformance {
namespace register_detail {

class ScenarioTest final : public testing::Test {
 public:
  ScenarioTest(Scenario scenario, MakeGround make) : scenario_(scenario), make_(std::move(make)) {}
  void TestBody() override {  // NOLINT(readability-identifier-naming): GoogleTest's name
    const auto ground = make_();
    if (ground == nullptr) GTEST_SKIP() << "the medium is not there";
    if (const std::string why = ground->lacks(scenario_.name); !why.empty()) GTEST_SKIP() << why;
    scenario_.run(*ground);
  }

 private:
  Scenario scenario_;
  MakeGround make_;
};

}  // namespace register_detail

bool register_backend(const std::string& backend, const MakeGround& make) {
  for (const auto scenarios : {delivery_scenarios(), bound_scenarios(), crowd_scenarios()}) {
    for (const Scenario& scenario : scenarios) {
      testing::RegisterTest(("QueueConformance_" + backend).c_str(), scenario.name, nullptr,
                            nullptr, __FILE__, __LINE__, [scenario, make]() -> testing::Test* {
                              return new register_detail::ScenarioTest(scenario, make);
                            });
    }
  }
  return true;
}

}  // namespace velo::queue::conformance
