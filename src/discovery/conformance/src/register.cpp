// SPDX-License-Identifier: Apache-2.0
// Scenarios times Worlds as GoogleTest tests.

#include "scenarios.hpp"

#include <gtest/gtest.h>

namespace velo::discovery::conformance {
namespace register_detail {

/// Interleavings of the simulated World that each scenario is run under.
constexpr std::uint64_t seeds = 5;

using Body = std::function<void()>;

class ScenarioTest final : public testing::Test {
 public:
  explicit ScenarioTest(Body body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }  // NOLINT(readability-identifier-naming): GoogleTest's name

 private:
  Body body_;
};

static void add(const std::string& suite, const std::string& name, const Body& body) {
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body]() -> testing::Test* { return new ScenarioTest(body); });
}

static void add_scenario(const Backend& backend, const Scenario& scenario) {
  const std::string suite = "DiscoveryConformance_" + backend.name;
  add(suite + "_real", scenario.name, [backend, scenario] {
    if (const std::string why = backend.missing ? backend.missing() : ""; !why.empty()) {
      GTEST_SKIP() << why;
    }
    const auto ground = make_real_ground(backend);
    scenario.run(*ground);
  });
  add(suite + "_sim", scenario.name, [backend, scenario] {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const auto ground = make_sim_ground(backend, seed);
      scenario.run(*ground);
      if (testing::Test::HasFailure() || testing::Test::IsSkipped()) return;
    }
  });
}

}  // namespace register_detail

bool register_backend(const Backend& backend) {
  const std::vector<PeerInfo> peers = peers_of_this_process();
  if (!peers.empty()) {
    const std::string name = announcer_test(backend);
    const std::size_t dot = name.find('.');
    register_detail::add(name.substr(0, dot), name.substr(dot + 1),
                         [backend, peers] { run_announcer_process(backend, peers); });
    return true;
  }
  std::vector suites{lookup_scenarios(), watch_scenarios(), service_scenarios(), churn_scenarios()};
  if (backend.reach == Reach::processes) suites.push_back(process_scenarios());
  if (backend.outage != Outage::never) suites.push_back(outage_scenarios());
  for (const auto scenarios : suites) {
    for (const Scenario& scenario : scenarios) register_detail::add_scenario(backend, scenario);
  }
  return true;
}

}  // namespace velo::discovery::conformance
