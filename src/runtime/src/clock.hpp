// SPDX-License-Identifier: Apache-2.0
// The system's monotonic and wall clocks. The only place that reads them.
// Threading: any thread.
#pragma once

#include <velo/base/time.hpp>
#include <velo/base/world.hpp>

namespace velo::runtime {

TimePoint monotonic_now() noexcept;

class SystemClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return monotonic_now(); }
  WallTime wall_now() const noexcept override;
};

}  // namespace velo::runtime
