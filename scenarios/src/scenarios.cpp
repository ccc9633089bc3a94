// SPDX-License-Identifier: Apache-2.0
// The list.

#include <velo/scenarios/scenarios.hpp>

#include <velo/scenarios/events.hpp>
#include <velo/scenarios/messengers.hpp>
#include <velo/scenarios/quorum_register.hpp>
#include <velo/scenarios/streams.hpp>

namespace velo::scenarios {

std::vector<std::unique_ptr<sim::Scenario>> all() {
  std::vector<std::unique_ptr<sim::Scenario>> list;
  list.push_back(quorum_register());
  for (auto& scenario : messengers()) list.push_back(std::move(scenario));
  list.push_back(events());
  list.push_back(streams());
  return list;
}

}  // namespace velo::scenarios
