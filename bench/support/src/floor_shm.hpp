// SPDX-License-Identifier: Apache-2.0
// The floor of Medium::shm: round trips and one way.
// Threading: as run_floor().
#pragma once

#include <velo/bench/measure.hpp>

namespace velo::bench {

Measurement run_shm_floor(const Spec& spec);

}  // namespace velo::bench
