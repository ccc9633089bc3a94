// SPDX-License-Identifier: Apache-2.0
// The tables of scenarios.
// Threading: constants.
#pragma once

#include <span>

namespace velo::transport::conformance {

class Stage;

struct Scenario {
  const char* name;  ///< a sentence
  void (*play)(Stage& stage);
  bool needs_streams;  ///< speaks raw bytes, or counts on a buffer that the other side does not
                       ///< empty
  bool needs_kernel = false;  ///< of the streams that it needs, the real World's only
};

std::span<const Scenario> frame_scenarios();
std::span<const Scenario> stream_scenarios();
std::span<const Scenario> ending_scenarios();
std::span<const Scenario> half_close_scenarios();
std::span<const Scenario> connecting_scenarios();
std::span<const Scenario> queue_scenarios();

}  // namespace velo::transport::conformance
