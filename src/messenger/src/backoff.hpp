// SPDX-License-Identifier: Apache-2.0
// How long to leave a peer alone after a dial that failed. Each failure doubles the longest pause;
// the pause itself is drawn anew each time between nothing and that (full jitter), so that many who
// lost the same peer do not come back together. Core: randomness is an argument.
// Threading: a value.
#pragma once

#include <velo/base/time.hpp>

#include <cstdint>

namespace velo::messenger {

class Backoff {
 public:
  /// One more failure; `random` is uniform over 64 bits. The pause before the next attempt: at most
  /// limits::redial_pause_first after the first failure, twice that after the second, and so on up
  /// to limits::redial_pause_longest.
  Duration failed(std::uint64_t random) noexcept;
  /// The longest pause that the next failure can lead to.
  Duration longest_next() const noexcept;
  void reset() noexcept { failures_ = 0; }
  /// In a row.
  std::uint32_t failures() const noexcept { return failures_; }

 private:
  std::uint32_t failures_ = 0;
};

}  // namespace velo::messenger
