// SPDX-License-Identifier: Apache-2.0
// Changes of the ways between a fleet's nodes, drawn from the simulation's seed: one is wished for,
// taken away, given back, or its connections are killed. One way always works.
// Threading: the one thread that drives the simulation.
#pragma once

#include "fleet.hpp"

namespace velo::scenarios {

class PathChanges {
 public:
  explicit PathChanges(Fleet& fleet) : fleet_(fleet) {}

  /// One change. Outside of the nodes' tasks.
  void draw();

 private:
  void wish();
  void take_away_or_give_back();
  void kill();

  Fleet& fleet_;
  std::size_t away_ = SIZE_MAX;  ///< the medium that is taken away
  TimePoint next_break_;         ///< what was broken before has recovered by then
};

}  // namespace velo::scenarios
