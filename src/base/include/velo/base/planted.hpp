// SPDX-License-Identifier: Apache-2.0
// Planted bugs: deliberate defects, one line each, that exist only where one test compiles the
// rooms a second time with VELO_PLANTED_BUGS, to see that the scenarios find them
// (tests/sim/planted_bugs_test.cpp). In every other build VELO_PLANT is nothing. Not for users.
// Threading: the choice is made before a run begins.
#pragma once

#ifdef VELO_PLANTED_BUGS

#include <cstdint>

namespace velo::base_detail {

enum class PlantedBug : std::uint8_t {
  none,
  lost_wake_up,        ///< a connection that could not write is not told that it can
  wrong_caller,        ///< a reply ends its neighbour's call
  double_completion,   ///< a request is settled again when its handler is released
  stale_end,           ///< an end that came too late ends the slot's next call
  forgotten_deadline,  ///< the sweep passes over some calls
  overtaking,          ///< what waited for a connection is sent in the wrong order
  early_ending,        ///< a stream's end is confirmed before its consumer has taken it
  no_barrier,          ///< a change of path does not wait until the old one has delivered
  older_is_ready,      ///< an event's completion ends those who await older ones of its slot, well
};

inline PlantedBug planted_bug = PlantedBug::none;

}  // namespace velo::base_detail

#define VELO_PLANT(bug, ...)                                                        \
  do {                                                                              \
    if (::velo::base_detail::planted_bug == ::velo::base_detail::PlantedBug::bug) { \
      __VA_ARGS__;                                                                  \
    }                                                                               \
  } while (false)

#else
#define VELO_PLANT(bug, ...) static_cast<void>(0)
#endif
