// SPDX-License-Identifier: Apache-2.0
// Fast random bits (xoshiro256**), one state per thread, all derived from one seed: not for keys.
// And the operating system's, for what nobody may guess.
// Threading: any thread; with a given seed, one thread's draws depend only on the order in which threads first drew.
#pragma once

#include <velo/base/world.hpp>

#include <atomic>
#include <cstdint>
#include <optional>

namespace velo::runtime {

class SeededRandom final : public Random {
 public:
  /// Without a seed, one is taken from the system.
  explicit SeededRandom(std::optional<std::uint64_t> seed);

  std::uint64_t next() noexcept override;

 private:
  const std::uint64_t owner_;  ///< tells the thread-local state of this object from that of another
  std::uint64_t seed_;
  std::atomic<std::uint64_t> threads_{0};
};

/// Each draw asks the kernel; without a kernel that answers, the process ends.
class SystemRandom final : public Random {
 public:
  std::uint64_t next() noexcept override;
};

}  // namespace velo::runtime
